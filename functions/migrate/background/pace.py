"""How much a batch takes on, and how long it rests: so that whoever waits for one doesn't wait for long."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.background.batches import Look

# What a batch should take, in seconds; it is given up after twice as long.
AIM_SECONDS: Final = 0.2
_FAST_SECONDS: Final = 0.3 * AIM_SECONDS
# How many times as long as its last batch it leaves the database to others.
_REST: Final = 2.0
MOST_ROWS: Final = 50_000
# More sessions than this wait for locks.
_MANY_WAITING: Final = 4
# How long it leaves others alone after a lock that it did not get.
PUT_OFF_SECONDS: Final = 1.0


def next_size(size: int, seconds: float) -> int:
    """Returns how many rows the batch after one of `size` is to have."""
    if seconds > AIM_SECONDS:
        return half(size)
    if seconds < _FAST_SECONDS:
        return min(size + size // 4 + 1, MOST_ROWS)
    return size


def rest_after(seconds: float) -> float:
    """Returns how long to rest after a batch that took `seconds`, in seconds."""
    return _REST * seconds


def half(size: int) -> int:
    return max(1, size // 2)


def reason_to_wait(look: Look) -> str | None:
    """Returns what has to be over before the next batch begins; None if nothing has to."""
    if look.late_standbys:
        return "standbys"
    if look.waiting > _MANY_WAITING:
        return "locks"
    return None
