"""`explain`: may somebody do something, and why."""

from __future__ import annotations

from typing import Any

import click

from slipway_cli.commands.grants import ANYONE
from slipway_cli.completing import PRINCIPAL, REFERENCE
from slipway_cli.failures import Failed
from slipway_cli.output import Column, Form, gives_one, show_one, text
from slipway_cli.references import Image, Principal, Reference
from slipway_cli.session import connect
from slipway_cli.suggesting import principals, suggesting
from slipway_cli.tree import alone


def _grant(grant: dict[str, Any] | None) -> str:
    if grant is None:
        return "none"
    who = grant["principal"] or ANYONE
    return f"{grant['id']}: {who} is {grant['role']} in {grant['repositories']}"


@alone(
    "explain",
    "slipway explain ci push team/app:v1",
    "slipway explain anyone pull team/app",
    "slipway explain alice delete team/app:v1 -o json",
)
@click.argument("principal", type=Principal(), shell_complete=PRINCIPAL)
@click.argument("action", type=click.Choice(["pull", "push", "delete"]))
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
@gives_one
def explain(principal: str, action: str, reference: Reference, form: Form) -> None:
    """May PRINCIPAL pull, push or delete there? Says by which grant, and which rule stands against it.

    PRINCIPAL is a name, or `anyone`. Exit code 1 for no.
    """
    if reference.digest:
        raise click.UsageError("rules are about tags: name a repository or a tag")
    client = connect()
    asked = {"action": action, "repository": reference.repository, "tag": reference.tag}
    if principal != ANYONE:
        asked["principal"] = principal
    with suggesting(principal, principals(client)):
        found = client.get("/api/v1/explain", **asked)
    columns = (
        text("allowed", "allowed"),
        text("because", "reason"),
        Column("grant", "grant", _grant),
    )
    show_one(found, columns, form, "allowed")
    if not found["allowed"]:
        raise Failed(f"{principal} may not {action} {reference}")
