"""What events are called, the forms in which they are sent, and the states of who is told of them."""

from __future__ import annotations

from typing import Final, Literal, get_args

Kind = Literal[
    "manifest.pushed",
    "manifest.deleted",
    "tag.created",
    "tag.moved",
    "tag.pushed",
    "tag.deleted",
    "tag.restored",
    "repository.created",
    "repository.deleted",
    "repository.moved",
    "repository.restored",
    "fsck.damaged",
]
# Version 3 of Distribution calls its envelope v2; version 2, and who reads that, v1.
Format = Literal["cloudevents", "distribution", "distribution-v1", "gar"]
SubscriptionState = Literal["on", "paused", "off"]
DeliveryState = Literal["waiting", "sent", "dead"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
DELIVERY_STATES: Final[tuple[DeliveryState, ...]] = get_args(DeliveryState)

# What a receiver is sent to see that it can be reached; nothing has happened.
TEST: Final = "test"
# The target of a subscription whose owner asks for events: nothing is sent.
POLL: Final = "poll"
