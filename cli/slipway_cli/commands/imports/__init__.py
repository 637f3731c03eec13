"""`import`: an existing registry is moved in."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.tree import Group, Later

_IN: Final = "slipway_cli.commands.imports"
COMMANDS: Final = {
    "add": Later(f"{_IN}.choosing", "add", "Name a registry. Nothing happens before `import start`."),
    "change": Later(f"{_IN}.choosing", "change", "Change what was chosen when it was added."),
    "list": Later(f"{_IN}.looking", "list_", "List all that are or were moved in."),
    "status": Later(f"{_IN}.looking", "status", "How far it is, how fast, what is left, what is wrong."),
    "repositories": Later(f"{_IN}.looking", "repositories", "List its repositories, and how far each is."),
    "estimate": Later(f"{_IN}.looking", "estimate", "What it takes, as far as it is listed."),
    "start": Later(f"{_IN}.running", "start", "Start it, or bring what changed there since."),
    "pause": Later(f"{_IN}.running", "pause", "Stop working at it."),
    "resume": Later(f"{_IN}.running", "resume", "Go on where it was paused."),
    "changed": Later(f"{_IN}.running", "changed", "Tell which repositories changed there."),
    "retry": Later(f"{_IN}.running", "retry", "Try once more what failed."),
    "lead": Later(f"{_IN}.running", "lead", "From now on this registry decides."),
    "follow": Later(f"{_IN}.running", "follow", "From now on the other registry decides."),
    "report": Later(f"{_IN}.judging", "report", "List what could not be taken over, with the reason."),
    "verify": Later(f"{_IN}.judging", "verify", "Compare with a fresh listing of where it came from."),
    "doctor": Later(f"{_IN}.judging", "doctor", "What is in the way, and what to do about it."),
    "export": Later(f"{_IN}.ending", "export", "Write what changed here back into the bucket."),
    "hand-back": Later(f"{_IN}.ending", "hand_back", "Give repositories back to the older registry."),
    "seal": Later(f"{_IN}.ending", "seal", "End it for good."),
    "rm": Later(f"{_IN}.choosing", "rm", "Forget one that was not started, or is sealed."),
}


@click.group("import", cls=Group, later=COMMANDS)
def import_() -> None:
    """Move an existing registry in: from its bucket, or over its API; while both are in use, and with a way back."""
