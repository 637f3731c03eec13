"""`namespace`: the first parts of repositories' names, with their figures."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.completing import NAMESPACE
from slipway_cli.output import Column, Form, count, gives_list, gives_one, show_list, show_one, size, text, time
from slipway_cli.references import Namespace
from slipway_cli.session import connect
from slipway_cli.suggesting import namespaces, suggesting
from slipway_cli.tree import Group, command
from slipway_cli.units import Length, length

_COLUMNS: Final = (
    text("namespace", "name"),
    count("repositories", "repositories"),
    count("tags", "tags"),
    size("size", "bytes"),
    size("quota", "quota.bytes"),
    count("pulls", "pulls"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
)


@click.group("namespace", cls=Group)
def namespace() -> None:
    """Namespaces, the first parts of repositories' names: what each holds, each blob counted once."""


@command(namespace, "list", "slipway namespace list", "slipway namespace list --sort=-size -o csv")
@click.option("--name", metavar="TEXT", help="Only those with this in their name.")
@click.option(
    "--sort", metavar="FIELD", help="name, size, pushed, pulled, pulls, tags, repositories; -size: largest first."
)
@gives_list
def list_(name: str | None, sort: str | None, form: Form) -> None:
    """List namespaces with their figures. For administrators of the registry."""
    show_list(
        connect().pages("/api/v1/namespaces", "namespaces", None, n=form.page(), name=name, sort=sort), _COLUMNS, form
    )


@command(namespace, "show", "slipway namespace show team", "slipway namespace show team -o json")
@click.argument("name", metavar="NAMESPACE", type=Namespace(), shell_complete=NAMESPACE)
@gives_one
def show(name: str, form: Form) -> None:
    """Show the figures of one namespace."""
    client = connect()
    with suggesting(name, namespaces(client)):
        show_one(client.get(f"/api/v1/namespaces/{name}"), _COLUMNS, form)


@command(
    namespace,
    "settings",
    "slipway namespace settings team --undo 14d",
    "slipway namespace settings team --default-undo",
)
@click.argument("name", metavar="NAMESPACE", shell_complete=NAMESPACE)
@click.option("--undo", type=Length(), help="How long what is deleted can be put back: 24h, 14d; 0s for not at all.")
@click.option("--default-undo", is_flag=True, help="As long as the registry says.")
@gives_one
def settings(name: str, undo: int | None, default_undo: bool, form: Form) -> None:
    """Set how long what is deleted in a namespace can be put back. For administrators of the registry."""
    if (undo is None) == (not default_undo):
        raise click.UsageError("either --undo or --default-undo")
    client = connect()
    with suggesting(name, namespaces(client)):
        done = client.send("PATCH", f"/api/v1/namespaces/{name}", {"undo_seconds": undo})
    kept = Column("undo", "undo_seconds", lambda seconds: "the registry's" if seconds is None else length(seconds))
    show_one(done, (text("namespace", "name"), kept), form)
