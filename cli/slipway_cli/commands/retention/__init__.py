"""`retention`: which tags are kept, what would go, and what went."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.tree import Group, Later

_IN: Final = "slipway_cli.commands.retention"
COMMANDS: Final = {
    "list": Later(f"{_IN}.policies", "list_", "List the policies, in the order in which they are asked."),
    "show": Later(f"{_IN}.policies", "show", "Show one policy."),
    "set": Later(f"{_IN}.policies", "set_", "Make a policy of one rule, or put it in place of the one of that name."),
    "load": Later(f"{_IN}.policies", "load", "Set the policies of a TOML or JSON file."),
    "mode": Later(f"{_IN}.policies", "mode_", "Let a policy only preview, enforce it, or let it rest."),
    "rm": Later(f"{_IN}.policies", "rm", "Take a policy away: nothing more is removed by it."),
    "plan": Later(f"{_IN}.runs", "plan", "Judge every tag that a policy decides about. Nothing is changed."),
    "runs": Later(f"{_IN}.runs", "runs", "List plans and runs, the newest first."),
    "status": Later(f"{_IN}.runs", "status", "Show one plan or run."),
    "verdicts": Later(f"{_IN}.runs", "verdicts", "List what becomes of each tag, and why."),
    "apply": Later(f"{_IN}.deciding", "apply", "Remove what a plan, or a run that is held, shows."),
    "drop": Later(f"{_IN}.deciding", "drop", "End a plan or a run that is held: nothing of it is removed."),
    "explain": Later(f"{_IN}.runs", "explain", "What becomes of a tag, why, and when that may change."),
    "undo": Later(f"{_IN}.deciding", "undo", "Put back what a run removed."),
}


@click.group("retention", cls=Group, later=COMMANDS)
def retention() -> None:
    """Retention: policies that say which tags are kept. There is none until somebody makes one.

    A policy starts as a preview, which removes nothing. `plan` shows the verdict on every tag, and why; `apply` removes
    what a plan showed, as far as it is still to go.
    """
