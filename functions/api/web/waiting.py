"""Whoever sends slowly holds a thread: how long somebody is waited for, and how many from one address.

A time limit of one read is none of the whole: each byte starts it anew. So every read is given a moment at which it
has to be over, and one thread of the process ends those that are late by closing the connection's reading half. What
came is then handed over as if the client had stopped there.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_LOOK_SECONDS: Final = 0.25
# A read that has taken this part of its time is slow.
_SLOW: Final = 0.2
# Whoever had too many slow ones has no more than that many of any for so long.
_REMEMBERED_SECONDS: Final = 60


@dataclass(slots=True, eq=False)
class _Wait:
    connection: socket.socket
    address: str
    most: int
    slow_at: float
    until: float


class Waiting:
    """It knows all that is waited for in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: set[_Wait] = set()
        self._crowded: dict[str, float] = {}
        self._is_watched = False

    @contextmanager
    def until(self, moment: float, connection: socket.socket, address: str, most: int) -> Iterator[bool]:
        """Returns false, so that nothing is read, if as many as `most` from there are waited for and were too slow."""
        now = time.monotonic()
        wait = _Wait(connection, address, most, now + (moment - now) * _SLOW, moment)
        with self._lock:
            is_let_in = moment > now and not self._is_crowd(wait, now)
            if is_let_in:
                self._waits.add(wait)
                self._watch()
        try:
            yield is_let_in
        finally:
            with self._lock:
                self._waits.discard(wait)

    def _is_crowd(self, new: _Wait, now: float) -> bool:
        if self._crowded.get(new.address, 0) < now:
            return False
        return sum(wait.address == new.address for wait in self._waits) >= new.most

    def _watch(self) -> None:
        """The thread is started with the first that is waited for: so after the fork, where a server forks."""
        if not self._is_watched:
            self._is_watched = True
            threading.Thread(target=self._look_for_ever, name="waiting", daemon=True).start()

    def _look_for_ever(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        with self._lock:
            self._crowded = {address: until for address, until in self._crowded.items() if until >= now}
            slow = Counter(wait.address for wait in self._waits if wait.slow_at <= now)
            for wait in sorted(self._waits, key=lambda wait: wait.slow_at):
                is_too_many = wait.slow_at <= now and slow[wait.address] > wait.most
                if is_too_many:
                    slow[wait.address] -= 1
                    self._crowded[wait.address] = now + _REMEMBERED_SECONDS
                if is_too_many or wait.until <= now:
                    end(wait.connection)
                    self._waits.discard(wait)


def end(connection: socket.socket) -> None:
    """Nothing more is read from it, and the server beneath doesn't wait for its end: an answer can still be sent."""
    with contextlib.suppress(OSError):  # it is gone
        connection.shutdown(socket.SHUT_RD)


WAITING: Final = Waiting()
