"""What makes a subscription acceptable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from local.pubsub import endpoint, filters
from local.pubsub.errors import invalid, out_of_range
from local.pubsub.resources import check_name

if TYPE_CHECKING:
    from google.pubsub_v1.types import Subscription

IMMUTABLE: Final = frozenset({"name", "topic", "filter", "enable_message_ordering"})
_DEFAULT_DEADLINE: Final = 10
_DEADLINES: Final = range(10, 601)
_ATTEMPTS: Final = range(5, 101)


def complete(subscription: Subscription) -> None:
    """Fill in the defaults and refuse what the service would, or what would reach beyond this machine."""
    check_name(subscription.name, "subscriptions")
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or _DEFAULT_DEADLINE
    if subscription.ack_deadline_seconds not in _DEADLINES:
        raise invalid(f"Invalid ack deadline given (ack_deadline={subscription.ack_deadline_seconds}).")
    _check_attempts(subscription.dead_letter_policy.max_delivery_attempts)
    try:
        filters.parse(subscription.filter)
        if subscription.push_config.push_endpoint:
            endpoint.parse(subscription.push_config.push_endpoint)
    except ValueError as error:
        raise invalid(str(error)) from error


def _check_attempts(attempts: int) -> None:
    # Zero stands for the default.
    if attempts and attempts not in _ATTEMPTS:
        raise out_of_range(f"The value for max_delivery_attempts is {attempts}; it lies between 5 and 100.")
