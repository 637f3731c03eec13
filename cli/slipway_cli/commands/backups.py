"""`backup`: backups are made, looked at, verified and pruned, and drills recorded; coming back from one is
`operator restore-backup`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.failures import Failed
from slipway_cli.output import (
    Form,
    Item,
    count,
    gives_list,
    gives_one,
    length,
    say,
    show_list,
    show_one,
    size,
    text,
    time,
)
from slipway_cli.session import connect
from slipway_cli.tree import Group, command
from slipway_cli.units import size as size_text
from slipway_cli.watching import FRAME_SECONDS, bar, watch

_BACKUPS: Final = "/api/v1/backups"
_ENDED: Final = frozenset({"sealed", "done", "failed", "pruned"})
_UNITS: Final = {"d": "days", "w": "weeks", "m": "months"}

_LIST: Final = (
    count("id", "id"),
    text("what", "kind"),
    text("state", "state"),
    time("of", "snapshot_at"),
    text("name", "name"),
    count("objects", "counts.objects"),
    count("copied", "counts.copied"),
    count("missing", "missing"),
    time("last drill", "drill.drilled_at", "never"),
    text("by", "drill.drilled_by"),
    count("lost", "drill.lost"),
    text("error", "error"),
)
_ONE: Final = (
    count("id", "id"),
    text("what", "kind"),
    text("state", "state"),
    text("error", "error"),
    time("of", "snapshot_at"),
    text("name", "name"),
    text("destination", "destination"),
    text("asked for", "options"),
    count("rows", "counts.rows"),
    count("objects", "counts.objects"),
    count("seen", "counts.seen"),
    count("copied", "counts.copied"),
    size("copied size", "counts.copied_bytes"),
    count("missing", "missing"),
    text("counts", "counts"),
    time("asked", "created_at"),
    time("ended", "ended_at"),
    time("last drill", "drill.drilled_at", "never"),
    text("drilled by", "drill.drilled_by"),
    count("tags compared", "drill.tags"),
    count("tags lost", "drill.lost"),
    length("took", "drill.seconds"),
    text("note", "drill.note"),
)
_DRILL: Final = (
    time("drilled", "drilled_at"),
    count("backup", "backup"),
    text("by", "drilled_by"),
    count("tags compared", "tags"),
    count("tags lost", "lost"),
    length("took", "seconds"),
    text("note", "note"),
)
_HOW: Final = "nobody has brought {} back to see that it comes back: docs/backup.md says how"


class Keep(click.ParamType[dict[str, int]]):
    """How many are kept: `7d,4w,12m`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, int]:
        if isinstance(value, dict):
            return value
        words = [re.fullmatch(r"([1-9][0-9]{0,2})([dwm])", word) for word in value.split(",")]
        kept = {_UNITS[match[2]]: int(match[1]) for match in words if match}
        if len(kept) < len(words):
            self.fail("takes numbers of days, weeks and months: 7d,4w,12m", param, ctx)
        return kept


@click.group("backup", cls=Group)
def backup() -> None:
    """Backups of the registry, to another bucket or a folder (SLIPWAY_BACKUPS). For administrators of the registry."""


_id = click.argument("number", metavar="ID", type=click.IntRange(1))
_wait = click.option("--wait", is_flag=True, help="Show how far it is, and end with it.")


@command(backup, "create", "slipway backup create")
@_wait
@gives_one
def create(wait: bool, form: Form) -> None:
    """Make a backup now: all rows of one moment, and the objects that the destination lacks.

    With --wait the exit code is 1 if it failed, or if the registry lacked objects, which are then missing in it too.
    """
    _ask(form, wait, {"kind": "backup"})


@command(backup, "list", "slipway backup list", "slipway backup list --all -o json")
@click.option("--all", "has_all", is_flag=True, help="Verifications and prunes, too.")
@gives_list
def list_(has_all: bool, form: Form) -> None:
    """List backups, the latest first."""
    kind = None if has_all else "backup"
    pages = connect().pages(_BACKUPS, "backups", None, kind=kind, n=form.page())
    seen: set[str] = set()
    show_list(_noting(pages, seen), _LIST, form, "id")
    if "sealed" in seen and "drilled" not in seen and form.format == "table":
        say(_HOW.format("any of these"))


