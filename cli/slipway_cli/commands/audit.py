"""`audit`: the trail of changes and refusals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import click

from slipway_cli.client import Client
from slipway_cli.commands.accounts import PRINCIPALS
from slipway_cli.completing import NAMESPACE, PRINCIPAL
from slipway_cli.failures import NoRight, NotThere
from slipway_cli.output import Column, Form, gives_list, plain, say, show_list, text
from slipway_cli.output import time as moment
from slipway_cli.references import Namespace, Principal
from slipway_cli.session import connect
from slipway_cli.suggesting import principals, suggesting
from slipway_cli.tree import alone

_PATH: Final = "/api/v1/audit"
_SECONDS: Final = 2.0
_COLUMNS: Final = (
    moment("at", "at"),
    text("action", "action"),
    text("outcome", "outcome"),
    text("who", "principal"),
    text("resource", "resource"),
    Column("what", "details", lambda details: plain(details.get("tags") or details.get("reference"))),
    text("from", "address"),
    text("reason", "reason"),
)


@alone(
    "audit",
    "slipway audit --limit 5",
    "slipway audit --resource team/app",
    "slipway audit --resource team/app:old",
    "slipway audit --resource team/app --action tags.delete",
    "slipway audit --principal ci --outcome denied -o jsonl",
)
@click.option("--principal", help="Of one of them: alice, or user:alice as the trail has it.", shell_complete=PRINCIPAL)
@click.option("--resource", help="About one thing: a repository, a tag of it, a pattern, user:alice.")
@click.option("--action", help="Of one action: manifest.delete, grant.add, …")
@click.option("--outcome", type=click.Choice(["success", "denied", "error"]), help="With one outcome.")
@click.option(
    "--namespace", help="In one namespace; its administrators name it.", type=Namespace(), shell_complete=NAMESPACE
)
@click.option("--before", metavar="ID", help="Before an entry.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@gives_list
def audit(form: Form, follow: bool, principal: str | None, **filters: Any) -> None:
    """Who did what, and what was refused: the latest first, or with --follow as it happens.

    Who deleted a tag? `slipway history REPOSITORY:TAG` says it, also where its manifest was deleted, as skopeo does.
    """
    client = connect()
    if principal is not None:
        filters["principal"] = _label(client, principal, filters["namespace"])
    about = _split(filters)
    if not follow:
        entries = client.pages(_PATH, "entries", None, n=form.page(), **filters)
        if not show_list(filter(about, entries), _COLUMNS, form, "id"):
            _suggest_action(client, filters)
        return
    # An entry at a time, in a form that has no end.
    streamed = replace(form, format="jsonl" if form.format == "json" else form.format, limit=0)
    show_list(filter(about, _following(client, filters)), _COLUMNS, streamed, "id", at_once=1)


def _split(filters: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """Asks for the repository where a tag is meant. Returns what lets the entries about that tag pass, or all."""
    name, colon, tag = (filters["resource"] or "").rpartition(":")
    if not colon or name in {"user", "robot"}:
        return lambda _: True
    filters["resource"] = name
    return lambda entry: tag == entry["details"].get("reference") or tag in (entry["details"].get("tags") or ())


def _suggest_action(client: Client, filters: dict[str, Any]) -> None:
    """Nothing of an action may be found because it is called otherwise."""
    if (action := filters["action"]) is not None:
        latest = client.get(_PATH, n=1000, namespace=filters["namespace"])["entries"]
        known = sorted({entry["action"] for entry in latest})
        if action not in known:
            say(f"there is no {action} among the latest entries: these are {', '.join(known) or 'none'}")


def _label(client: Client, name: str, namespace: str | None) -> str:
    """Names somebody as the trail does: `user:alice`. Raises NotThere for a name that neither exists nor is in the
    trail.
    """
    if ":" in name:
        return name
    try:
        found = client.get(f"{PRINCIPALS}/{Principal().convert(name, None, None)}")
        return f"{found['kind']}:{found['name']}"
    except (NotThere, NoRight):
        # Somebody who is gone is in the trail all the same, and so is the operator, who never was a user or a robot.
        for label in (f"user:{name}", f"robot:{name}", name):
            if client.get(_PATH, n=1, principal=label, namespace=namespace)["entries"]:
                return label
    with suggesting(name, principals(client)):
        raise NotThere(f"nobody is called {name}, and the trail has nobody of that name")


def _following(client: Client, filters: dict[str, Any]) -> Iterator[Any]:
    """Yields the last ten, then each new one, the oldest first."""
    latest = client.get(_PATH, n=10, **filters)["entries"]
    seen = max((entry["id"] for entry in latest), default=0)
    yield from reversed(latest)
    while True:
        # Whoever reads it is not to wait for more of them.
        sys.stdout.flush()
        time.sleep(_SECONDS)
        fresh = []
        for entry in client.pages(_PATH, "entries", None, n=100, **filters):
            if entry["id"] <= seen:
                break
            fresh.append(entry)
        seen = max((entry["id"] for entry in fresh), default=seen)
        yield from reversed(fresh)
