"""`quota`: how much a namespace may hold."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.completing import NAMESPACE
from slipway_cli.failures import NotThere
from slipway_cli.output import Form, count, gives_list, gives_one, say, show_list, show_one, size, text
from slipway_cli.references import Namespace
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting
from slipway_cli.tree import Group, command
from slipway_cli.units import Size
from slipway_cli.units import size as size_text

_COLUMNS: Final = (
    text("namespace", "namespace"),
    size("used", "used_bytes"),
    size("of", "bytes"),
    count("repositories", "used_repositories"),
    count("of", "repositories"),
)


@click.group("quota", cls=Group)
def quota() -> None:
    """Quotas: how much a namespace may hold, bytes, each blob counted once, and repositories."""


@command(quota, "list", "slipway quota list", "slipway quota list -o json")
@gives_list
def list_(form: Form) -> None:
    """List the quotas, and how much of each is used."""
    show_list(connect().pages("/api/v1/quotas", "quotas", None, n=form.page()), _COLUMNS, form, "namespace")


@command(quota, "show", "slipway quota show team")
@click.argument("namespace", type=Namespace(), shell_complete=NAMESPACE)
@gives_one
def show(namespace: str, form: Form) -> None:
    """Show the quota of one namespace."""
    client = connect()
    known = (each["namespace"] for each in client.pages("/api/v1/quotas", "quotas", 1000))
    with suggesting(namespace, known):
        show_one(client.get(f"/api/v1/namespaces/{namespace}/quota"), _COLUMNS, form, "namespace")


@command(
    quota,
    "set",
    "slipway quota set team --bytes 20GB --repositories 50",
    "slipway quota set team --bytes 1TiB --dry-run",
)
@click.argument("namespace", type=Namespace(), shell_complete=NAMESPACE)
@click.option("--bytes", "most", type=Size(), help="At most so many; no limit if left out.")
@click.option("--repositories", type=click.IntRange(0), help="At most so many; no limit if left out.")
@click.option("--dry-run", is_flag=True, help="Say what would be set, and do nothing.")
@gives_one
def set_(namespace: str, most: int | None, repositories: int | None, dry_run: bool, form: Form) -> None:
    """Set a quota, in place of the one that there was. It takes nothing away, and holds from the next push on."""
    if most is None and repositories is None:
        raise click.UsageError("--bytes, --repositories or both; `quota rm` takes a quota away")
    client = connect()
    if dry_run:
        held = _held(client, namespace)
        goes_on(f"let {namespace} hold {_limits(most, repositories)}; now it holds {held}", yes=True, dry_run=True)
        return
    asked = {"bytes": most, "repositories": repositories}
    show_one(client.send("PUT", f"/api/v1/namespaces/{namespace}/quota", asked), _COLUMNS, form, "namespace")


@command(quota, "rm", "slipway quota rm team --dry-run", "slipway quota rm team --yes")
@click.argument("namespace", type=Namespace(), shell_complete=NAMESPACE)
@changes
def rm(namespace: str, yes: bool, dry_run: bool) -> None:
    """Take a quota away: the namespace may hold anything."""
    client = connect()
    path = f"/api/v1/namespaces/{namespace}/quota"
    held = client.get(path)
    what = f"take away the quota of {namespace}: {_limits(held['bytes'], held['repositories'])}"
    if goes_on(what, yes=yes, dry_run=dry_run):
        client.send("DELETE", path)
        say(f"{namespace} has no quota")


def _held(client: Client, namespace: str) -> str:
    try:
        found = client.get(f"/api/v1/namespaces/{namespace}")
    except NotThere:
        return "nothing"
    return _limits(found["bytes"], found["repositories"])


def _limits(most: int | None, repositories: int | None) -> str:
    size_of = "any size" if most is None else size_text(most)
    return f"{size_of} and {'any number of' if repositories is None else repositories} repositories"
