"""`operator migrations`: large tables that are changed in the background, for who has the database."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final

import click

from functions.migrate.background.runner import Runner
from functions.registry.metadata.background import overview
from functions.registry.metadata.background.overview import Overview
from functions.registry.metadata.background.vocabulary import Act
from slipway_cli.asking import changes, goes_on
from slipway_cli.background import LIST, line
from slipway_cli.failures import Failed, NotThere
from slipway_cli.operator.desk import Desk, opened
from slipway_cli.output import Form, gives_list, say, show_list
from slipway_cli.tree import Group, command
from slipway_cli.watching import watch

_SHOWN_EVERY_SECONDS: Final = 2.0
_name = click.argument("name", metavar="NAME")


@click.group("migrations", cls=Group)
def migrations() -> None:
    """Large tables that are changed in the background: how far, and what is to happen. `slipway migrations` asks the
    registry for the same.
    """


@command(migrations, "list", "slipway operator migrations list", is_local=True)
@gives_list
def list_(form: Form) -> None:
    """List all that there were and are, and how far each is."""
    with opened() as desk:
        found = [_shown(each) for each in overview.list_all(desk.database)]
    show_list(found, LIST, form, "name")


@command(migrations, "pause", "slipway operator migrations pause split_names", is_local=True)
@_name
def pause(name: str) -> None:
    """Do nothing more of it, until it is resumed."""
    _act(name, "pause")


@command(migrations, "resume", "slipway operator migrations resume split_names", is_local=True)
@_name
def resume(name: str) -> None:
    """Go on where it was paused."""
    _act(name, "resume")


@command(migrations, "retry", "slipway operator migrations retry failed_names", is_local=True)
@_name
def retry(name: str) -> None:
    """Try the rows again that could not be done, once what they say is mended."""
    _act(name, "retry")


@command(
    migrations,
    "finish",
    "slipway operator migrations finish tag_subjects --dry-run",
    "slipway operator migrations finish tag_subjects --yes",
    is_local=True,
)
@_name
@changes
def finish(name: str, yes: bool, dry_run: bool) -> None:
    """Work at it here and now until it is over, without rests: what stands before it in the list as well.

    It gives way to whoever waits for a lock, and to standby servers. Stopped, it goes on in the background.
    """
    with opened() as desk:
        found = _known(desk, name)
        if found.state in {"finished", "failed"}:
            say(f"{name} is {found.state}")
        elif goes_on(f"go through {found.total - found.rows} rows of {found.table}", yes=yes, dry_run=dry_run):
            overview.act(desk.database, name, "finish")
            desk.record("background-migration.finish", name)
            _work(desk, name)
            found = _known(desk, name)
        if found.state == "failed":
            raise Failed(f"{found.failures} rows could not be done", f"mend it, then: slipway migrations retry {name}")


def _work(desk: Desk, name: str) -> None:
    runner = Runner(desk.database, hurries=True)

    def some() -> tuple[str, bool]:
        until = time.monotonic() + _SHOWN_EVERY_SECONDS
        while time.monotonic() < until and runner.work(until):
            pass
        return line(_shown(_known(desk, name)))

    watch(some, 0)


def _act(name: str, act: Act) -> None:
    with opened() as desk:
        if not overview.act(desk.database, name, act):
            raise Failed(f"{name} is {_known(desk, name).state}: that can't be done with it")
        desk.record(f"background-migration.{act}", name)
        say(f"{name} is {_known(desk, name).state}")


def _known(desk: Desk, name: str) -> Overview:
    found = overview.get(desk.database, name)
    if found is None:
        raise NotThere(f"there is no migration called {name}", "slipway operator migrations list")
    return found


def _shown(found: Overview) -> dict[str, Any]:
    shown = {column: getattr(found, column) for column in Overview.__dataclass_fields__}
    return {column: value.isoformat() if isinstance(value, datetime) else value for column, value in shown.items()}
