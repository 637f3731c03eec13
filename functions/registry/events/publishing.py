"""Messages to topics of Pub/Sub. The client is kept while it is used: a connection that idles is lost in silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient

_TRUSTED_SECONDS: Final = 60.0


class PublishFailed(Exception):
    """Nothing was published, or nobody knows. The message says what Pub/Sub answered."""


@dataclass(frozen=True, slots=True)
class Message:
    """Those with one `ordering_key` are delivered in the order in which they were published."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    ordering_key: str = ""


class Publisher:
    """Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: PublisherClient | None = None
        self._used_at = float("-inf")

    def publish(self, topic: str, messages: Sequence[Message], seconds: float) -> None:
        """All of them, in this order, within so many seconds. Raises PublishFailed."""
        # Imported here: it costs a third of a second, and only who subscribed pays for it.
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.pubsub_v1 import PubsubMessage  # noqa: PLC0415

        written = [
            PubsubMessage(data=each.data, attributes=dict(each.attributes), ordering_key=each.ordering_key)
            for each in messages
        ]
        try:
            # Once: the client would go on trying for ten minutes, whatever the timeout says.
            self._current().publish(topic=topic, messages=written, retry=None, timeout=seconds)
        except (GoogleAPIError, GoogleAuthError, OSError) as error:
            raise PublishFailed(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.transport.close()
            self._client = None

    def _current(self) -> PublisherClient:
        from google.pubsub_v1 import PublisherClient  # noqa: PLC0415  # as above

        with self._lock:
            now = time.monotonic()
            # One that others may still use ends by itself, once nobody holds it.
            if self._client is None or now - self._used_at > _TRUSTED_SECONDS:
                self._client = PublisherClient()
            self._used_at = now
            return self._client
