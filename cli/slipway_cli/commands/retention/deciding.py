"""What becomes of a run: `retention apply`, `drop` and `undo`."""

from __future__ import annotations

from typing import Any

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.retention.shown import RUNS, run_argument
from slipway_cli.failures import Failed
from slipway_cli.output import plain, say
from slipway_cli.session import connect
from slipway_cli.tree import alone


@alone(
    "apply",
    "slipway retention apply RETENTION-RUN --dry-run",
    "slipway retention apply RETENTION-RUN --yes",
)
@run_argument
@changes
def apply(number: int, yes: bool, dry_run: bool) -> None:
    """Remove what a plan, or a run that is held, shows: nothing else, and nothing that was pushed since."""
    client = connect()
    run = client.get(f"{RUNS}/{number}")
    what = f"remove {run['waiting']} tags by the policy {run['policy']}, of {run['repositories']}"
    if goes_on(what, yes=yes, dry_run=dry_run):
        _say_applied(client.send("POST", f"{RUNS}/{number}/apply", {}))


@alone("drop", "slipway retention drop RETENTION-PLAN --dry-run", "slipway retention drop RETENTION-PLAN --yes")
@run_argument
@changes
def drop(number: int, yes: bool, dry_run: bool) -> None:
    """End a plan or a run that is held: nothing of it is removed. What is still due comes again in the next run."""
    client = connect()
    run = client.get(f"{RUNS}/{number}")
    if goes_on(f"drop run {number} of the policy {run['policy']}", yes=yes, dry_run=dry_run):
        client.send("POST", f"{RUNS}/{number}/drop", {})
        say(f"run {number} is dropped")


@alone("undo", "slipway retention undo RETENTION-DONE --dry-run", "slipway retention undo RETENTION-DONE --yes")
@run_argument
@changes
def undo(number: int, yes: bool, dry_run: bool) -> None:
    """Put back what a run removed, unless somebody has set the tag since. No policy takes it again for a while."""
    client = connect()
    run = client.get(f"{RUNS}/{number}")
    if goes_on(
        f"put back {run['removed']} tags that run {number} of {run['policy']} removed", yes=yes, dry_run=dry_run
    ):
        state = "undoing"
        while state == "undoing":
            state = client.send("POST", f"{RUNS}/{number}/undo", {})["state"]
        say(f"run {number} is undone; what could not be put back: slipway retention verdicts {number} --outcome lost")


def _say_applied(run: dict[str, Any]) -> None:
    if run["state"] not in {"applying", "done"}:
        raise Failed(f"run {run['id']} is {run['state']}: {plain(run['reason'])}")
    say(f"{run['removed']} tags removed, {run['left_alone']} left alone")
    if run["state"] == "applying":
        say(f"{run['waiting']} more go with the garbage collection: slipway retention status {run['id']}")
