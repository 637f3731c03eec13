"""The schedules themselves: none is left out, none is run twice."""

from __future__ import annotations

import math

import pytest

from tests.races import schedules
from tests.races.schedules import Perform
from tests.races.stage import Choose, Performance


def undisturbed(first: int, second: int, seen: list[str]) -> Perform:
    """Two that never wait, of so many steps each."""

    def perform(choose: Choose) -> Performance:
        left, told = [first, second], Performance()
        while ready := [who for who in range(2) if left[who]]:
            who = choose(ready)
            left[who] -= 1
            told.steps.append((who, "a step"))
        seen.append("".join("AB"[who] for who, _ in told.steps))
        return told

    return perform


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 3), (4, 4), (0, 3)])
def test_every_order_of_the_steps_is_run_once(first: int, second: int) -> None:
    seen: list[str] = []
    assert len(list(schedules.every(undisturbed(first, second, seen)))) == math.comb(first + second, first)
    assert len(set(seen)) == len(seen)


def test_a_sample_has_both_that_do_not_interleave_and_others_that_differ() -> None:
    seen: list[str] = []
    assert len(list(schedules.sample(undisturbed(4, 3, seen), 10, "seed"))) == len(set(seen)) == 10
    assert seen[:2] == ["AAAABBB", "BBBAAAA"]


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    once: list[str] = []
    again: list[str] = []
    for seen in (once, again):
        list(schedules.sample(undisturbed(5, 5, seen), 8, "seed"))
    assert once == again


def test_where_there_are_too_many_a_part_of_them_is_run() -> None:
    seen: list[str] = []
    assert len(list(schedules.bounded(undisturbed(8, 8, seen), "seed"))) == len(set(seen)) == schedules.DRAWN
