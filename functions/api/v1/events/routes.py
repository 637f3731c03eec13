"""The routes of events: what changed, who is told of it, and what became of that."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import Route
from functions.registry.metadata.events.vocabulary import DeliveryState


@dataclass(frozen=True, slots=True)
class ListEvents(Route):
    """Events behind a position, in the order in which they are shown; `after` None for what comes from now on."""

    namespace: str | None
    after: int | None
    size: int


@dataclass(frozen=True, slots=True)
class ListSubscriptions(Route):
    namespace: str | None


@dataclass(frozen=True, slots=True)
class AddSubscription(Route):
    """The body says who is told of what."""


@dataclass(frozen=True, slots=True)
class OfSubscription(Route):
    """A route about one subscription."""

    subscription: int


@dataclass(frozen=True, slots=True)
class GetSubscription(OfSubscription):
    pass


@dataclass(frozen=True, slots=True)
class ChangeSubscription(OfSubscription):
    """The body has what changes."""


@dataclass(frozen=True, slots=True)
class RemoveSubscription(OfSubscription):
    pass


@dataclass(frozen=True, slots=True)
class ReplaceWebhookSecret(OfSubscription):
    """A second secret signs beside the first, which ends a day later."""


@dataclass(frozen=True, slots=True)
class TestSubscription(OfSubscription):
    """Something is sent, although nothing has happened."""


@dataclass(frozen=True, slots=True)
class Redeliver(OfSubscription):
    """What was given up is sent again, or what the body names."""


@dataclass(frozen=True, slots=True)
class ListDeliveries(OfSubscription):
    """The latest first."""

    size: int
    state: DeliveryState | None
    before: int | None
