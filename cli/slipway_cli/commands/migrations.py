"""`migrations`: large tables that are changed in the background."""

from __future__ import annotations

from typing import Any, Final

import click

from slipway_cli.background import FAILED, LIST, ONE, line
from slipway_cli.output import Form, gives_list, gives_one, show_list, show_one
from slipway_cli.session import connect
from slipway_cli.tree import Group, command
from slipway_cli.watching import FRAME_SECONDS, watch

_PATH: Final = "/api/v1/background-migrations"
_name = click.argument("name", metavar="NAME")


@click.group("migrations", cls=Group)
def migrations() -> None:
    """Large tables that are changed in the background, after a release, while people push and pull."""


@command(migrations, "list", "slipway migrations list", "slipway migrations list -o json")
@gives_list
def list_(form: Form) -> None:
    """List all that there were and are, and how far each is."""
    show_list(connect().get(_PATH)["migrations"], LIST, form, "name")


@command(migrations, "show", "slipway migrations show tag_subjects", "slipway migrations show tag_subjects -o json")
@_name
@click.option("--watch", "watches", is_flag=True, help="Go on showing how far it is, until it is over or paused.")
@gives_one
def show(name: str, watches: bool, form: Form) -> None:
    """Show how far one is, with the first rows that could not be done."""
    client = connect()
    if watches:
        watch(lambda: line(client.get(f"{_PATH}/{name}")), FRAME_SECONDS)
    found = client.get(f"{_PATH}/{name}")
    show_one(found, ONE, form, "name")
    if found["failed_rows"] and form.format == "table":
        show_list(found["failed_rows"], FAILED, form, "key")


def _act(name: str, act: str, form: Form) -> None:
    found: dict[str, Any] = connect().send("POST", f"{_PATH}/{name}/{act}", {})
    show_one(found, ONE, form, "name")


@command(migrations, "pause", "slipway migrations pause split_names")
@_name
@gives_one
def pause(name: str, form: Form) -> None:
    """Do nothing more of it, until it is resumed."""
    _act(name, "pause", form)


@command(migrations, "resume", "slipway migrations resume split_names")
@_name
@gives_one
def resume(name: str, form: Form) -> None:
    """Go on where it was paused."""
    _act(name, "resume", form)


@command(migrations, "retry", "slipway migrations retry failed_names")
@_name
@gives_one
def retry(name: str, form: Form) -> None:
    """Try the rows again that could not be done, once what they say is mended."""
    _act(name, "retry", form)


@command(migrations, "finish", "slipway migrations finish split_names")
@_name
@gives_one
def finish(name: str, form: Form) -> None:
    """Go on without rests. It still gives way to whoever waits for a lock, and to standby servers."""
    _act(name, "finish", form)
