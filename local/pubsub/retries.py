"""When a message that was not acknowledged comes again, and when it has come often enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.pubsub_v1.types import RetryPolicy

if TYPE_CHECKING:
    from google.pubsub_v1.types import Subscription

# A retry policy's own defaults, and what push without any policy does.
_POLICY_MINIMUM: Final = 10.0
_POLICY_MAXIMUM: Final = 600.0
_PUSH_MINIMUM: Final = 0.1
_PUSH_MAXIMUM: Final = 60.0
_DEFAULT_ATTEMPTS: Final = 5


def backoff(subscription: Subscription, attempts: int) -> float:
    """Returns seconds until the next delivery after `attempts` failed ones: doubling, within the policy's bounds.

    Without a policy, pull redelivers at once.
    """
    if "retry_policy" in subscription:
        policy = subscription.retry_policy
        minimum = _seconds(policy, "minimum_backoff", _POLICY_MINIMUM)
        maximum = _seconds(policy, "maximum_backoff", _POLICY_MAXIMUM)
    elif subscription.push_config.push_endpoint:
        minimum, maximum = _PUSH_MINIMUM, _PUSH_MAXIMUM
    else:
        return 0.0
    # A message that fails for days must not overflow the power.
    return float(min(minimum * 2 ** min(attempts - 1, 32), maximum))


def is_exhausted(subscription: Subscription, attempts: int) -> bool:
    """Says whether the message now belongs to the dead letter topic, if there is one."""
    policy = subscription.dead_letter_policy
    return bool(policy.dead_letter_topic) and attempts >= (policy.max_delivery_attempts or _DEFAULT_ATTEMPTS)


def _seconds(policy: RetryPolicy, field: str, default: float) -> float:
    # Only the message beneath tells an unset duration from zero.
    raw = RetryPolicy.pb(policy)
    return getattr(raw, field).ToTimedelta().total_seconds() if raw.HasField(field) else default
