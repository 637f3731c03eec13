"""Who gets a connection: reads always, in turn, and nobody waits for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from functions.registry.metadata.connections.places import NoPlace, Places
from tests.metadata.build import wait_until

PATIENCE = 60


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def fill(places: Places, *, may_block: bool) -> int:
    """Takes places until there is none; how many there were."""
    taken = 0
    while True:
        try:
            places.enter(may_block=may_block)
        except NoPlace:
            return taken
        taken += 1


def waiting(pool: ThreadPoolExecutor, places: Places, *, may_block: bool) -> Callable[[], bool]:
    """Lets one come, and returns what says whether it has been let in."""
    line = len(places._line)
    entering = pool.submit(places.enter, may_block=may_block)
    wait_until(lambda: len(places._line) > line)
    return lambda: entering.done() and entering.exception() is None


@pytest.mark.parametrize(("size", "theirs"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (8, 6), (16, 12), (100, 75)])
def test_writers_leave_a_quarter_for_reads_and_at_least_two(size: int, theirs: int) -> None:
    places = Places(size, wait_seconds=0)
    assert fill(places, may_block=True) == theirs
    assert fill(places, may_block=False) == size - theirs


def test_reads_may_have_all_places() -> None:
    assert fill(Places(8, wait_seconds=0), may_block=False) == 8


def test_who_finds_no_place_waits_so_long_and_no_longer() -> None:
    places = Places(1, wait_seconds=0.3)
    places.enter(may_block=True)
    for may_block in (True, False):
        began = time.monotonic()
        with pytest.raises(NoPlace):
            places.enter(may_block=may_block)
        assert 0.3 <= time.monotonic() - began < 2
    places.leave(may_block=True)
    places.enter(may_block=False)


def test_reads_pass_writers_that_wait_for_writers(pool: ThreadPoolExecutor) -> None:
    places = Places(8, PATIENCE)
    for _ in range(6):
        places.enter(may_block=True)
    writer = waiting(pool, places, may_block=True)
    places.enter(may_block=False)
    assert not writer()
    places.leave(may_block=False)
    assert not writer()
    places.leave(may_block=True)
    wait_until(writer)


def test_each_is_let_in_in_turn_so_that_nobody_starves(pool: ThreadPoolExecutor) -> None:
    places = Places(4, PATIENCE)
    for _ in range(4):
        places.enter(may_block=False)
    line = [waiting(pool, places, may_block=may_block) for may_block in (True, False, True, False)]
    for number, is_let_in in enumerate(line):
        places.leave(may_block=False)
        wait_until(is_let_in)
        assert not any(later() for later in line[number + 1 :])


def test_in_a_line_that_stands_still_only_the_first_go_on_waiting(pool: ThreadPoolExecutor) -> None:
    """A thread that waits serves nobody else: there are more threads than connections."""
    places = Places(4, wait_seconds=PATIENCE)
    for _ in range(2):
        places.enter(may_block=True)
    ended: list[float] = []

    def enter() -> None:
        try:
            places.enter(may_block=True)
        finally:
            ended.append(time.monotonic())

    began = time.monotonic()
    waiting: list[Future[None]] = [pool.submit(enter) for _ in range(20)]
    wait_until(lambda: len(ended) == 16)
    assert all(0.4 < end - began < 5 for end in ended)
    came = time.monotonic()
    with pytest.raises(NoPlace):
        places.enter(may_block=True)
    assert time.monotonic() - came < 0.4, "whoever comes later is turned away at once"
    places.enter(may_block=False)
    places.leave(may_block=False)
    for _ in range(4):
        places.leave(may_block=True)
    wait_until(lambda: len(ended) == 20)
    assert sum(each.exception() is None for each in waiting) == 4


def test_a_long_line_that_moves_lets_everybody_in(pool: ThreadPoolExecutor) -> None:
    places = Places(4, PATIENCE)
    most, lock, inside = [0], threading.Lock(), [0]

    def work() -> None:
        places.enter(may_block=True)
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.05)
        with lock:
            inside[0] -= 1
        places.leave(may_block=True)

    for each in [pool.submit(work) for _ in range(60)]:
        each.result(PATIENCE)
    assert most == [2]
    assert fill(Places(4, 0), may_block=True) == 2
