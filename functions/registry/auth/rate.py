"""How often one caller may ask: a bucket for each, in this process. Instances count for themselves."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from functions.registry.oci.errors import TooManyRequests

# The least recently seen are forgotten first: a crowd of addresses can't fill the memory.
_MOST_BUCKETS: Final = 10_000
_SECONDS: Final = 60


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Sparing:
    """It says which refusals are told: `per_minute` of one caller, and of these each one once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = RateLimit(1, clock)
        self._all = RateLimit(per_minute, clock)

    def lets(self, caller: str, what: str) -> bool:
        try:
            self._each.take(f"{caller} {what}")
            self._all.take(caller)
        except TooManyRequests:
            return False
        return True


class RateLimit:
    """It lets through `per_minute` requests for each key, all at once or spread; 0 is no limit. Each instance counts by
    itself, so many let through as many times more.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Raises TooManyRequests, with the seconds until the next one is let through."""
        if not self._capacity:
            return
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(key, _Bucket(self._capacity, now))
            self._buckets.move_to_end(key)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
            refilled = (now - bucket.filled_at) * self._capacity / _SECONDS
            bucket.tokens, bucket.filled_at = min(self._capacity, bucket.tokens + refilled), now
            if bucket.tokens < 1:
                wait = math.ceil((1 - bucket.tokens) * _SECONDS / self._capacity)
                raise TooManyRequests(f"at most {self._capacity} requests a minute: wait {wait} s", wait)
            bucket.tokens -= 1
