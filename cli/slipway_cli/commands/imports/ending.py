"""The way back, and the end of it: `import export`, `hand-back` and `seal`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.commands.imports.shown import IMPORTS, act, number_argument, pattern_argument
from slipway_cli.failures import Failed, NotThere
from slipway_cli.output import say
from slipway_cli.patterns import fits
from slipway_cli.session import connect
from slipway_cli.tree import alone

_SEALABLE: Final = frozenset({"open", "paused"})
_UNFINISHED: Final = ("listed", "importing")
_EXPORTABLE: Final = frozenset({"listed", "importing", "imported", "handed_back"})


@alone("export", "slipway import export IMPORT-ID --dry-run", "slipway import export IMPORT-ID 'team/*' --yes")
@number_argument
@pattern_argument
@changes
def export(number: int, repositories: str | None, yes: bool, dry_run: bool) -> None:
    """Write what changed here back into the bucket it came from, so that the way back stays short."""

    def what(client: Client, found: dict[str, Any]) -> str:
        return f"write {_exported(client, found, repositories)} back to {found['address']}, as far as they changed"

    if _is_meant(number, what, yes=yes, dry_run=dry_run):
        act(number, "export", repositories)
        say(f"asked for; `slipway import repositories {number}` shows when it was written")


@alone(
    "hand-back",
    "slipway import hand-back IMPORT-ID 'team/*' --dry-run",
    "slipway import hand-back IMPORT-ID 'team/*' --yes",
)
@number_argument
@click.argument("repositories", metavar="PATTERN")
@changes
def hand_back(number: int, repositories: str, yes: bool, dry_run: bool) -> None:
    """Give repositories back: writes are refused here from now on, then what differs is written there."""

    def what(client: Client, found: dict[str, Any]) -> str:
        meant = _exported(client, found, repositories)
        return f"refuse writes to {meant} here, and write back to {found['address']} what differs"

    if _is_meant(number, what, yes=yes, dry_run=dry_run):
        act(number, "hand-back", repositories)
        say(f"asked for; `slipway import repositories {number} --state handed_back` shows those that are through")


@alone("seal", "slipway import seal IMPORT-ID --dry-run", "slipway import seal IMPORT-ID --yes")
@number_argument
@changes
def seal(number: int, yes: bool, dry_run: bool) -> None:
    """End it for good: what the older registry had is this one's own, and what nothing needs of it becomes garbage."""

    def what(_: Client, found: dict[str, Any]) -> str:
        _require_sealable(found)
        many = f"{sum(found['repositories'].values())} repositories and {found['tags']} tags"
        return f"seal the import of {found['address']}, which can't be undone: {many} become this registry's own"

    if _is_meant(number, what, yes=yes, dry_run=dry_run):
        act(number, "seal")
        say(f"asked for; `slipway import status {number}` shows whether it is sealed, or what is in the way")


def _is_meant(number: int, what: Callable[[Client, dict[str, Any]], str], *, yes: bool, dry_run: bool) -> bool:
    """Asks the registry what would become of what, where somebody wants to know. Raises Failed."""
    if yes and not dry_run:
        return True
    client = connect()
    found = client.get(f"{IMPORTS}/{number}")
    if found["state"] == "sealed":
        raise Failed("it is sealed: what it had is this registry's own")
    return goes_on(what(client, found), yes=yes, dry_run=dry_run)


def _exported(client: Client, found: dict[str, Any], pattern: str | None) -> str:
    """Counts those that would be written back: what came from there, and what was made here since."""
    if found["kind"] != "layout":
        raise Failed("only what came from a bucket or a folder is written back", "a registry is pushed to by clients")
    known = {each["name"]: each["state"] for each in client.pages(f"{IMPORTS}/{found['id']}/repositories",
                                                                 "repositories", None, n=1000)}  # fmt: skip
    came = [name for name, state in known.items() if state in _EXPORTABLE and fits(pattern, name)]
    here = client.pages("/v2/_catalog", "repositories", None, n=1000)
    made = [name for name in here if name not in known and fits(pattern, name)]
    if not came and not made:
        raise NotThere(f"no repository fits {pattern or 'that'}", f"`slipway import repositories {found['id']}`")
    return f"{len(came)} repositories that came from there, and {len(made)} that were made here,"


def _require_sealable(found: dict[str, Any]) -> None:
    unfinished = sum(found["repositories"].get(state, 0) for state in _UNFINISHED)
    advice = f"`slipway import status {found['id']} --watch`"
    if found["state"] not in _SEALABLE or found["listed_at"] is None:
        raise Failed(f"it can't be sealed yet: it is {found['state']}, and all has to be listed before", advice)
    if unfinished:
        raise Failed(f"it can't be sealed yet: {unfinished} repositories are not here yet", advice)
