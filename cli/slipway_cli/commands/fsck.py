"""`fsck`: rows and objects compared, what is damaged marked, and brought again from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from slipway_cli.client import Client
from slipway_cli.failures import Away, Failed
from slipway_cli.healing import Source, heal, source_of
from slipway_cli.output import Column, Form, count, gives_list, gives_one, plain, say, show_list, show_one, text, time
from slipway_cli.output import size as size_column
from slipway_cli.session import connect
from slipway_cli.tree import Group, command
from slipway_cli.watching import FRAME_SECONDS, bar, watch

_CHECKS: Final = "/api/v1/checks"
_FINDINGS: Final = "/api/v1/findings"
KINDS: Final = (
    "missing", "size", "checksum", "digest", "marked", "unknown", "manifest", "references", "leaked_manifest",
    "leaked_link", "leaked_blob", "figure",
)  # fmt: skip
# What a client's push mends once it is marked.
_PUSHED_AGAIN: Final = frozenset({"missing", "size", "checksum", "digest", "manifest"})

_ONE: Final = (
    count("id", "id"),
    text("state", "state"),
    text("reason", "reason"),
    text("asked by", "asked_by"),
    text("chosen", "options"),
    text("counts", "counts"),
    time("started", "started_at"),
    time("finished", "finished_at"),
)
_SHOWN: Final = 3


def _some(images: Sequence[str]) -> str:
    more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    return f"{plain(list(images[:_SHOWN]))}{more}"


_FOUND: Final = (
    text("what", "kind"),
    text("which", "subject"),
    size_column("size", "size"),
    text("repository", "repository"),
    text("done", "action"),
    Column("needed by", "images", _some),
    time("pulled", "pulled_at"),
    text("detail", "detail"),
)


class _Fsck(Group):
    """`slipway fsck` alone is `slipway fsck run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args[:1] in (["-h"], ["--help"]) else _with_command(args))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, _with_command(args))


def _with_command(args: list[str]) -> list[str]:
    return args if args and not args[0].startswith("-") else ["run", *args]


@click.group("fsck", cls=_Fsck)
def fsck() -> None:
    """Is all of it there? Compares rows with objects while everything goes on; `slipway fsck` alone runs a check."""


_id = click.argument("number", metavar="ID", type=click.IntRange(1))


@command(
    fsck,
    "run",
    "slipway fsck run",
    "slipway fsck run --repair --dry-run",
    "slipway fsck run --hash 5 --no-wait -o json",
)
@click.option("--repair", is_flag=True, help="Mark what is damaged, so that a push brings it again.")
@click.option("--delete-unknown", is_flag=True, help="Let objects that nothing names go, in seven days.")
@click.option("--dry-run", is_flag=True, help="Count what these would do, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Mark also where more than one of a hundred blobs is damaged.")
@click.option("--hash", "percent", type=click.IntRange(1, 100), metavar="PERCENT", help="Read so many of the objects.")
@click.option("--from", "source", metavar="SOURCE", help="Bring what is marked from a registry, or dir:FOLDER.")
@click.option("--no-wait", is_flag=True, help="Begin it; `fsck status` shows how far it is.")
@gives_one
def run(*, percent: int | None, source: str | None, no_wait: bool, form: Form, **chosen: bool) -> None:
    """Compare all that there is, and show what is wrong: what was pulled last stands first.

    Exit codes: 0 nothing is wrong, 1 something is, 5 something could not be looked at.
    """
    client = connect()
    elsewhere = _elsewhere(source, no_wait=no_wait, is_repair=chosen["repair"] and not chosen["dry_run"])
    document: dict[str, Any] = {name: True for name, is_chosen in chosen.items() if is_chosen}
    if percent is not None:
        document["hash"] = percent
    started = client.send("POST", _CHECKS, document)
    if no_wait:
        show_one(started, _ONE, form, "id")
        return
    path = f"{_CHECKS}/{started['id']}"
    whole = client.get("/api/v1/usage")["blobs"]
    watch(lambda: _line(client.get(path), whole), FRAME_SECONDS)
    found = list(client.pages(_FINDINGS, "findings", None, n=1000))
    if elsewhere is not None:
        found = _bring(client, elsewhere, found)
    ended = client.get(path)
    show_one(ended, _ONE, form, "id")
    if form.format == "table" and found:
        show_list(sorted(found, key=lambda each: each["pulled_at"] or "", reverse=True), _FOUND, Form("table", 100, ()))
    _judge(ended, found)


def _elsewhere(source: str | None, *, no_wait: bool, is_repair: bool) -> Source | None:
    if source is None:
        return None
    if no_wait or not is_repair:
        raise click.UsageError("--from goes with --repair, and waits for it")
    return source_of(source)


def _bring(client: Client, source: Source, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what is left: what is marked, and the source has, is pushed."""
    left = [each for each in found if each["action"] != "marked" or not heal(client, source, each)]
    say(f"brought: {len(found) - len(left)} of {len(found)}")
    return left


def _line(check: dict[str, Any], whole: int) -> tuple[str, bool]:
    counts = check["counts"]
    parts = [f"{counts.get('blobs', 0)}/{whole} blobs", f"{counts.get('objects', 0)} objects"]
    parts += [f"{counts[name]} {name}" for name in ("manifests", "hashed") if name in counts]
    shown = (check["state"], bar(min(counts.get("blobs", 0), whole), whole), *parts)
    return "  ".join(shown), check["state"] != "running"


def _judge(check: dict[str, Any], found: Sequence[dict[str, Any]]) -> None:
    """Raises Away for what could not be looked at, Failed for what was found."""
    if check["state"] == "incomplete":
        raise Away(f"not all could be looked at: {check['reason']}")
    if check["state"] == "stopped":
        raise Failed(f"the check has stopped: {check['reason']}")
    if not found:
        say(f"Nothing is wrong: {_looked_at(check['counts'])}.")
        return
    kinds: dict[str, int] = {}
    for each in found:
        kinds[each["kind"]] = kinds.get(each["kind"], 0) + 1
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    raise Failed(f"found: {told}", _advice(check, found))


def _looked_at(counts: dict[str, int]) -> str:
    """What a check has gone through; of an empty registry there is nothing of some."""
    parts = [f"{counts.get(name, 0):,} {name}" for name in ("blobs", "objects", "manifests", "repositories")]
    parts += [f"{counts['hashed']:,} objects read"] if "hashed" in counts else []
    parts += [f"{counts['foreign']:,} objects of somebody else beside them"] if counts.get("foreign") else []
    return ", ".join(parts)


def _advice(check: dict[str, Any], found: Sequence[dict[str, Any]]) -> str:
    damaged = [each for each in found if each["kind"] in _PUSHED_AGAIN]
    if damaged and all(each["action"] == "marked" for each in damaged):
        return "push these images again, with the client that pushed them before"
    if damaged or not check["options"].get("repair"):
        return "`slipway fsck --repair --dry-run` says what can be done about it"
    return "docs/fsck.md says what each means"


@command(fsck, "list", "slipway fsck list", "slipway fsck list -o json")
@gives_list
def list_(form: Form) -> None:
    """List checks, the latest first."""
    show_list(connect().pages(_CHECKS, "checks", None, n=form.page()), _ONE, form, "id")


@command(fsck, "status", "slipway fsck status CHECK-ID", "slipway fsck status CHECK-ID -o json")
@_id
@gives_one
def status(number: int, form: Form) -> None:
    """Show how far a check is, or how it ended."""
    show_one(connect().get(f"{_CHECKS}/{number}"), _ONE, form, "id")


@command(fsck, "show", "slipway fsck show", "slipway fsck show --kind missing -o jsonl", "slipway fsck show -o csv")
@click.option("--kind", type=click.Choice(KINDS), help="Only those.")
@gives_list
def show(kind: str | None, form: Form) -> None:
    """Show what is wrong, as far as the checks so far know, and which images need it."""
    show_list(connect().pages(_FINDINGS, "findings", None, kind=kind, n=form.page()), _FOUND, form, "subject")


@command(fsck, "stop", "slipway fsck stop RUNNING-CHECK-ID")
@_id
@gives_one
def stop(number: int, form: Form) -> None:
    """Stop a check. What it found stays."""
    show_one(connect().send("POST", f"{_CHECKS}/{number}/stop", {}), _ONE, form, "id")


@command(fsck, "undo", "slipway fsck undo CHECK-ID")
@_id
@gives_one
def undo(number: int, form: Form) -> None:
    """Keep the objects that a check has let go, as far as they are there."""
    kept = connect().send("POST", f"{_CHECKS}/{number}/undo", {})
    show_one(kept, (count("kept", "kept"),), form, "kept")
    if form.format == "table":
        say("they are unknown still: `slipway fsck show --kind unknown`")
