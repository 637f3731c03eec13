"""Steps of a check, repairs and backups meet everything else that may happen, and each other.

Nothing is found that isn't so, nothing is marked that is whole, and no sealed backup lacks an object.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests.conftest import administer
from tests.races import schedules
from tests.races.check_pairs import CHECK_PAIRS, CheckArena
from tests.races.pairs import Pair
from tests.races.schedules import Perform
from tests.races.stage import Performance

# Of each pair: the two that do not interleave are among them.
_SAMPLE = 3
_MANY = 40


@pytest.fixture(scope="module")
def arena(postgres: Postgres) -> Iterator[CheckArena]:
    administer(postgres, "CREATE DATABASE check_arena TEMPLATE slipway_template")
    with CheckArena(postgres.url("check_arena")) as arena:
        yield arena
    administer(postgres, "DROP DATABASE check_arena WITH (FORCE)")


@pytest.mark.parametrize(("number", "pair"), [*enumerate(CHECK_PAIRS)], ids=str)
def test_a_sample_of_schedules_breaks_nothing(arena: CheckArena, number: int, pair: Pair) -> None:
    """In one scene of each, in turn."""
    _race(arena, pair, pair.scenes[number % len(pair.scenes)], _SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pair", CHECK_PAIRS, ids=str)
def test_many_schedules_break_nothing(arena: CheckArena, pair: Pair) -> None:
    for scene in pair.scenes:
        _race(arena, pair, scene, _MANY)


def _race(arena: CheckArena, pair: Pair, scene: str, count: int) -> None:
    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    arena.race(pair, scene, sample)
