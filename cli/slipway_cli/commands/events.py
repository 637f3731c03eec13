"""`events`: who is told of changes, what became of that, and the changes themselves."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.completing import NAMESPACE
from slipway_cli.failures import NotThere
from slipway_cli.output import Column, Form, count, gives_list, gives_one, say, show_list, show_one, text, time
from slipway_cli.session import connect
from slipway_cli.tree import Group, command

_EVENTS: Final = "/api/v1/events"
_SUBSCRIPTIONS: Final = "/api/v1/subscriptions"
FORMATS: Final = ("cloudevents", "distribution", "distribution-v1", "gar")
_SECONDS: Final = 2.0
_SAID_ONCE: Final = "the secret is shown this once"

_LIST: Final = (
    text("id", "id"),
    text("name", "name"),
    text("repositories", "repositories"),
    text("to", "target"),
    text("format", "format"),
    text("state", "state"),
    count("waiting", "waiting"),
    count("dead", "dead"),
)
_ONE: Final = (
    *_LIST,
    text("reason", "reason"),
    text("tags", "tags"),
    Column("kinds", "kinds", lambda kinds: " ".join(kinds) if kinds else "all"),
    text("in order", "is_ordered"),
    text("own header", "has_header"),
    time("former secret until", "previous_until"),
    text("made by", "created_by"),
    time("made", "created_at"),
)
_MADE: Final = (*_ONE, text("secret", "secret"))
_DELIVERIES: Final = (
    count("event", "event"),
    time("happened", "at"),
    text("kind", "kind"),
    text("repository", "repository"),
    text("tag", "tag"),
    text("state", "state"),
    count("attempts", "attempts"),
    count("status", "status"),
    count("ms", "ms"),
    text("answer", "answer"),
)
_HAPPENED: Final = (
    time("at", "time"),
    Column("kind", "type", lambda kind: str(kind).removeprefix("dev.slipway.").removesuffix(".v1")),
    text("what", "subject"),
    text("who", "data.actor"),
    text("why", "data.cause"),
)


@click.group("events", cls=Group)
def events() -> None:
    """Events: changes of repositories and tags, told to whoever subscribed.

    To a receiver of webhooks, to a topic of Pub/Sub, or to whoever asks (`--to poll`, then `slipway events tail`).
    """


_subscription = click.argument("name", metavar="SUBSCRIPTION")
_namespace = click.option("--namespace", help="Of one namespace; its administrators name it.", shell_complete=NAMESPACE)


@command(events, "list", "slipway events list", "slipway events list --namespace team -o json")
@_namespace
@gives_list
def list_(namespace: str | None, form: Form) -> None:
    """List the subscriptions: who is told of what, and how much waits."""
    show_list(connect().get(_SUBSCRIPTIONS, namespace=namespace)["subscriptions"], _LIST, form)


@command(events, "show", "slipway events show deployer", "slipway events show deployer -o json")
@_subscription
@_namespace
@gives_one
def show(name: str, namespace: str | None, form: Form) -> None:
    """Show a subscription."""
    client = connect()
    found = _found(client, name, namespace)
    show_one(client.get(f"{_SUBSCRIPTIONS}/{found['id']}"), _ONE, form)


@command(
    events,
    "add",
    "slipway events add deploys --to https://hooks.example.com/slipway --repositories 'team/**' --kinds 'tag.*'",
    "slipway events add gitlab --to https://gitlab.example.com/api/v4/container_registry_event/events"
    " --format distribution --authorization-stdin < header.txt",
    "slipway events add watcher --to poll --repositories 'team/**' --kinds tag.moved --kinds tag.created",
)
@click.argument("name")
@click.option("--to", "target", required=True, metavar="URL|TOPIC|poll", help="Where they are sent.")
@click.option("--repositories", default="**", metavar="PATTERN", help="Of which repositories; all if left out.")
@click.option("--tags", metavar="PATTERN", help="Of which tags; whatever happens if left out.")
@click.option("--kinds", multiple=True, metavar="KIND", help="Such as tag.moved, or tag.*. Again for others.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="CloudEvents if left out.")
@click.option("--authorization-stdin", is_flag=True, help="Read a header Authorization from stdin.")
@click.option("--unordered", is_flag=True, help="An event doesn't wait for those before it.")
@gives_one
def add(name: str, target: str, repositories: str, form: Form, **chosen: Any) -> None:
    """Tell somebody of what changes from now on. A webhook's secret is shown this once."""
    document = {"name": name, "target": target, "repositories": repositories, **_chosen(**chosen)}
    _show_made(connect().send("POST", _SUBSCRIPTIONS, document), form)


