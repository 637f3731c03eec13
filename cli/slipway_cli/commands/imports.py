"""`import`: an existing registry is moved in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.failures import Failed
from slipway_cli.output import (
    Column,
    Form,
    count,
    gives_list,
    gives_one,
    plain,
    say,
    show_list,
    show_one,
    text,
    time,
)
from slipway_cli.session import connect
from slipway_cli.tree import Group, command
from slipway_cli.units import Length
from slipway_cli.watching import FRAME_SECONDS, bar, left, pause_for, watch

_IMPORTS: Final = "/api/v1/imports"
_STATES: Final = ("listed", "importing", "imported", "refused", "handed_back", "dropped")
# What could not be taken over, or not as it was; beside these a reason means that the thing is here all the same.
_DIFFERENCES: Final = frozenset({"conflict", "blob_missing", "child_missing", "blob_size", "blob_digest"})
_TOLD_ONLY: Final = frozenset({"stray", "link_repaired", "tag_repaired"})
_RUNNING: Final = frozenset({"opening", "listing", "open", "sealing"})

_LIST: Final = (
    count("id", "id"),
    text("address", "address"),
    text("state", "state"),
    text("decides", "mode"),
    text("reason", "reason"),
)
_ONE: Final = (
    count("id", "id"),
    text("address", "address"),
    text("state", "state"),
    text("reason", "reason"),
    text("decides", "mode"),
    text("except", "modes"),
    text("untagged", "untagged"),
    text("workers", "workers"),
    text("chosen", "options"),
    text("repositories", "repositories"),
    count("tags", "tags"),
    count("of them here", "imported_tags"),
    count("manifests", "manifests"),
    text("copied", "counts"),
    text("problems", "problems"),
    text("failing", "failing"),
    Column("a second", "objects_per_second"),
    Column("remaining", "remaining_seconds", left),
    time("added", "created_at"),
    time("started", "opened_at"),
    time("listed", "listed_at"),
    time("sealed", "sealed_at"),
)
_REPOSITORIES: Final = (
    text("there", "path"),
    text("here", "name"),
    text("state", "state"),
    count("tags", "tags"),
    time("imported", "imported_at"),
    time("compared", "compared_at"),
    time("written back", "exported_at"),
    text("error", "error"),
)
_PROBLEMS: Final = (
    text("reason", "reason"),
    text("repository", "repository"),
    text("what", "kind"),
    text("which", "key"),
    text("detail", "detail"),
)
_VERIFIED: Final = (
    count("checked", "checked"),
    count("differences", "found"),
    text("such as", "differences"),
    time("began", "began_at"),
    time("ended", "ended_at"),
)
# What a store gives at first in a second, and what one processor of the database takes (docs/migrate.md).
_REQUESTS_A_SECOND: Final = 5000
_TAGS_A_SECOND: Final = 2700
_OBJECTS_A_REQUEST: Final = 1000


class Refusals(Failed):
    """All that there is here is as it was there; but something could not be taken over."""

    code = 2


@click.group("import", cls=Group)
def import_() -> None:
    """Move an existing registry in: from its bucket, or over its API; while both are in use, and with a way back."""


_id = click.argument("number", metavar="ID", type=click.IntRange(1))
_pattern = click.argument("repositories", metavar="[PATTERN]", required=False)


@command(
    import_,
    "add",
    "slipway import add gs://old-bucket",
    "slipway import add https://old.example.com --username reader --secret-stdin < secret.txt",
    "slipway import add https://registry-1.docker.io --only library/alpine --rate 5",
)
@click.argument("address")
@click.option("--rename", "renames", multiple=True, metavar="OLD=NEW", help="Another name here. Again for others.")
@click.option("--rename-file", type=click.Path(path_type=Path), help="A file of such lines.")
@click.option(
    "--only", "only", multiple=True, metavar="REPOSITORY", help="These, instead of a catalog's. Again for others."
)
@click.option("--untagged", type=click.Choice(["grace", "keep"]), help="What is done with untagged manifests.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many work at it at once.")
@click.option("--rate", type=click.IntRange(1, 10_000), help="Requests a second at most, of all workers.")
@click.option("--username", help="Who reads there.")
@click.option("--secret-stdin", is_flag=True, help="Read that one's secret from stdin.")
@click.option("--keep-deleted", is_flag=True, help="What is deleted there stays here.")
@click.option("--no-repair", is_flag=True, help="What could be repaired is refused.")
@click.option("--every", type=Length(), help="Look for changes again after so long, such as 10m.")
@gives_one
def add(address: str, form: Form, **chosen: Any) -> None:
    """Name a registry: gs://BUCKET[/PREFIX], a folder, or https://HOST. Nothing happens before `import start`."""
    document = {"address": address, **_chosen(**chosen)}
    found = connect().send("POST", _IMPORTS, document)
    show_one(found, _ONE, form, "id")
    if form.format == "table":
        say(f"next: slipway import start {found['id']}")


