"""One run: new events are fanned out, lanes that are due are sent, until nothing is due or the time is over."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.deliver.parts import Parts
from functions.deliver.sending import LEASE_SECONDS, Outcome, Sender
from functions.registry import telemetry
from functions.registry.events.publishing import Publisher
from functions.registry.events.targets import is_topic
from functions.registry.metadata.events import lanes, outbox, subscriptions
from functions.registry.metadata.events.lanes import Bounds, Lane

# Well below the ten minutes after which a message is delivered again.
BUDGET_SECONDS: Final = 240.0
# How many lanes are sent at once, and how many of one receiver.
_AT_ONCE: Final = 80
_EACH_RECEIVER: Final = 4
_EVENTS: Final = 100
_FANNED_OUT: Final = 1000
_TRIMMED: Final = 1000
# More than a process waits between two messages that wake this: what changes meanwhile is found.
LINGER_SECONDS: Final = 2.0
# A lane that is due so soon is waited for.
_SOON_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.2
_UPKEEP_SECONDS: Final = 30.0
# A subscription for which so many deliveries wait is paused; one of which so many were given up in a row is off.
MOST_WAITING: Final = 1_000_000
MOST_DEAD_IN_A_ROW: Final = 100

_running: Final = threading.Lock()
_again: Final = threading.Event()


def run(parts: Parts, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Returns how many events were sent. A second run in one process leaves its work to the first, and returns 0.

    Out of time, it sends the next trigger itself. Raises MetadataUnavailable: then the message comes again.
    """
    _again.set()
    if not _running.acquire(blocking=False):
        return 0
    try:
        with telemetry.recording() as record:
            if not subscriptions.is_any_on(parts.database):
                # What was written before the last one was taken away is ended in its time.
                outbox.trim(parts.database, _TRIMMED)
                return 0
            work = _Run(parts, time.monotonic() + budget_seconds)
            work.go_on()
            if work.is_out_of_time:
                parts.trigger.publish()
            if work.counts:
                telemetry.log(
                    "INFO",
                    "events delivered",
                    ms=record.milliseconds,
                    statements=len(record.statements),
                    out_of_time=work.is_out_of_time,
                    **{name: work.counts[name] for name in ("fanned_out", "sent", "failed", "dead")},
                )
            return work.counts["sent"]
    finally:
        _running.release()


class _Run:
    def __init__(self, parts: Parts, deadline: float) -> None:
        self._parts = parts
        self._database = parts.database
        self._deadline = deadline
        self._done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._in_flight: Counter[str] = Counter()
        # Where the subscriptions' events go, of those that were seen.
        self._targets: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.is_out_of_time = False

    def go_on(self) -> None:
        publisher = Publisher()
        sender = Sender(self._parts.settings, publisher)
        upkeep_at = idle_since = float("-inf")
        with ThreadPoolExecutor(_AT_ONCE, "deliver") as pool:
            while True:
                now = time.monotonic()
                if now >= upkeep_at:
                    self._keep_up()
                    upkeep_at = now + _UPKEEP_SECONDS
                is_over = now >= self._deadline
                if _again.is_set():
                    _again.clear()
                    idle_since = now
                moved = 0 if is_over else self._fan_out() + self._start(pool, sender)
                moved += self._finish(wait=bool(self._in_flight) and not moved)
                if moved or self._in_flight:
                    idle_since = time.monotonic()
                elif is_over:
                    self.is_out_of_time = lanes.seconds_to_next(self._database) is not None
                    break
                elif not self._is_soon_due() and time.monotonic() - idle_since > LINGER_SECONDS:
                    break
                else:
                    time.sleep(_PAUSE_SECONDS)
        publisher.close()

    def _keep_up(self) -> None:
        outbox.trim(self._database, _TRIMMED)
        for name in outbox.pause_overfull(self._database, MOST_WAITING):
            telemetry.log("ERROR", "a subscription was stopped", subscription=name, reason="too many deliveries wait")

    def _fan_out(self) -> int:
        fanned_out = outbox.fan_out(self._database, _FANNED_OUT)
        self.counts["fanned_out"] += fanned_out
        return fanned_out

    def _start(self, pool: ThreadPoolExecutor, sender: Sender) -> int:
        """Begins with lanes that are due; those of a receiver that has its fill are given back."""
        bounds = Bounds(_AT_ONCE - self._in_flight.total(), _EACH_RECEIVER, _EVENTS, LEASE_SECONDS)
        rooms = {
            subscription_id: max(0, _EACH_RECEIVER - self._in_flight[target])
            for subscription_id, target in self._targets.items()
            if self._in_flight[target]
        }
        given_back = []
        claimed = lanes.claim(self._database, bounds, rooms)
        for lane in claimed:
            target = self._targets[lane.subscription_id] = _receiver(lane)
            if self._in_flight[target] >= _EACH_RECEIVER:
                given_back.append(Outcome(lane, attempts=lane.attempts).result)
            else:
                self._in_flight[target] += 1
                pool.submit(self._send, sender, lane)
        lanes.settle(self._database, given_back)
        return len(claimed) - len(given_back)

    def _send(self, sender: Sender, lane: Lane) -> None:
        try:
            self._done.put(sender.send(lane) if lane.events else Outcome(lane))
        except BaseException as error:  # noqa: BLE001  # a fault of ours: whoever waits for the lane raises it
            self._done.put(error)

    def _finish(self, *, wait: bool) -> int:
        """Writes what became of the lanes that are through. With `wait`, some time is given to the first of them."""
        outcomes: list[Outcome] = []
        try:
            while True:
                found = self._done.get(block=wait and not outcomes, timeout=_PAUSE_SECONDS)
                if isinstance(found, BaseException):
                    raise found
                outcomes.append(found)
        except queue.Empty:
            pass
        for outcome in outcomes:
            self._in_flight[_receiver(outcome.lane)] -= 1
        self._in_flight += Counter()  # those that have nothing under way are forgotten
        lanes.settle(self._database, [outcome.result for outcome in outcomes])
        self._look_after(outcomes)
        return len(outcomes)

    def _look_after(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            lane, dead = outcome.lane, outcome.dead
            self.counts.update(_COUNTED[each.state] for each in outcome.sent)
            if dead:
                telemetry.log(
                    "ERROR",
                    "deliveries were given up",
                    subscription=lane.name,
                    count=len(dead),
                    status=dead[-1].status,
                    reason=dead[-1].answer,
                )
            reason = "the receiver answered 410: it takes no more" if outcome.is_gone else None
            if dead or (outcome.got_through and lane.dead_in_a_row):
                in_a_row = lanes.count_dead(
                    self._database, lane.subscription_id, len(dead), got_through=outcome.got_through
                )
                if in_a_row >= MOST_DEAD_IN_A_ROW:
                    reason = f"{in_a_row} deliveries in a row were given up"
            if reason is not None and lanes.switch_off(self._database, lane.subscription_id, reason):
                telemetry.log("ERROR", "a subscription was stopped", subscription=lane.name, reason=reason)

    def _is_soon_due(self) -> bool:
        left = lanes.seconds_to_next(self._database)
        return left is not None and left <= min(_SOON_SECONDS, self._deadline - time.monotonic())


_COUNTED: Final = {"sent": "sent", "waiting": "failed", "dead": "dead"}


def _receiver(lane: Lane) -> str:
    """Returns what is not asked too much at once: a host, or a topic."""
    return lane.target if is_topic(lane.target) else lane.target.partition("://")[2].partition("/")[0]
