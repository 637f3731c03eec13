"""Messages trigger garbage collection, the work on imports, and the delivery of events.

A lost one costs time alone: the database knows what is due.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from typing import Any, Final

from functions.registry import telemetry
from functions.registry.oci.json_object import read_stored

VERSION: Final = 1
PUBLISH_SECONDS: Final = 5.0


COLLECT: Final = "collect"
WORK: Final = "work"
DELIVER: Final = "deliver"


def encode(kind: str = COLLECT) -> bytes:
    """Encodes a message, always with data: a message without any does not reach a function."""
    return json.dumps({kind: VERSION}).encode()


def is_trigger(data: bytes, kind: str = COLLECT) -> bool:
    """Says whether a message is one of ours, of that kind and a version that we know."""
    return read_stored(data).get(kind) == VERSION


def message_data(payload: Any) -> bytes:
    """Returns what the message holds, whichever way it was delivered; nothing if it can't be read."""
    message = payload.get("message") if isinstance(payload, dict) else None
    encoded = message.get("data") if isinstance(message, dict) else None
    try:
        return base64.b64decode(encoded or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""


class Trigger:
    """At most one in `interval_seconds` from each process. Without a topic nothing is sent."""

    def __init__(self, topic: str, interval_seconds: float, kind: str = COLLECT) -> None:
        self._topic = topic
        self._kind = kind
        self._interval_seconds = interval_seconds
        self._next = 0.0
        self._lock = threading.Lock()

    def send(self) -> None:
        """Returns at once: a thread of its own publishes, and whether that works is of no account to the caller."""
        if not self._topic:
            return
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + self._interval_seconds
        threading.Thread(target=self.publish, name="gc-trigger", daemon=True).start()

    def publish(self, times: int = 1) -> bool:
        """Publishes now, waiting for the answer; False if it can't be done, which is logged."""
        if not self._topic:
            return False
        # Imported here: it costs a third of a second, and most requests send nothing.
        from google.pubsub_v1 import PublisherClient, PubsubMessage  # noqa: PLC0415

        try:
            # With a connection of its own. One that is kept is idle until the next trigger message, and then lost in
            # silence.
            with PublisherClient() as publisher:
                publisher.publish(
                    topic=self._topic,
                    messages=[PubsubMessage(data=encode(self._kind), attributes={"kind": "trigger"})] * times,
                    # Once: the client would go on trying for ten minutes, whatever the timeout says.
                    retry=None,
                    timeout=PUBLISH_SECONDS,
                )
        except Exception as error:  # noqa: BLE001  # nothing that goes wrong with a trigger message may go further
            telemetry.log("WARNING", "a trigger could not be sent", of=self._kind, reason=type(error).__name__)
            return False
        return True
