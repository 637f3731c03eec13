"""Room for what is large: how many bytes of documents a process takes in at once, and whose.

A manifest of megabytes takes several times its bytes while it is pushed. So those that are large come in one after the
other; small ones never wait for them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_MOST_WAITING: Final = 40


class NoRoom(Exception):
    """There was none in time, or too many wait for it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Guest:
    tenant: str
    size: int


class Room:
    """Shared out fairly: a tenant has half of it at most, or one document; who holds least comes first, then who came
    first. What is larger than the room has it alone.

    Each who waits holds a thread. A tenant may have as many waiting as there are places left for all others: so the
    first of any other tenant finds one.
    """

    def __init__(self, most: int, wait_seconds: float, most_waiting: int = _MOST_WAITING) -> None:
        """Holds `most` bytes."""
        self._most = most
        self._wait_seconds = wait_seconds
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._held: Counter[str] = Counter()
        self._line: list[_Guest] = []

    @contextmanager
    def taken(self, tenant: str, size: int) -> Iterator[None]:
        """Takes room: inside the block so many bytes are the tenant's. Raises NoRoom."""
        guest = _Guest(tenant, min(size, self._most))
        with self._changed:
            self._wait(guest)
            self._held[tenant] += guest.size
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._held[tenant] -= guest.size
                self._held += Counter()  # those that hold nothing are forgotten
                self._changed.notify_all()

    def _wait(self, guest: _Guest) -> None:
        waiting = sum(other.tenant == guest.tenant for other in self._line)
        if waiting >= self._most_waiting - len(self._line):
            raise NoRoom("too many of this namespace's large manifests wait already")
        self._line.append(guest)
        try:
            if not self._changed.wait_for(lambda: self._next() is guest, self._wait_seconds):
                raise NoRoom("other large manifests took too long")
        finally:
            self._line.remove(guest)
            self._changed.notify_all()

    def _next(self) -> _Guest | None:
        """Nobody goes ahead of one who waits for more than is free: that one would wait for ever."""
        firsts = {guest.tenant: guest for guest in reversed(self._line)}
        within_share = [
            guest
            for guest in self._line
            if firsts[guest.tenant] is guest
            and (not self._held[guest.tenant] or self._held[guest.tenant] + guest.size <= self._most // 2)
        ]
        first = min(within_share, key=lambda guest: self._held[guest.tenant], default=None)
        return first if first is not None and self._held.total() + first.size <= self._most else None
