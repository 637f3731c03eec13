"""What became of events that were sent: the log of a subscription, a test, and sending again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.events import routes
from functions.api.v1.events.subscriptions import known
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists
from functions.api.web.json_body import flag
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.events import deliveries, subscriptions
from functions.registry.metadata.events.vocabulary import POLL

_MOST_IDS: Final = 1000
_LARGEST_ID: Final = 2**63 - 1


def list_deliveries(context: Context, route: routes.ListDeliveries) -> Response:
    found = known(context, route.subscription)
    page = deliveries.list_page(context.services.database, found.id, route.size, route.state, route.before)
    shown, more = cut(page, route.size)
    query = {"n": str(route.size)} | ({"state": route.state} if route.state else {})
    path = f"/api/v1/subscriptions/{found.id}/deliveries"
    headers = link(path, **query, before=str(shown[-1].event)) if more and shown else {}
    return answer({"deliveries": rows(shown)}, headers=headers)


def test(context: Context, route: routes.TestSubscription) -> Response:
    """The log shows what the receiver says to it."""
    found = known(context, route.subscription)
    json_body.read(context, {}, {})
    if found.target == POLL:
        raise ResourceExists("nothing is sent to whoever asks for events: there is nothing to test")
    event = subscriptions.test(context.services.database, found.id, context.caller.label)
    if event is None:
        raise ResourceExists(f"it is {found.state}: set it on first")
    context.services.deliver_trigger.publish()
    registry_changed(context, "subscription.test", found.name, namespace_of(found.repositories), subscription=found.id)
    return answer({"event": event}, HTTPStatus.ACCEPTED)


def redeliver(context: Context, route: routes.Redeliver) -> Response:
    """Asks for at most some thousands at once: whoever has more asks again."""
    found = known(context, route.subscription)
    fields = json_body.read(context, {}, {"events": _ids, "dead": flag})
    if ("events" in fields) == bool(fields.get("dead")):
        raise ParameterInvalid("the body has events, a list of ids, or dead: true")
    database = context.services.database
    if fields.get("dead"):
        count = deliveries.redeliver_dead(database, found.id)
    else:
        count = deliveries.redeliver(database, found.id, fields["events"])
    context.services.deliver_trigger.publish()
    registry_changed(
        context,
        "subscription.redeliver",
        found.name,
        namespace_of(found.repositories),
        subscription=found.id,
        deliveries=count,
    )
    return answer({"deliveries": count, "more": count == deliveries.MOST_AT_ONCE}, HTTPStatus.ACCEPTED)


def _ids(value: Any) -> list[int]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_IDS:
        raise ValueError(f"takes a list of 1 to {_MOST_IDS} ids of events")
    number = json_body.number(1, _LARGEST_ID)
    return [number(each) for each in value]