@command(backup, "show", "slipway backup show BACKUP-ID", "slipway backup show BACKUP-ID -o json")
@_id
@click.option("--watch", "watches", is_flag=True, help="Go on showing it, until it is over.")
@gives_one
def show(number: int, watches: bool, form: Form) -> None:
    """Show one of them, and how far it is."""
    client = connect()
    if watches:
        _watch(client, number)
    found = client.get(f"{_BACKUPS}/{number}")
    show_one(found, _ONE, form, "id")
    if found["state"] == "sealed" and not found.get("drill") and form.format == "table":
        say(_HOW.format("it"))


@command(backup, "verify", "slipway backup verify BACKUP-ID --sample 5")
@_id
@click.option("--sample", type=click.IntRange(0, 100), default=1, help="Of how many of 100 objects the bytes are read.")
@_wait
@gives_one
def verify(number: int, sample: int, wait: bool, form: Form) -> None:
    """Look at a backup again: each part as it was sealed, each object there, and the bytes of some of them."""
    _ask(form, wait, {"kind": "verification", "backup": number, "sample": sample})


@command(backup, "drilled", 'slipway backup drilled BACKUP-ID --tags 240 --lost 0 --seconds 900 --note "into staging"')
@_id
@click.option("--tags", type=click.IntRange(0), metavar="N", help="How many tags were pulled there and compared.")
@click.option("--lost", type=click.IntRange(0), metavar="N", help="How many of these could not be pulled, or differed.")
@click.option("--seconds", type=click.IntRange(0), metavar="N", help="How long the way back took.")
@click.option("--note", metavar="TEXT", help="Whatever else is to be remembered, in 500 characters.")
@gives_one
def drilled(number: int, form: Form, **said: int | str | None) -> None:
    """Record that a backup was brought back elsewhere, to see that it comes back. It may be pruned by now.

    --tags and --lost go together. `gc status` and `backup show` tell the last drill, and the audit trail all of them.
    """
    document = {name: value for name, value in said.items() if value is not None}
    show_one(connect().send("POST", f"{_BACKUPS}/{number}/drills", document), _DRILL, form, "backup")


@command(backup, "prune", "slipway backup prune --keep 7d,4w,12m --yes")
@click.option("--keep", required=True, type=Keep(), metavar="7d,4w,12m", help="The last of each of so many stays.")
@_wait
@changes
@gives_one
def prune(keep: dict[str, int], wait: bool, yes: bool, dry_run: bool, form: Form) -> None:
    """Let go what need not be kept: backups, and the objects that no other one names.

    The latest backup stays in any case, and all that is younger than a week. --dry-run counts what would go.
    """
    numbers = ", ".join(f"{number} {unit}" for unit, number in keep.items())
    if not dry_run and not goes_on(f"delete all backups but the last ones of {numbers}", yes=yes, dry_run=False):
        return
    _ask(form, wait, {"kind": "prune", **keep, "dry_run": dry_run})


def _noting(found: Iterable[Item], seen: set[str]) -> Iterator[Item]:
    """Hands each on, and notes its state, or that it was drilled."""
    for each in found:
        seen.add("drilled" if each.get("drill") else each["state"])
        yield each


def _ask(form: Form, wait: bool, document: dict[str, Any]) -> None:
    client = connect()
    found = client.send("POST", _BACKUPS, document)
    if wait:
        _watch(client, found["id"])
        found = client.get(f"{_BACKUPS}/{found['id']}")
    show_one(found, _ONE, form, "id")
    if not wait:
        say(f"asked for; `slipway backup show {found['id']} --watch` shows how far it is")
    elif found["state"] == "failed":
        raise Failed(f"it failed: {found['error']}")
    elif found["missing"]:
        raise Failed(f"{found['missing']} objects are missing, in the registry too: `slipway fsck` tells of whom")


def _watch(client: Client, number: int) -> None:
    def line() -> tuple[str, bool]:
        found = client.get(f"{_BACKUPS}/{number}")
        return _line(found), found["state"] in _ENDED

    watch(line, FRAME_SECONDS)


def _line(found: dict[str, Any]) -> str:
    counts = found["counts"]
    whole, seen = counts.get("objects", 0), counts.get("seen", 0)
    if found["kind"] == "prune":
        return f"{found['state']}  {counts.get('backups', 0)} backups, {whole} objects"
    copied = f"{counts.get('copied', 0)} copied ({size_text(counts.get('copied_bytes', 0))})"
    return f"{found['state']}  {bar(seen, whole)}  {seen}/{whole} objects  {copied}"