def _chosen(
    *, tags: str | None, kinds: tuple[str, ...], format_: str | None, authorization_stdin: bool, unordered: bool
) -> dict[str, Any]:
    """Returns what somebody said, as the API takes it."""
    said: dict[str, Any] = {"tags": tags, "kinds": list(kinds) or None, "format": format_}
    if authorization_stdin:
        said["authorization"] = sys.stdin.read().strip()
    if unordered:
        said["is_ordered"] = False
    return {name: value for name, value in said.items() if value is not None}


def _show_made(made: dict[str, Any], form: Form) -> None:
    show_one(made, _MADE if "secret" in made else _ONE, form)
    if "secret" in made:
        say(_SAID_ONCE)


@command(
    events,
    "change",
    "slipway events change deployer --to https://hooks.example.com/new --kinds 'tag.*'",
    "slipway events change deployer --pause",
    "slipway events change deployer --resume -o json",
)
@_subscription
@_namespace
@click.option("--to", "target", metavar="URL|TOPIC|poll", help="Where they are sent.")
@click.option("--tags", metavar="PATTERN", help="Of which tags.")
@click.option("--kinds", multiple=True, metavar="KIND", help="Such as tag.moved, or tag.*. Again for others.")
@click.option("--pause", "state", flag_value="paused", help="Send nothing, and tell it of nothing new.")
@click.option("--resume", "state", flag_value="on", help="Send what waits, and tell it of what changes from now on.")
@gives_one
def change(name: str, namespace: str | None, kinds: tuple[str, ...], form: Form, **chosen: Any) -> None:
    """Change a subscription, pause it, or set it on again. What waits is sent by the new settings."""
    client = connect()
    found = _found(client, name, namespace)
    document = {field: value for field, value in chosen.items() if value is not None}
    if kinds:
        document["kinds"] = list(kinds)
    _show_made(client.send("PATCH", f"{_SUBSCRIPTIONS}/{found['id']}", document), form)


@command(events, "new-secret", "slipway events new-secret deployer -o json")
@_subscription
@_namespace
@gives_one
def new_secret(name: str, namespace: str | None, form: Form) -> None:
    """Make a second secret. For a day both sign: give the receiver the new one meanwhile."""
    client = connect()
    found = _found(client, name, namespace)
    made = client.send("POST", f"{_SUBSCRIPTIONS}/{found['id']}/secret", {})
    show_one(made, (text("secret", "secret"), time("former one until", "previous_until")), form, "secret")
    say(_SAID_ONCE)


@command(events, "test", "slipway events test deployer")
@_subscription
@_namespace
@gives_one
def test(name: str, namespace: str | None, form: Form) -> None:
    """Send something although nothing has happened; `slipway events log` shows what the receiver says."""
    client = connect()
    found = _found(client, name, namespace)
    sent = client.send("POST", f"{_SUBSCRIPTIONS}/{found['id']}/test", {})
    show_one(sent, (count("event", "event"),), form, "event")


