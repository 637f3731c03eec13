"""The paths of events, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from functions.api.route import Parser, Query, Route, choice_of, text_of
from functions.api.v1.events.routes import ListDeliveries, ListEvents, ListSubscriptions
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.events.vocabulary import DELIVERY_STATES
from functions.registry.oci.page import Page

EVENTS: Final = r"/api/v1/events"
SUBSCRIPTIONS: Final = r"/api/v1/subscriptions"
SUBSCRIPTION: Final = r"/api/v1/subscriptions/(?P<subscription>[^/]+)"
SECRET: Final = rf"{SUBSCRIPTION}/secret"
TEST: Final = rf"{SUBSCRIPTION}/test"
REDELIVER: Final = rf"{SUBSCRIPTION}/redeliver"
DELIVERIES: Final = rf"{SUBSCRIPTION}/deliveries"

# More digits than the database's numbers have is nobody's.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def _id(match: re.Match[str]) -> int:
    if not _NUMBER.fullmatch(match["subscription"]):
        raise ResourceUnknown("no such subscription")
    return int(match["subscription"])


def _number_of(query: Query, name: str, what: str) -> int | None:
    text = query.get(name)
    if text is not None and not _NUMBER.fullmatch(text):
        raise ParameterInvalid(f"{name} takes {what}")
    return None if text is None else int(text)


def list_events(_: re.Match[str], query: Query) -> Route:
    after = _number_of(query, "after", "the position of an event, or what next of an answer has")
    return ListEvents(text_of(query, "namespace"), after, Page.parse(query.get("n"), None).size)


def list_subscriptions(_: re.Match[str], query: Query) -> Route:
    return ListSubscriptions(text_of(query, "namespace"))


def of_subscription(route: Callable[[int], Route]) -> Parser:
    """Returns the parser of a route that has a subscription's id and nothing else."""
    return lambda match, _: route(_id(match))


def list_deliveries(match: re.Match[str], query: Query) -> Route:
    return ListDeliveries(
        _id(match),
        Page.parse(query.get("n"), None).size,
        choice_of(query, "state", DELIVERY_STATES),
        _number_of(query, "before", "the id of an event"),
    )
