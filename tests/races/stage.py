"""Two operations on threads of their own, of which one at a time takes a step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from functions.registry.metadata.driver import Connection
from tests.races.gate import GatedDatabase

_PATIENCE_SECONDS: Final = 30
# An unhindered step takes about a millisecond; only one that takes longer is asked after, and then less and less often:
# on a busy machine the questions would take most of the time.
_GLANCE_SECONDS: Final = 0.002
_LONGEST_GLANCE_SECONDS: Final = 0.05
_BLOCKED: Final = """
    SELECT pid FROM unnest(CAST(:pids AS int[])) AS pid WHERE pg_blocking_pids(pid) && CAST(:pids AS int[])
"""

Choose = Callable[[Sequence[int]], int]
Act = Callable[[int], str]


class State(Enum):
    MOVING = auto()
    STOPPED = auto()
    DONE = auto()


class Abandoned(BaseException):
    """The performance is over; whoever still acts stops."""


@dataclass(slots=True)
class Performance:
    """What happened: each step as (who, what), who waited for a lock, what was refused, and how each ended."""

    steps: list[tuple[int, str]] = field(default_factory=list)
    waited: set[int] = field(default_factory=set)
    refused: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    endings: tuple[str, str] = ("", "")

    def told(self, names: tuple[str, str]) -> str:
        """The schedule, step by step."""
        return "\n".join(f"  {'AB'[who]} {names[who]:<18} {what}" for who, what in self.steps)


class Stage:
    """Lets two gated databases take their steps in the order that it is told."""

    def __init__(self, databases: tuple[GatedDatabase, GatedDatabase], observer: Connection) -> None:
        self._databases = databases
        self._observer = observer
        self._changed = threading.Condition()
        self._states = [State.DONE, State.DONE]
        self._labels = ["", ""]
        self._is_abandoned = False
        self._threads = ThreadPoolExecutor(len(databases))

    def close(self) -> None:
        self._threads.shutdown()

    def step(self, who: int, what: str) -> None:
        """Called by the one who is about to take a step: returns when it may."""
        with self._changed:
            self._labels[who] = what
            self._states[who] = State.STOPPED
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._states[who] is State.MOVING or self._is_abandoned, _PATIENCE_SECONDS)
            if self._states[who] is not State.MOVING:
                raise Abandoned

    def perform(self, act: Act, choose: Choose) -> Performance:
        """`choose` picks from those who stand before a step, while there is more than one as when there is one."""
        told = Performance()
        self._states, self._is_abandoned = [State.MOVING, State.MOVING], False
        for who, database in enumerate(self._databases):
            database.gate.step = lambda what, who=who: self.step(who, what)  # type: ignore[misc]
            database.gate.refused = told.refused[who]
        endings = [self._threads.submit(self._act, act, who) for who in range(2)]
        try:
            self._settle(told)
            while ready := self._those(State.STOPPED):
                self._let(choose(ready), told)
                self._settle(told)
            told.endings = (endings[0].result(_PATIENCE_SECONDS), endings[1].result(_PATIENCE_SECONDS))
        finally:
            with self._changed:
                self._is_abandoned = True
                self._changed.notify_all()
            # Whoever was stopped undoes what it had begun: no transaction stays open behind a race that failed.
            wait(endings, _PATIENCE_SECONDS)
            for database in self._databases:
                database.gate.step = lambda _: None
        return told

    def _act(self, act: Act, who: int) -> str:
        try:
            return act(who)
        finally:
            with self._changed:
                self._states[who] = State.DONE
                self._changed.notify_all()

    def _let(self, who: int, told: Performance) -> None:
        with self._changed:
            told.steps.append((who, self._labels[who]))
            self._states[who] = State.MOVING
            self._changed.notify_all()

    def _those(self, state: State) -> list[int]:
        return [who for who in range(2) if self._states[who] is state]

    def _settle(self, told: Performance) -> None:
        """Waits until everyone has stopped, is done, or waits for a lock of one who stands still."""
        deadline, glance = time.monotonic() + _PATIENCE_SECONDS, _GLANCE_SECONDS
        while time.monotonic() < deadline:
            with self._changed:
                if self._changed.wait_for(lambda: not self._those(State.MOVING), glance):
                    return
                moving = self._those(State.MOVING)
            blocked = self._blocked()
            told.waited |= blocked
            # Where both wait, the server ends one of them.
            if blocked.issuperset(moving) and self._those(State.STOPPED):
                return
            glance = min(2 * glance, _LONGEST_GLANCE_SECONDS)
        raise AssertionError("neither came to its next step")

    def _blocked(self) -> set[int]:
        pids = [database.gate.pid for database in self._databases]
        rows = self._observer.run([(_BLOCKED, {"pids": pids})], kept=(_BLOCKED,))[0].rows
        return {pids.index(pid) for (pid,) in rows}
