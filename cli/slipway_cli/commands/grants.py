"""`grant`: who has which role where."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.completing import NAMESPACE, PRINCIPAL
from slipway_cli.failures import NotThere
from slipway_cli.output import Column, Form, gives_list, gives_one, say, show_list, show_one, text
from slipway_cli.patterns import warn_of_one
from slipway_cli.references import Namespace, Principal
from slipway_cli.session import connect
from slipway_cli.suggesting import principals, suggesting
from slipway_cli.tree import Group, command

ROLES: Final = ("reader", "writer", "maintainer", "admin")
ANYONE: Final = "anyone"
_COLUMNS: Final = (
    text("id", "id"),
    Column("principal", "principal", lambda name: ANYONE if name is None else str(name)),
    text("repositories", "repositories"),
    text("role", "role"),
)


@click.group("grant", cls=Group)
def grant() -> None:
    """Grants: the role that a user, a robot or anyone has in the repositories that a pattern matches.

    reader pulls, writer pushes too, maintainer deletes too, admin administers.
    """


@command(
    grant,
    "list",
    "slipway grant list",
    "slipway grant list --principal ci",
    "slipway grant list --namespace team -o json",
)
@click.option("--principal", help="Of one of them.", type=Principal(), shell_complete=PRINCIPAL)
@click.option(
    "--namespace", help="Within one namespace; its administrators name it.", type=Namespace(), shell_complete=NAMESPACE
)
@gives_list
def list_(principal: str | None, namespace: str | None, form: Form) -> None:
    """List the grants, by pattern."""
    client = connect()
    found = client.pages("/api/v1/grants", "grants", None, n=form.page(), principal=principal, namespace=namespace)
    with suggesting(principal or "", principals(client)):
        show_list(found, _COLUMNS, form, "id")


@command(
    grant,
    "add",
    "slipway grant add ci 'team/**' writer",
    "slipway grant add anyone 'public/*' reader",
)
@click.argument("principal", type=Principal(), shell_complete=PRINCIPAL)
@click.argument("repositories", metavar="PATTERN")
@click.argument("role", type=click.Choice(ROLES))
@click.option(
    "--namespace", type=Namespace(), help="Of a robot of another namespace than the pattern's: says that it is meant."
)
@gives_one
def add(principal: str, repositories: str, role: str, namespace: str | None, form: Form) -> None:
    """Give a role, in place of the one held by the same pattern.

    PATTERN is a repository's name, or many: `*` stands for anything within a part of it, `**` across parts, and
    'team/**' for all in the namespace team. PRINCIPAL is a name, or `anyone`, who may be reader.
    """
    client = connect()
    asked = {"principal": None if principal == ANYONE else principal, "repositories": repositories, "role": role}
    if namespace is not None:
        asked["namespace"] = namespace
    with suggesting(principal, principals(client)):
        show_one(client.send("POST", "/api/v1/grants", asked), _COLUMNS, form, "id")
    warn_of_one(repositories, f"slipway grant add {principal} {{}} {role}")


@command(grant, "rm", "slipway grant rm GRANT-ID --dry-run", "slipway grant rm GRANT-ID --yes")
@click.argument("identity", metavar="ID", type=int)
@click.option(
    "--namespace",
    help="Of the grant; administrators of a namespace name it.",
    type=Namespace(),
    shell_complete=NAMESPACE,
)
@changes
def rm(identity: int, namespace: str | None, yes: bool, dry_run: bool) -> None:
    """Take a grant away."""
    client = connect()
    known = client.pages("/api/v1/grants", "grants", None, n=1000, namespace=namespace)
    found = next((each for each in known if each["id"] == identity), None)
    if found is None:
        raise NotThere(f"there is no grant {identity}", "`slipway grant list` has their numbers")
    who = found["principal"] or ANYONE
    if goes_on(f"take from {who} the role {found['role']} in {found['repositories']}", yes=yes, dry_run=dry_run):
        client.send("DELETE", f"/api/v1/grants/{identity}")
        say(f"grant {identity} is gone")
