"""The schema: as the function `migrate` moves it, for who has the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import DBAPIError

from functions.migrate.grants import Users
from functions.migrate.schema import LINES, SchemaNewer, inspect, upgrade
from functions.migrate.sql import NotFinished
from functions.registry.config import Settings
from slipway_cli.asking import changes, goes_on
from slipway_cli.failures import Away, Failed
from slipway_cli.operator.desk import settings
from slipway_cli.output import Form, gives_list, say, show_list, text
from slipway_cli.tree import Group, command


@click.group("migrate", cls=Group)
def migrate() -> None:
    """The schema. `pre` only adds, and runs before new code; `post` takes away, once no older code is left."""


@command(migrate, "status", "slipway operator migrate status", is_local=True)
@gives_list
def status(form: Form) -> None:
    """Show which revisions the database has, and which of each line it lacks."""
    with _refusals():
        schema = inspect(settings().database)
    rows = [{"revision": name, "line": name.partition("_")[0], "state": "applied"} for name in schema.current]
    rows += [{"revision": name, "line": line, "state": "pending"} for line in LINES for name in schema.pending[line]]
    show_list(rows, (text("line", "line"), text("revision", "revision"), text("state", "state")), form, "revision")


@command(migrate, "pre", "slipway operator migrate pre --dry-run", "slipway operator migrate pre --yes", is_local=True)
@changes
def pre(yes: bool, dry_run: bool) -> None:
    """Apply what has to be there before new code serves. Older code goes on working."""
    _apply("pre", yes, dry_run)


@command(
    migrate, "post", "slipway operator migrate post --dry-run", "slipway operator migrate post --yes", is_local=True
)
@changes
def post(yes: bool, dry_run: bool) -> None:
    """Apply what takes away. Older code that still runs fails from then on."""
    _apply("post", yes, dry_run)


def _apply(line: str, yes: bool, dry_run: bool) -> None:
    found = settings()
    with _refusals():
        pending = inspect(found.database).pending[line]
        if not pending:
            say(f"nothing of {line} is pending")
        elif not goes_on(f"apply {', '.join(pending)}", yes=yes, dry_run=dry_run):
            return
        if dry_run:
            return
        try:
            applied, waits = upgrade(found.database, (line,), _users(found)), ""
        except NotFinished as error:
            applied, waits = error.applied, str(error)
    for each in applied:
        say(f"applied: {each}")
    if waits:
        raise Failed(waits, "slipway operator migrations list shows how far it is")


def _users(found: Settings) -> Users:
    return Users(found.database_api_user, found.database_gc_user)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except SchemaNewer as newer:
        raise Failed(str(newer)) from newer
    except DBAPIError as error:
        raise Away(f"the database can't be used: {error.orig}", "is it up, and SLIPWAY_DATABASE right?") from error
