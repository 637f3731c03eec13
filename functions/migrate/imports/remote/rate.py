"""How often another registry is asked: not more than it was told to bear, and not while it asks for rest."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from typing import Final

from functions.migrate.imports.remote.errors import RemoteResting, TimeOver

# Where a registry says that it has enough, and not for how long.
_REST_SECONDS: Final = 60.0
_LONGEST_REST_SECONDS: Final = 6 * 3600.0
Headers = Mapping[str, str] | HTTPMessage

_NUMBER: Final = re.compile(r"\s*(\d{1,10})(?:\.\d+)?\s*(?:;.*)?")


class Rate:
    """Of one host, for all threads of a process. `per_second` requests at most; 0 is no limit of ours."""

    def __init__(
        self,
        host: str,
        per_second: float = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._interval = 1 / per_second if per_second else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = self._rests_until = clock()

    def wait(self, until: float) -> None:
        """Waits until it may be asked again. Raises TimeOver, and RemoteResting if that is after `until`
        (monotonic).
        """
        with self._lock:
            now = self._clock()
            begins = max(now, self._next, self._rests_until)
            if now >= until:
                raise TimeOver(f"no time is left to ask {self._host}")
            if begins > until:
                raise RemoteResting(self._host, begins - now)
            self._next = begins + self._interval
        if begins > now:
            self._sleep(begins - now)

    def heed(self, status: int, headers: Headers) -> None:
        """Notes what an answer says of the requests that will be answered."""
        seconds = _asked_rest(status, headers)
        if seconds is not None:
            with self._lock:
                rest = min(seconds, _LONGEST_REST_SECONDS)
                self._rests_until = max(self._rests_until, self._clock() + rest)


def _asked_rest(status: int, headers: Headers) -> float | None:
    """Reads RFC 9110 section 10.2.3's field, and the fields RateLimit-Remaining and RateLimit-Reset as registries send
    them.
    """
    after = retry_after(headers.get("Retry-After"))
    if status in (429, 503) and after is not None:
        return after
    reset = _number(headers.get("RateLimit-Reset"))
    if _number(headers.get("RateLimit-Remaining")) == 0 and reset is not None:
        return reset
    return _REST_SECONDS if status == 429 else None  # noqa: PLR2004  # Too Many Requests


def retry_after(text: str | None) -> float | None:
    """Returns seconds, from a number of them or from a date."""
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _number(text: str | None) -> float | None:
    match = _NUMBER.fullmatch(text) if text is not None else None
    return float(match[1]) if match else None
