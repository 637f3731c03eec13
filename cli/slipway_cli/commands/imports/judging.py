"""Whether all is here as it was: `import report`, `verify` and `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click

from slipway_cli.commands.imports.shown import IMPORTS, RUNNING, number_argument
from slipway_cli.failures import Failed
from slipway_cli.output import Form, count, gives_list, gives_one, plain, say, show_list, show_one, text, time
from slipway_cli.session import connect
from slipway_cli.through import Comparison, older
from slipway_cli.tree import alone
from slipway_cli.watching import FRAME_SECONDS, pause_for

# What could not be taken over, or not as it was; beside these a reason means that the thing is here all the same.
_DIFFERENCES: Final = frozenset({"conflict", "blob_missing", "child_missing", "blob_size", "blob_digest"})
_TOLD_ONLY: Final = frozenset({"stray", "link_repaired", "tag_repaired"})
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
# What lies beside a layout that is stale.
_IN_DATABASE: Final = "lockfiles/database-in-use"
# Where the names of repositories come from.
_WHERE: Final = {
    "layout": "the address is that of what holds docker/registry/v2/repositories",
    "registry": "its catalog names no repository to this user; --only names some",
}


class Refusals(Failed):
    """All that there is here is as it was there; but something could not be taken over."""

    code = 2


@alone(
    "report",
    "slipway import report IMPORT-ID",
    "slipway import report IMPORT-ID -o csv",
    "slipway import report IMPORT-ID --reason conflict -o json",
)
@number_argument
@click.option("--reason", help="Only those of one kind, such as conflict.")
@gives_list
def report(number: int, reason: str | None, form: Form) -> None:
    """List what could not be taken over as it was, with the reason.

    Ends with 0 if there is nothing, or only what was repaired; with 1 if something here differs from what was there;
    with 2 if all that is here is as it was, and something was refused.
    """
    client = connect()
    pages = client.pages(f"{IMPORTS}/{number}/problems", "problems", None, reason=reason, n=form.page())
    show_list(pages, _PROBLEMS, form, "key")
    _judge(client.get(f"{IMPORTS}/{number}")["problems"])


def _judge(problems: dict[str, int]) -> None:
    """Raises Failed for differences, Refusals for what was refused."""
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(problems.items()))
    if _DIFFERENCES & problems.keys():
        raise Failed(f"something differs: {told}")
    if problems.keys() - _TOLD_ONLY:
        raise Refusals(f"something was refused: {told}")


@alone(
    "verify",
    "slipway import verify IMPORT-ID --no-wait",
    "slipway import verify IMPORT-ID --rehash 5 --no-wait",
    "slipway import verify IMPORT-ID --through-old HOST",
)
@number_argument
@click.option("--rehash", type=click.IntRange(1, 100), help="Read and hash so many of a hundred blobs instead.")
@click.option("--through-old", "old", metavar="REGISTRY", help="Pull everything from there and from here instead.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, and tell what was found.")
@gives_one
def verify(number: int, rehash: int | None, old: str | None, wait: bool, form: Form) -> None:
    """Compare what is here with a fresh listing of where it came from. Ends with 1 if something differs."""
    if old is not None:
        if rehash is not None:
            raise click.UsageError("--through-old and --rehash are two ways: one at a time")
        _verify_through(number, old, form)
        return
    what = "verification" if rehash is None else "rehash"
    client = connect()
    before = client.get(f"{IMPORTS}/{number}")["counts"].get(what, {}).get("began_at")
    client.send("POST", f"{IMPORTS}/{number}/verify", {} if rehash is None else {"rehash": rehash})
    found = client.get(f"{IMPORTS}/{number}")
    while wait and found["state"] in RUNNING and not _is_verified(found["counts"].get(what, {}), before):
        pause_for(FRAME_SECONDS)
        found = client.get(f"{IMPORTS}/{number}")
    result = found["counts"].get(what, {})
    show_one(found if form.format == "json" else result, _VERIFIED, form, "checked")
    if wait and result.get("found"):
        raise Failed(f"{result['found']} differences")


def _verify_through(number: int, old: str, form: Form) -> None:
    """Takes as long as pulling all of it twice."""
    client = connect()
    comparison = Comparison(client, older(old))
    began = datetime.now(UTC)
    for each in client.pages(f"{IMPORTS}/{number}/repositories", "repositories", None, state="imported"):
        comparison.repository(each["path"], each["name"])
    result = {
        "checked": comparison.checked,
        "found": comparison.found,
        "differences": comparison.differences,
        "began_at": began.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
    }
    show_one(result, _VERIFIED, form, "checked")
    if comparison.unshown:
        say(f"not compared: {comparison.unshown}, which the older registry itself can't show")
    if comparison.found:
        raise Failed(f"{comparison.found} differences")


def _is_verified(result: dict[str, Any], before: str | None) -> bool:
    return result.get("began_at") not in {None, before} and result.get("ended_at") is not None


@alone("doctor", "slipway import doctor IMPORT-ID")
@number_argument
def doctor(number: int) -> None:
    """Say what is in the way of an import, and what to do about it. Ends with 1 if something is."""
    advice = list(_advice(connect().get(f"{IMPORTS}/{number}")))
    for line in advice:
        say(line)
    if advice:
        raise Failed(f"{len(advice)} to look at")
    say("nothing is in the way")


def _advice(found: dict[str, Any]) -> Iterator[str]:
    number = found["id"]
    if found["state"] == "added":
        yield f"it was not started: slipway import start {number}"
    if found["state"] == "paused" and _IN_DATABASE in found["reason"]:
        yield f"{found['reason']}: slipway import rm {number}, then slipway import add https://HOST"
    elif found["state"] == "paused":
        yield f"it is paused ({found['reason']}): mend that, then slipway import resume {number}"
    if found["state"] in {"opening", "listing"} and found["reason"]:
        yield f"it waits for {found['address']}, and tries again: {found['reason']}"
    if found["listed_at"] is not None and not found["repositories"]:
        yield f"nothing was found at {found['address']}: {_WHERE[found['kind']]}"
    if found["state"] == "open" and found["reason"]:
        yield f"it can't be sealed yet: {found['reason']}"
    for each in found["failing"]:
        yield f"{plain(each['path'])} fails: {plain(each['error'])}"
    for reason, times in sorted(found["problems"].items()):
        if reason not in _TOLD_ONLY:
            yield f"{times} times {reason}: slipway import report {number} --reason {reason}"
