"""Events for whoever would rather ask than be told."""

from __future__ import annotations

from flask import Response

from functions.api.v1.events.routes import ListEvents
from functions.api.web.context import Context
from functions.api.web.pages import link
from functions.api.web.responses import answer
from functions.registry.events import forms
from functions.registry.events.forms import Reader
from functions.registry.metadata.events import outbox


def list_events(context: Context, route: ListEvents) -> Response:
    """Lists events as CloudEvents. `next` is what to ask behind next; without `after` it is where to begin, and
    there are none.
    """
    database, settings = context.services.database, context.services.settings
    if route.after is None:
        return answer({"events": [], "next": outbox.last_position(database)})
    reader = Reader(settings.public_host or settings.service, route.namespace or "", context.caller.authority.over_all)
    found = outbox.list_page(database, route.after, route.size, route.namespace)
    shown = [forms.cloudevent(event, reader) | {"position": event["position"]} for event in found.events]
    query = {"n": str(route.size)} | ({"namespace": route.namespace} if route.namespace else {})
    headers = link("/api/v1/events", **query, after=str(found.last)) if len(shown) == route.size else {}
    return answer({"events": shown, "next": found.last}, headers=headers)