@command(events, "log", "slipway events log deployer", "slipway events log deployer --state dead -o json")
@_subscription
@_namespace
@click.option("--state", type=click.Choice(["waiting", "sent", "dead"]), help="In one state; dead was given up.")
@gives_list
def log(name: str, namespace: str | None, state: str | None, form: Form) -> None:
    """What became of what was sent: the latest event first, with what the receiver said last."""
    client = connect()
    found = _found(client, name, namespace)
    path = f"{_SUBSCRIPTIONS}/{found['id']}/deliveries"
    show_list(client.pages(path, "deliveries", None, n=form.page(), state=state), _DELIVERIES, form, "event")


@command(events, "redeliver", "slipway events redeliver deployer --dead", "slipway events redeliver deployer 1200 1201")
@_subscription
@click.argument("ids", metavar="[EVENT]...", nargs=-1, type=click.IntRange(1))
@_namespace
@click.option("--dead", is_flag=True, help="All that was given up.")
def redeliver(name: str, ids: tuple[int, ...], namespace: str | None, dead: bool) -> None:
    """Send events again: those that are named, or all that were given up."""
    if bool(ids) == dead:
        raise click.UsageError("name events, or say --dead")
    client = connect()
    found = _found(client, name, namespace)
    document: dict[str, Any] = {"dead": True} if dead else {"events": list(ids)}
    total = 0
    while True:
        answer = client.send("POST", f"{_SUBSCRIPTIONS}/{found['id']}/redeliver", document)
        total += answer["deliveries"]
        if not answer["more"]:
            break
    say(f"{total} will be sent again")


@command(events, "rm", "slipway events rm deployer --dry-run", "slipway events rm deployer --yes")
@_subscription
@_namespace
@changes
def rm(name: str, namespace: str | None, yes: bool, dry_run: bool) -> None:
    """Take a subscription away, with what waits for it."""
    client = connect()
    found = _found(client, name, namespace)
    what = f"take away subscription {found['name']} to {found['target']}, for which {found['waiting']} events wait"
    if goes_on(what, yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{_SUBSCRIPTIONS}/{found['id']}")
        say(f"subscription {found['name']} is gone")


@command(
    events,
    "tail",
    "slipway events tail --after 0 --limit 5",
    "slipway events tail --namespace team --after 0 -o json",
)
@_namespace
@click.option("--after", type=click.IntRange(0), help="Behind this position; what comes from now on if left out.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@gives_list
def tail(namespace: str | None, after: int | None, follow: bool, form: Form) -> None:
    """Show what changes. Something is written only while somebody is subscribed to it, such as `--to poll`."""
    client = connect()
    if not follow:
        if after is None:
            after = max(0, client.get(_EVENTS, namespace=namespace)["next"] - 10)
        found = client.pages(_EVENTS, "events", form.rows, namespace=namespace, after=after, n=min(form.page(), 1000))
        show_list(found, _HAPPENED, form, "id")
        return
    streamed = replace(form, format="jsonl" if form.format == "json" else form.format, limit=0)
    show_list(_following(client, namespace, after), _HAPPENED, streamed, "id", at_once=1)


def _following(client: Client, namespace: str | None, after: int | None) -> Iterator[Any]:
    """Each event as it comes."""
    position = client.get(_EVENTS, namespace=namespace)["next"] if after is None else after
    while True:
        answer = client.get(_EVENTS, namespace=namespace, after=position)
        position = answer["next"]
        yield from answer["events"]
        sys.stdout.flush()
        if not answer["events"]:
            clock.sleep(_SECONDS)


def _found(client: Client, name: str, namespace: str | None) -> dict[str, Any]:
    """Finds it by its name, or by its id where several have the name."""
    known = client.get(_SUBSCRIPTIONS, namespace=namespace)["subscriptions"]
    found = [each for each in known if each["name"] == name] or [each for each in known if str(each["id"]) == name]
    if not found:
        raise NotThere(f"there is no subscription {name}", "`slipway events list` has them")
    if len(found) > 1:
        ids = ", ".join(str(each["id"]) for each in found)
        raise click.UsageError(f"several namespaces have a subscription {name}: say one of the ids {ids}")
    chosen: dict[str, Any] = found[0]
    return chosen
