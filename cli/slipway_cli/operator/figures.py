"""What only the database is asked: a recount without a limit of time, and the registry's graces."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import click

from functions.registry.metadata.gc.status import SettingRefused, set_grace
from functions.registry.metadata.usage.recount import recount as recount_all
from slipway_cli.failures import Failed
from slipway_cli.operator.desk import opened
from slipway_cli.output import say
from slipway_cli.tree import alone
from slipway_cli.units import Length, length

EVENTS: Final = ("push", "untag", "cascade", "upload", "lease", "unlink", "delete", "import", "orphan")


@alone("recount", "slipway operator recount", is_local=True)
def recount() -> None:
    """Count all figures anew while pushes go on, however long it takes. Exit code 1 if one of them is wrong."""
    with opened() as desk:
        found = recount_all(desk.database)
    for difference in found.differences:
        name = f"{difference.scope} {difference.name}".strip()
        say(f"{name}: {difference.figure} is {difference.kept}, and should be {difference.counted}")
    say(f"{found.repositories} repositories and {found.namespaces} namespaces counted")
    if found.differences:
        raise Failed(f"{len(found.differences)} figures are wrong")


@alone("grace", "slipway operator grace untag 7d", "slipway operator grace push 36h --dry-run", is_local=True)
@click.argument("event", type=click.Choice(EVENTS))
@click.argument("duration", type=Length())
@click.option("--dry-run", is_flag=True, help="Say what would be set, and do nothing.")
def grace(event: str, duration: int, dry_run: bool) -> None:
    """Set how long garbage is kept: after losing its tag (untag), never having had one (push), and so on."""
    if dry_run:
        say(f"would keep what {event} leaves for {length(duration)}; nothing was done")
        return
    with opened() as desk:
        try:
            set_grace(desk.database, event, timedelta(seconds=duration))
        except SettingRefused as refused:
            raise Failed(str(refused)) from refused
        desk.record("gc.set-grace", event, seconds=duration)
    say(f"{event}: {length(duration)}, from the next event on")
