"""Who is told of changes, what became of each message, and sending again what was given up."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.pages.access import ask, namespace_of
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import NotAllowed, NotShown, Visit
from functions.api.route import Query
from functions.api.v1.events import paths
from functions.api.v1.events.routes import ListDeliveries
from functions.api.web.errors import ParameterInvalid
from functions.api.web.pages import cut
from functions.registry.metadata.db import Call
from functions.registry.metadata.events import deliveries, subscriptions
from functions.registry.metadata.events.subscriptions import Subscription
from functions.registry.metadata.events.vocabulary import DELIVERY_STATES
from functions.registry.oci.errors import OciError

_SIZE: Final = 50


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    namespace = namespace_of(query)
    [found] = ask(visit, namespace, [subscriptions.listing(namespace)])
    values = {"found": found, "namespace": namespace}
    return Page(
        "events.html", "Events", "events", values=values, json="/api/v1/subscriptions", command="slipway events list"
    )


def show_subscription(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _subscription(visit, match, query, said=said_in(visit, query))


def change(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    do = _CHANGES.get(form.get("do", ""))
    if do is None:
        raise ParameterInvalid("This form asks for nothing that can be done")
    path = f"/api/v1/subscriptions/{match['subscription']}"
    try:
        said = do(visit, path, form)
    except OciError as error:
        return _subscription(visit, match, Query(), error=error.reason or error.message)
    return redirect_saying(visit, f"/console/events/{match['subscription']}", said)


def _redeliver(visit: Visit, path: str, form: Form) -> str:
    event = form.get("event", "")
    if not re.fullmatch(r"[0-9]{1,18}", event):
        raise ParameterInvalid("event is the number of one")
    requests.request(visit, "POST", f"{path}/redeliver", events=[int(event)])
    return "It is sent again."


def _redeliver_dead(visit: Visit, path: str, _: Form) -> str:
    count = requests.request(visit, "POST", f"{path}/redeliver", dead=True)["deliveries"]
    return f"{count} that were given up are sent again."


def _test(visit: Visit, path: str, _: Form) -> str:
    requests.request(visit, "POST", f"{path}/test")
    return "A test is on its way: it stands below in a moment, with the answer."


def _pause(visit: Visit, path: str, _: Form) -> str:
    requests.request(visit, "PATCH", path, state="paused")
    return "Nothing is sent any more, and nothing new is written for it, until it goes on."


def _resume(visit: Visit, path: str, _: Form) -> str:
    requests.request(visit, "PATCH", path, state="on")
    return "It goes on with what waits."


_CHANGES: Final = {
    "redeliver": _redeliver,
    "redeliver-dead": _redeliver_dead,
    "test": _test,
    "pause": _pause,
    "resume": _resume,
}


def _subscription(visit: Visit, match: re.Match[str], query: Query, said: str = "", error: str = "") -> Page:
    pairs = [(name, value) for name in ("state", "before") if (value := query.get(name))]
    route = paths.list_deliveries(match, Query([*pairs, ("n", str(_SIZE))]))
    assert isinstance(route, ListDeliveries)  # noqa: S101  # what this parser makes
    calls: list[Call[Any]] = [
        subscriptions.reading(route.subscription),
        deliveries.listing(route.subscription, route.size, route.state, route.before),
    ]
    found, sent = ask(visit, None, calls, needs_namespace=False)
    subscription = _known(visit, found)
    shown, more = cut(sent, route.size)
    here = f"/console/events/{subscription.id}"
    asked = {"state": route.state} if route.state else {}
    values = {
        "found": subscription,
        "here": here,
        "deliveries": shown,
        "states": DELIVERY_STATES,
        "state": route.state or "",
        "following": f"{here}?{urlencode({**asked, 'before': shown[-1].event})}" if more else "",
        "said": said,
        "error": error,
    }
    return Page(
        "subscription.html",
        subscription.name,
        "events",
        values=values,
        json=f"/api/v1/subscriptions/{subscription.id}/deliveries",
        command=f"slipway events log {subscription.name}",
    )


def _known(visit: Visit, found: list[Any]) -> Subscription:
    """Tells a namespace's administrator the same of others' and of none."""
    over_all = visit.authority.over_all
    if not over_all and (not found or not visit.authority.over_pattern(found[0].repositories)):
        raise NotAllowed("You administer only what begins with your namespace and a slash, such as team/**.")
    if not found:
        raise NotShown("There is no such subscription.")
    subscription: Subscription = found[0]
    return subscription