def _chosen(
    *,
    renames: tuple[str, ...],
    rename_file: Path | None,
    only: tuple[str, ...],
    username: str | None,
    secret_stdin: bool,
    keep_deleted: bool,
    no_repair: bool,
    every: int | None,
    **more: Any,
) -> dict[str, Any]:
    lines = [*renames, *(rename_file.read_text().split() if rename_file else ())]
    chosen: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    if lines:
        pairs = [line.partition("=") for line in lines]
        if not all(old and new for old, _, new in pairs):
            raise click.UsageError("a name is changed by OLD=NEW")
        chosen["renames"] = {old: new for old, _, new in pairs}
    if only:
        chosen["repositories"] = list(only)
    if (username is not None) != secret_stdin:
        raise click.UsageError("--username and --secret-stdin are given together")
    if username is not None:
        chosen |= {"username": username, "secret": sys.stdin.readline().rstrip("\r\n")}
    flags = {"keeps_deleted": keep_deleted or None, "repair": False if no_repair else None, "every_seconds": every}
    return chosen | {name: value for name, value in flags.items() if value is not None}


@command(import_, "list", "slipway import list")
@gives_list
def list_(form: Form) -> None:
    """List all that are or were moved in."""
    show_list(connect().get(_IMPORTS)["imports"], _LIST, form, "id")


@command(import_, "status", "slipway import status IMPORT-ID", "slipway import status IMPORT-ID -o json")
@_id
@click.option("--watch", "watches", is_flag=True, help="Go on showing it, until all is here or it is paused.")
@gives_one
def status(number: int, watches: bool, form: Form) -> None:
    """Show how far it is: what is here, how fast it goes, what is left, and what could not be taken over."""
    client = connect()
    if watches:
        _watch(client, number)
    show_one(client.get(f"{_IMPORTS}/{number}"), _ONE, form, "id")


def _watch(client: Client, number: int) -> None:
    def line() -> tuple[str, bool]:
        found = client.get(f"{_IMPORTS}/{number}")
        return _line(found), _is_over(found)

    watch(line, FRAME_SECONDS)


def _line(found: dict[str, Any]) -> str:
    parts = [bar(found["imported_tags"], found["tags"]), f"{found['imported_tags']}/{found['tags']} tags"]
    states = found["repositories"]
    parts.append(f"{states.get('imported', 0)}/{sum(states.values())} repositories")
    if found["objects_per_second"]:
        parts.append(f"{found['objects_per_second']:g} objects/s")
    if found["remaining_seconds"] is not None:
        parts.append(f"{left(found['remaining_seconds'])} left")
    if found["problems"]:
        parts.append(f"{sum(found['problems'].values())} problems")
    if found["failing"]:
        parts.append(f"worst: {plain(found['failing'][0]['path'])}")
    return "  ".join((found["state"], *parts))


def _is_over(found: dict[str, Any]) -> bool:
    """Nobody works at it, or there is nothing left to do."""
    is_all_here = found["listed_at"] is not None and not found["due"]
    return found["state"] not in _RUNNING or (found["state"] == "open" and is_all_here)


