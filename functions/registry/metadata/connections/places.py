"""Who of a process's threads may use a connection now, in the order in which they came.

Whoever writes may have to wait for the locks of others, for seconds, and holds a connection all the while. So some
places are never theirs: whatever writers wait for, reads go on. And nobody waits for a place for long: a thread that
waits is one that serves nobody else.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Final

# Where none of those that may block was let in for so long, something holds up all who were.
_STANDSTILL_SECONDS: Final = 0.5


class NoPlace(Exception):
    """No place became free in time."""


@dataclass(eq=False, slots=True)
class _Waiting:
    may_block: bool
    is_let_in: threading.Event = field(default_factory=threading.Event)


class Places:
    """There are `size` of them. A quarter, at least two, is kept from those that may block; one is theirs however few
    there are.

    Where none of these gets on, only the first `size` of them go on waiting: the others are turned away at once, so
    that there are threads left for reads.
    """

    def __init__(self, size: int, wait_seconds: float) -> None:
        self._size = size
        self._most_blocking = max(1, size - max(2, size // 4))
        self._wait_seconds = wait_seconds
        self._taken = 0
        self._blocking = 0
        self._line: list[_Waiting] = []
        self._moved_at = 0.0
        self._lock = threading.Lock()

    def enter(self, *, may_block: bool) -> None:
        """Raises NoPlace."""
        now = time.monotonic()
        deadline = now + self._wait_seconds
        with self._lock:
            if not self._line and self._has_place(may_block=may_block):
                self._take(now, may_block=may_block)
                return
            waiting = _Waiting(may_block)
            if may_block and not self._blocking_ahead_of(waiting):
                self._moved_at = time.monotonic()
            self._line.append(waiting)
            self._let_in()
        step = 0.0
        while not waiting.is_let_in.wait(step):
            with self._lock:
                left = deadline - time.monotonic()
                if not waiting.is_let_in.is_set() and (left <= 0 or self._is_in_vain(waiting)):
                    self._line.remove(waiting)
                    raise NoPlace
            step = min(left, _STANDSTILL_SECONDS)

    def leave(self, *, may_block: bool) -> None:
        with self._lock:
            self._taken -= 1
            self._blocking -= may_block
            self._let_in()

    def _let_in(self) -> None:
        """Lets in all for whom there is a place now, the first of the line first."""
        for waiting in list(self._line):
            if self._taken == self._size:
                return
            if self._has_place(may_block=waiting.may_block):
                self._line.remove(waiting)
                self._take(time.monotonic(), may_block=waiting.may_block)
                waiting.is_let_in.set()

    def _has_place(self, *, may_block: bool) -> bool:
        return self._taken < self._size and not (may_block and self._blocking == self._most_blocking)

    def _take(self, now: float, *, may_block: bool) -> None:
        self._taken += 1
        if may_block:
            self._blocking += 1
            self._moved_at = now

    def _is_in_vain(self, waiting: _Waiting) -> bool:
        if not waiting.may_block or time.monotonic() - self._moved_at < _STANDSTILL_SECONDS:
            return False
        return self._blocking_ahead_of(waiting) >= self._size

    def _blocking_ahead_of(self, waiting: _Waiting) -> int:
        """Returns how many that may block came before it and wait as well."""
        ahead = itertools.takewhile(lambda other: other is not waiting, self._line)
        return sum(other.may_block for other in ahead)
