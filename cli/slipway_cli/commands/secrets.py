"""`secret`: what users and robots sign in with; shown once, in the form that its place takes."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.accounts import PRINCIPALS, principal
from slipway_cli.completing import PRINCIPAL
from slipway_cli.failures import NotThere
from slipway_cli.output import Form, gives_list, gives_one, say, show_list, show_one, text, time, write_line
from slipway_cli.references import Principal
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting
from slipway_cli.tree import Group, command

_COLUMNS: Final = (
    text("id", "id"),
    text("name", "name"),
    time("created", "created_at"),
    time("last used", "last_used_at"),
    time("expires", "expires_at"),
    time("revoked", "revoked_at"),
)
PLACES: Final = ("secret", "docker-config", "kubernetes", "github")


@click.group("secret", cls=Group)
def secret() -> None:
    """Secrets, which sign a user or a robot in. Nobody knows them but who made them."""


@command(secret, "list", "slipway secret list ci", "slipway secret list ci -o json")
@click.argument("name", metavar="PRINCIPAL", type=Principal(), shell_complete=PRINCIPAL)
@gives_list
def list_(name: str, form: Form) -> None:
    """List the secrets of a user or a robot, without the secrets themselves: since when, used when, until when."""
    client = connect()
    principal(client, name)
    show_list(client.get(f"{PRINCIPALS}/{name}/secrets")["secrets"], _COLUMNS, form, "id")


@command(
    secret,
    "add",
    "slipway secret add ci laptop --days 90",
    "slipway secret add ci runner --print docker-config > config.json",
    "slipway secret add ci cluster --print kubernetes",
    "slipway secret add ci actions --print github",
)
@click.argument("name", metavar="PRINCIPAL", type=Principal(), shell_complete=PRINCIPAL)
@click.argument("label")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; for ever if left out.")
@click.option("--print", "place", type=click.Choice(PLACES), help="The secret alone, or as its place takes it.")
@gives_one
def add(name: str, label: str, days: int | None, place: str | None, form: Form) -> None:
    """Make a secret: it is shown this once. LABEL is what you call it.

    --print github prints the commands of GitHub's `gh` that keep it in a repository; as a trusted publisher a
    workflow needs no secret at all.
    """
    client = connect()
    principal(client, name)
    asked = {"name": label, **({"expires_in_days": days} if days else {})}
    made = client.send("POST", f"{PRINCIPALS}/{name}/secrets", asked)
    if place is None:
        columns = (text("id", "id"), text("name", "name"), text("secret", "secret"), time("expires", "expires_at"))
        show_one(made, columns, form, "id")
    else:
        write_line(_printed(place, client.registry.host, name, made["secret"]))
    say("it is shown this once")


def _printed(place: str, host: str, name: str, value: str) -> str:
    match place:
        case "docker-config":
            return json.dumps(_docker_config(host, name, value), indent=2)
        case "kubernetes":
            held = base64.b64encode(json.dumps(_docker_config(host, name, value)).encode()).decode()
            title = "".join(sign if sign.isalnum() else "-" for sign in f"slipway-{name}").strip("-")
            return (
                f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {title}\n"
                f"type: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: {held}"
            )
        case "github":
            return (
                f"gh secret set SLIPWAY_SECRET --body '{value}'\n"
                f"gh variable set SLIPWAY_USER --body '{name}'\n"
                f"gh variable set SLIPWAY_REGISTRY --body '{host}'"
            )
    return value


def _docker_config(host: str, name: str, value: str) -> dict[str, Any]:
    return {"auths": {host: {"auth": base64.b64encode(f"{name}:{value}".encode()).decode()}}}


@command(secret, "rm", "slipway secret rm ci SECRET-ID --dry-run", "slipway secret rm ci SECRET-ID --yes")
@click.argument("name", metavar="PRINCIPAL", type=Principal(), shell_complete=PRINCIPAL)
@click.argument("identity", metavar="ID|LABEL")
@changes
def rm(name: str, identity: str, yes: bool, dry_run: bool) -> None:
    """Revoke a secret: it is good no more, nor is any refresh token that came from it."""
    client = connect()
    principal(client, name)
    known = client.get(f"{PRINCIPALS}/{name}/secrets")["secrets"]
    good = [each for each in known if each["revoked_at"] is None]
    found = [each for each in good if identity in {each["id"], each["name"]}]
    with suggesting(identity, (each["name"] for each in good)):
        if not found:
            raise NotThere(f"{name} has no secret {identity} that is still good", f"`slipway secret list {name}`")
    if len(found) > 1:
        raise click.UsageError(f"{len(found)} secrets are called {identity}: say which by its ID")
    key, label = found[0]["id"], found[0]["name"]
    if goes_on(f"revoke secret {key} ({label}) of {name}", yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{PRINCIPALS}/{name}/secrets/{key}")
        say(f"{label} ({key}) is revoked")