@command(import_, "estimate", "slipway import estimate IMPORT-ID", "slipway import estimate IMPORT-ID -o json")
@_id
@gives_one
def estimate(number: int, form: Form) -> None:
    """What it takes, as far as it is listed: requests to the store, and time by what was measured."""
    found = connect().get(f"{_IMPORTS}/{number}")
    if found["listed_at"] is None:
        raise Failed(
            "its names are not all known yet", f"`slipway import start {number}` lists it first, then `estimate`"
        )
    requests = -(-found["objects"] // _OBJECTS_A_REQUEST) + 2 * sum(found["repositories"].values()) + found["manifests"]
    document = {
        "repositories": sum(found["repositories"].values()),
        "tags": found["tags"],
        "manifests": found["manifests"],
        "objects": found["objects"],
        "requests": requests,
        "store_seconds": -(-requests // _REQUESTS_A_SECOND),
        "database_seconds": -(-found["tags"] // _TAGS_A_SECOND),
    }
    columns = [Column(name.replace("_", " "), name) for name in document]
    show_one(document, columns, form, "requests")


def _act(number: int, act: str, repositories: str | None = None) -> dict[str, Any]:
    document = {} if repositories is None else {"repositories": repositories}
    found: dict[str, Any] = connect().send("POST", f"{_IMPORTS}/{number}/{act}", document)
    return found


@command(import_, "start", "slipway import start IMPORT-ID", "slipway import start IMPORT-ID 'team/*'")
@_id
@_pattern
@click.option("--wait", is_flag=True, help="Show how far it is, and end when all is here.")
@gives_one
def start(number: int, repositories: str | None, wait: bool, form: Form) -> None:
    """Start it; or, when it was started before, bring what changed there since."""
    found = _act(number, "start", repositories)
    if wait:
        _watch(connect(), number)
        found = connect().get(f"{_IMPORTS}/{number}")
    show_one(found, _ONE, form, "id")


@command(import_, "lead", "slipway import lead IMPORT-ID", "slipway import lead IMPORT-ID 'team/*'")
@_id
@_pattern
@gives_one
def lead(number: int, repositories: str | None, form: Form) -> None:
    """From now on this registry decides: it takes writes, and asks nobody about reads. For all, or for a pattern."""
    show_one(_act(number, "lead", repositories), _ONE, form, "id")


@command(import_, "follow", "slipway import follow IMPORT-ID", "slipway import follow IMPORT-ID 'team/*'")
@_id
@_pattern
@gives_one
def follow(number: int, repositories: str | None, form: Form) -> None:
    """From now on the other registry decides: writes are refused here, and tags are read as they are there."""
    show_one(_act(number, "follow", repositories), _ONE, form, "id")


@command(import_, "pause", "slipway import pause IMPORT-ID")
@_id
@gives_one
def pause(number: int, form: Form) -> None:
    """Stop working at it. What is held stays held, and what clients ask for is fetched."""
    show_one(_act(number, "pause"), _ONE, form, "id")


@command(import_, "resume", "slipway import resume IMPORT-ID")
@_id
@gives_one
def resume(number: int, form: Form) -> None:
    """Go on where it was paused."""
    show_one(_act(number, "resume"), _ONE, form, "id")


@command(import_, "retry", "slipway import retry IMPORT-ID")
@_id
@gives_one
def retry(number: int, form: Form) -> None:
    """Try once more what failed, and what could be taken over only in part."""
    show_one(_act(number, "retry"), _ONE, form, "id")


@command(
    import_,
    "change",
    "slipway import change IMPORT-ID --workers 16",
    "slipway import change IMPORT-ID --export-every 10m",
)
@_id
@click.option("--workers", type=click.IntRange(1, 64), help="How many work at it at once.")
@click.option("--rate", type=click.IntRange(1, 10_000), help="Requests a second at most, of all workers.")
@click.option("--username", help="Who reads there.")
@click.option("--secret-stdin", is_flag=True, help="Read that one's secret from stdin.")
@click.option("--every", "every_seconds", type=Length(), help="Look for changes again after so long.")
@click.option("--export-every", "export_every_seconds", type=Length(), help="Write back again after so long.")
@gives_one
def change(number: int, form: Form, username: str | None, secret_stdin: bool, **chosen: Any) -> None:
    """Change what was chosen when it was added."""
    document = {name: value for name, value in chosen.items() if value is not None}
    if (username is not None) != secret_stdin:
        raise click.UsageError("--username and --secret-stdin are given together")
    if username is not None:
        document |= {"username": username, "secret": sys.stdin.readline().rstrip("\r\n")}
    show_one(connect().send("PATCH", f"{_IMPORTS}/{number}", document), _ONE, form, "id")


@command(
    import_,
    "repositories",
    "slipway import repositories IMPORT-ID",
    "slipway import repositories IMPORT-ID --state refused",
)
@_id
@click.option("--state", type=click.Choice(_STATES), help="Only those.")
@gives_list
def repositories(number: int, state: str | None, form: Form) -> None:
    """List its repositories, and how far each is."""
    path = f"{_IMPORTS}/{number}/repositories"
    show_list(connect().pages(path, "repositories", None, state=state, n=form.page()), _REPOSITORIES, form, "path")


@command(
    import_,
    "report",
    "slipway import report IMPORT-ID",
    "slipway import report IMPORT-ID -o csv",
    "slipway import report IMPORT-ID --reason conflict -o json",
)
@_id
@click.option("--reason", help="Only those of one kind, such as conflict.")
@gives_list
def report(number: int, reason: str | None, form: Form) -> None:
    """List what could not be taken over as it was, with the reason.

    Ends with 0 if there is nothing, or only what was repaired; with 1 if something here differs from what was there;
    with 2 if all that is here is as it was, and something was refused.
    """
    client = connect()
    pages = client.pages(f"{_IMPORTS}/{number}/problems", "problems", None, reason=reason, n=form.page())
    show_list(pages, _PROBLEMS, form, "key")
    _judge(client.get(f"{_IMPORTS}/{number}")["problems"])


def _judge(problems: dict[str, int]) -> None:
    """Raises Failed for differences, Refusals for what was refused."""
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(problems.items()))
    if _DIFFERENCES & problems.keys():
        raise Failed(f"something differs: {told}")
    if problems.keys() - _TOLD_ONLY:
        raise Refusals(f"something was refused: {told}")


@command(
    import_,
    "verify",
    "slipway import verify IMPORT-ID --no-wait",
    "slipway import verify IMPORT-ID --rehash 5 --no-wait",
)
@_id
@click.option("--rehash", type=click.IntRange(1, 100), help="Read and hash so many of a hundred blobs instead.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, and tell what was found.")
@gives_one
def verify(number: int, rehash: int | None, wait: bool, form: Form) -> None:
    """Compare what is here with a fresh listing of where it came from. Ends with 1 if something differs."""
    what = "verification" if rehash is None else "rehash"
    client = connect()
    before = client.get(f"{_IMPORTS}/{number}")["counts"].get(what, {}).get("began_at")
    client.send("POST", f"{_IMPORTS}/{number}/verify", {} if rehash is None else {"rehash": rehash})
    found = client.get(f"{_IMPORTS}/{number}")
    while wait and found["state"] in _RUNNING and not _is_verified(found["counts"].get(what, {}), before):
        pause_for(FRAME_SECONDS)
        found = client.get(f"{_IMPORTS}/{number}")
    result = found["counts"].get(what, {})
    show_one(found if form.format == "json" else result, _VERIFIED, form, "checked")
    if wait and result.get("found"):
        raise Failed(f"{result['found']} differences")


def _is_verified(result: dict[str, Any], before: str | None) -> bool:
    return result.get("began_at") not in {None, before} and result.get("ended_at") is not None


@command(import_, "doctor", "slipway import doctor IMPORT-ID")
@_id
def doctor(number: int) -> None:
    """Say what is in the way of an import, and what to do about it. Ends with 1 if something is."""
    advice = list(_advice(connect().get(f"{_IMPORTS}/{number}")))
    for line in advice:
        say(line)
    if advice:
        raise Failed(f"{len(advice)} to look at")
    say("nothing is in the way")


def _advice(found: dict[str, Any]) -> Iterator[str]:
    number = found["id"]
    if found["state"] == "added":
        yield f"it was not started: slipway import start {number}"
    if found["state"] == "paused":
        yield f"it is paused ({found['reason']}): mend that, then slipway import resume {number}"
    if found["state"] == "open" and found["reason"]:
        yield f"it can't be sealed yet: {found['reason']}"
    for each in found["failing"]:
        yield f"{plain(each['path'])} fails: {plain(each['error'])}"
    for reason, times in sorted(found["problems"].items()):
        if reason not in _TOLD_ONLY:
            yield f"{times} times {reason}: slipway import report {number} --reason {reason}"


@command(
    import_, "export", "slipway import export IMPORT-ID --dry-run", "slipway import export IMPORT-ID 'team/*' --yes"
)
@_id
@_pattern
@changes
def export(number: int, repositories: str | None, yes: bool, dry_run: bool) -> None:
    """Write what changed here back into the bucket it came from, so that the way back stays short."""
    if goes_on(
        f"write {repositories or 'all repositories'} back as the older registry has them", yes=yes, dry_run=dry_run
    ):
        _act(number, "export", repositories)
        say(f"asked for; `slipway import repositories {number}` shows when it was written")


@command(
    import_,
    "hand-back",
    "slipway import hand-back IMPORT-ID 'team/*' --dry-run",
    "slipway import hand-back IMPORT-ID 'team/*' --yes",
)
@_id
@click.argument("repositories", metavar="PATTERN")
@changes
def hand_back(number: int, repositories: str, yes: bool, dry_run: bool) -> None:
    """Give repositories back: writes are refused here from now on, then what differs is written there."""
    if goes_on(f"refuse writes to {repositories} here, and write back what differs", yes=yes, dry_run=dry_run):
        _act(number, "hand-back", repositories)
        say(f"asked for; `slipway import repositories {number} --state handed_back` shows those that are through")


@command(import_, "seal", "slipway import seal IMPORT-ID --dry-run", "slipway import seal IMPORT-ID --yes")
@_id
@changes
def seal(number: int, yes: bool, dry_run: bool) -> None:
    """End it for good: what the older registry had is this one's own, and what nothing needs of it becomes garbage."""
    if goes_on("seal it, which can't be undone", yes=yes, dry_run=dry_run):
        _act(number, "seal")
        say(f"asked for; `slipway import status {number}` shows whether it is sealed, or what is in the way")


@command(import_, "rm", "slipway import rm NEW-IMPORT-ID --dry-run", "slipway import rm NEW-IMPORT-ID --yes")
@_id
@changes
def rm(number: int, yes: bool, dry_run: bool) -> None:
    """Forget one that was not started, or is sealed. Nothing that is here goes."""
    client = connect()
    found = client.get(f"{_IMPORTS}/{number}")
    if goes_on(f"forget the import of {found['address']}", yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{_IMPORTS}/{number}")
        say("forgotten")
