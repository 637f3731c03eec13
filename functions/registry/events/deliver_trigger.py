"""What wakes the delivery of events after a change; where nobody subscribed, nothing is sent."""

from __future__ import annotations

import threading
import time
from typing import Final

from functions.registry import telemetry
from functions.registry.events.publishing import Message, Publisher, PublishFailed
from functions.registry.events.trigger import DELIVER, PUBLISH_SECONDS, encode
from functions.registry.metadata.db import Database, MetadataUnavailable

# A run stays a little longer than this, so that what changes in between is found by it.
INTERVAL_SECONDS: Final = 1.0
# How long it is believed that somebody subscribed, or that nobody did: the schedule wakes the delivery meanwhile.
_BELIEVED_SECONDS: Final = 60.0


class DeliverTrigger:
    """At most one message a second from each process. Without a topic nothing is sent."""

    def __init__(self, topic: str, database: Database) -> None:
        self._topic = topic
        self._database = database
        self._publisher = Publisher()
        self._lock = threading.Lock()
        self._next = 0.0
        self._believed_until = 0.0

    def send(self) -> None:
        """Returns at once: a thread of its own asks whether anybody subscribed, and publishes."""
        if not self._topic:
            return
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + INTERVAL_SECONDS
        threading.Thread(target=self._send, name="deliver-trigger", daemon=True).start()

    def publish(self) -> bool:
        """Publishes now, waiting for the answer; returns False if it can't be done, which is logged."""
        if not self._topic:
            return False
        try:
            self._publisher.publish(self._topic, [Message(encode(DELIVER), {"kind": "trigger"})], PUBLISH_SECONDS)
        except PublishFailed as error:
            telemetry.log("WARNING", "the delivery of events could not be woken", reason=str(error))
            return False
        return True

    def forget(self) -> None:
        """Asks anew at the next change whether anybody subscribed."""
        with self._lock:
            self._next = self._believed_until = 0.0

    def _send(self) -> None:
        if time.monotonic() >= self._believed_until:
            # Imported here: a cold start is spared it.
            from functions.registry.metadata.events import subscriptions  # noqa: PLC0415

            try:
                is_any_on = subscriptions.is_any_on(self._database)
            except MetadataUnavailable:
                return
            with self._lock:
                until = time.monotonic() + _BELIEVED_SECONDS
                if not is_any_on:
                    self._next = until
                    return
                self._believed_until = until
        self.publish()
