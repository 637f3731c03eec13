"""Room for large documents: each tenant has a share, nobody waits for ever, and who waits leaves places for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from functions.registry.room import NoRoom, Room

MOST: Final = 8
SECONDS: Final = 60


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Guests:
    """Each in a thread of its own, from when it comes until it is told to leave. `entered` is in order."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._leaving: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self._come = 0
        self.entered: list[str] = []
        self.refused: list[str] = []

    def come(self, name: str, size: int = 4) -> None:
        """Its tenant is its first letter. Returns once it is in or waits in line."""
        self._leaving[name] = threading.Event()
        self._threads.append(threading.Thread(target=self._stay, args=(name, size)))
        self._threads[-1].start()
        self._come += 1
        until(lambda: len(self.entered) + len(self.refused) + len(self._room._line) == self._come)

    def leave(self, *names: str) -> None:
        for name in names:
            self._leaving[name].set()

    def end(self) -> None:
        self.leave(*self._leaving)
        for thread in self._threads:
            thread.join(SECONDS)

    def _stay(self, name: str, size: int) -> None:
        try:
            with self._room.taken(name[0], size):
                self.entered.append(name)
                self._leaving[name].wait(SECONDS)
        except NoRoom:
            self.refused.append(name)


@pytest.fixture
def guests() -> Iterator[Guests]:
    made = Guests(Room(MOST, wait_seconds=SECONDS, most_waiting=8))
    yield made
    made.end()


def test_a_tenant_has_half_and_the_other_half_is_there_for_another(guests: Guests) -> None:
    for name in ("a1", "a2", "b1"):
        guests.come(name)
    assert guests.entered == ["a1", "b1"]
    guests.leave("b1")
    guests.come("c1")
    until(lambda: guests.entered == ["a1", "b1", "c1"])
    guests.leave("a1")
    until(lambda: guests.entered[3:] == ["a2"])


def test_several_that_fit_are_in_at_once(guests: Guests) -> None:
    for number in range(4):
        guests.come(f"a{number}", size=1)
    guests.come("b", size=4)
    assert guests.entered == ["a0", "a1", "a2", "a3", "b"]


def test_who_holds_least_comes_first_and_then_who_came_first(guests: Guests) -> None:
    guests.come("a1")
    guests.come("b1", size=3)
    for name in ("b2", "c1", "d1"):
        guests.come(name, size=2)
    assert guests.entered == ["a1", "b1"]
    guests.leave("a1")
    until(lambda: guests.entered[2:] == ["c1", "d1"])
    guests.leave("b1")
    until(lambda: guests.entered[4:] == ["b2"])


def test_one_that_is_larger_than_a_share_or_than_the_room_comes_in_as_well(guests: Guests) -> None:
    """It has to wait until there is enough, and no smaller one goes ahead of it."""
    guests.come("a1", size=2)
    guests.come("b1", size=100)
    guests.come("c1", size=1)
    assert guests.entered == ["a1"]
    guests.leave("a1")
    until(lambda: guests.entered == ["a1", "b1"])
    guests.leave("b1")
    until(lambda: guests.entered == ["a1", "b1", "c1"])


def test_a_crowd_of_one_tenant_leaves_places_in_line_for_others(guests: Guests) -> None:
    """The first takes four of eight places, those after it two and one, and one is still left."""
    for tenant in ("a", "b", "c"):
        for number in range(7):
            guests.come(f"{tenant}{number}")
    assert guests.entered == ["a0", "b0"]
    assert guests.refused == ["a5", "a6", "b3", "b4", "b5", "b6", "c1", "c2", "c3", "c4", "c5", "c6"]
    guests.come("d0")
    assert "d0" not in guests.refused


def test_who_waits_too_long_is_told_so_and_takes_nothing() -> None:
    room = Room(MOST, wait_seconds=0.05)
    with room.taken("a", 4):
        with pytest.raises(NoRoom, match="too long"), room.taken("a", 4):
            raise AssertionError
        with room.taken("b", 4):
            pass
    with room.taken("a", MOST):
        pass


def test_what_fails_inside_gives_its_room_back() -> None:
    room = Room(MOST, wait_seconds=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.taken("a", MOST):
            raise ZeroDivisionError
    assert not room._held


def test_a_crowd_gets_through() -> None:
    room, done = Room(MOST, wait_seconds=SECONDS), []

    def pass_through(number: int) -> None:
        with room.taken("abc"[number % 3], number % 9):
            done.append(number)

    with ExitStack() as stack:
        for number in range(30):
            thread = threading.Thread(target=pass_through, args=(number,))
            thread.start()
            stack.callback(thread.join, SECONDS)
    assert sorted(done) == list(range(30))
    assert not room._held
    assert not room._line
