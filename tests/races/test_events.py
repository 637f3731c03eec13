"""Events are fanned out and delivered while changes are made: all are told, once and in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests.conftest import administer
from tests.races import schedules
from tests.races.event_pairs import EVENT_PAIRS, EventArena
from tests.races.gate import Rewrite
from tests.races.pairs import Pair
from tests.races.schedules import Perform
from tests.races.stage import Performance

# Of each pair in each scene: the two that do not interleave are among them.
_SAMPLE = 3
_MANY = 40


@pytest.fixture(scope="module")
def arena(postgres: Postgres) -> Iterator[EventArena]:
    administer(postgres, "CREATE DATABASE event_arena TEMPLATE slipway_template")
    with EventArena(postgres.url("event_arena")) as arena:
        yield arena
    administer(postgres, "DROP DATABASE event_arena WITH (FORCE)")


@pytest.mark.parametrize("pair", EVENT_PAIRS, ids=str)
def test_a_sample_of_schedules_breaks_nothing(arena: EventArena, pair: Pair) -> None:
    _race(arena, pair, _SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pair", EVENT_PAIRS, ids=str)
def test_many_schedules_break_nothing(arena: EventArena, pair: Pair) -> None:
    _race(arena, pair, _MANY)


def _race(arena: EventArena, pair: Pair, count: int) -> None:
    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    for scene in pair.scenes:
        arena.race(pair, scene, sample)


# Rules that nothing else stands in for.
BROKEN: dict[str, tuple[str, Rewrite]] = {
    "two workers may have one lane": (
        "deliver x deliver",
        lambda sql: sql.replace(
            "next_at = clock_timestamp() + make_interval(secs => :seconds),\n",
            "next_at = clock_timestamp() + 0 * make_interval(secs => :seconds),\n",
        ),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_arena_notices_what_is_broken(postgres: Postgres, broken: str) -> None:
    """Without it an event is sent twice in one of the orders."""
    name, rewrite = BROKEN[broken]
    (pair,) = (each for each in EVENT_PAIRS if str(each) == name)
    administer(postgres, "CREATE DATABASE broken_events TEMPLATE slipway_template")
    try:
        with EventArena(postgres.url("broken_events")) as arena:
            arena.break_statements(rewrite)
            with pytest.raises(AssertionError):
                _race(arena, pair, _MANY)
    finally:
        administer(postgres, "DROP DATABASE broken_events WITH (FORCE)")
