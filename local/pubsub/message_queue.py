"""One subscription's messages: those due in a heap, those handed out as leases."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.pubsub import retries
from local.pubsub.filters import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.pubsub_v1.types import PubsubMessage, Subscription

    from local.pubsub.delivery import Dice


@dataclass(slots=True)
class Pending:
    """A message on its way to one subscription, and how often its delivery has failed."""

    message: PubsubMessage
    failures: int = 0


@dataclass(slots=True)
class Lease:
    """A message handed out until a moment of the monotonic clock; the attempt counts from one."""

    ack_id: str
    pending: Pending
    attempt: int
    expires_at: float


def _always() -> bool:
    return True


class MessageQueue:
    """The queue of one subscription. Everything happens under the broker's lock, which all queues share:
    a message moved to the dead letter topic is never in neither queue, and no two locks can deadlock.
    """

    def __init__(
        self,
        subscription: Subscription,
        lock: threading.RLock,
        dice: Dice,
        on_settled: Callable[[], object],
        bury: Callable[[Subscription, Pending], bool],
    ) -> None:
        """`on_settled` is told when a lease ends; `bury` takes an exhausted message, or says that it cannot."""
        self.subscription = subscription
        self.dice = dice
        self.is_closed = False
        self._accepts = parse(subscription.filter)
        self._on_settled = on_settled
        self._bury = bury
        self._changed = threading.Condition(lock)
        self._due: list[tuple[float, int, Pending]] = []
        self._order = itertools.count()
        self._leases: dict[str, Lease] = {}

    @property
    def is_push(self) -> bool:
        return bool(self.subscription.push_config.push_endpoint)

    @property
    def is_idle(self) -> bool:
        """Says whether no message is due, delayed or leased."""
        with self._changed:
            return not self._due and not self._leases

    def reconfigure(self, subscription: Subscription) -> None:
        with self._changed:
            self.subscription = subscription
            self._changed.notify_all()

    def close(self) -> None:
        """End every wait; nothing is handed out any more."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait look again whether they still want a message."""
        with self._changed:
            self._changed.notify_all()

    def put(self, message: PubsubMessage) -> None:
        """Accept a message that passes the filter, as often and as late as the dice say."""
        with self._changed:
            if self._accepts(message.attributes):
                for delay in self.dice.delays():
                    self._schedule(Pending(message), delay)

    def take(
        self,
        limit: int,
        timeout: float,
        wanted: Callable[[], bool] = _always,
        deadline: float = 0.0,
    ) -> list[Lease]:
        """Lease up to `limit` messages, waiting at most `timeout` seconds for the first.

        Gives up as soon as they are no longer `wanted`. `deadline` overrides the subscription's own.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while wanted() and not self.is_closed:
                now = time.monotonic()
                self._expire(now)
                leases = self._lease_due(limit, now, deadline or self.subscription.ack_deadline_seconds)
                if leases or now >= end:
                    return leases
                self._changed.wait(self._next_event(end) - now)
        return []

    def wait_for_push(self) -> bool:
        """Wait until the subscription has a push endpoint; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_push or self.is_closed)
            return not self.is_closed

    def acknowledge(self, ack_id: str) -> None:
        """Settle a message for good; an id that is unknown or expired is ignored, as the service does."""
        with self._changed:
            if self._leases.pop(ack_id, None):
                self._on_settled()

    def extend(self, ack_id: str, seconds: float) -> None:
        """Count the lease's deadline anew from now; zero gives the message back."""
        with self._changed:
            if ack_id not in self._leases:
                return
            if seconds:
                self._leases[ack_id].expires_at = time.monotonic() + seconds
            else:
                self.fail(ack_id)

    def fail(self, ack_id: str) -> None:
        """Give a message back: it comes again after a backoff, or goes to the dead letter topic."""
        with self._changed:
            lease = self._leases.pop(ack_id, None)
            if lease is None:
                return
            pending = lease.pending
            pending.failures += 1
            exhausted = retries.is_exhausted(self.subscription, pending.failures)
            if not (exhausted and self._bury(self.subscription, pending)):
                self._schedule(pending, retries.backoff(self.subscription, pending.failures))
            self._on_settled()

    def _schedule(self, pending: Pending, delay: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), pending))
        self._changed.notify_all()

    def _expire(self, now: float) -> None:
        for ack_id in [lease.ack_id for lease in self._leases.values() if lease.expires_at <= now]:
            self.fail(ack_id)

    def _lease_due(self, limit: int, now: float, deadline: float) -> list[Lease]:
        leases: list[Lease] = []
        while self._due and self._due[0][0] <= now and len(leases) < limit:
            pending = heapq.heappop(self._due)[2]
            leases.append(Lease(uuid.uuid4().hex, pending, pending.failures + 1, now + deadline))
        self._leases.update((lease.ack_id, lease) for lease in leases)
        return leases

    def _next_event(self, end: float) -> float:
        first_due = self._due[0][0] if self._due else end
        return min(end, first_due, *(lease.expires_at for lease in self._leases.values()))
