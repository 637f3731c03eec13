"""What can be put back meets everything else that may happen: no byte of it is lost, and no figure is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests.conftest import administer
from tests.races import schedules
from tests.races.pairs import Pair
from tests.races.schedules import Perform
from tests.races.stage import Performance
from tests.races.undo_pairs import UNDO_PAIRS, UndoArena

# Of each pair in each scene: the two that do not interleave are among them.
_SAMPLE = 3
_MANY = 40


@pytest.fixture(scope="module")
def arena(postgres: Postgres) -> Iterator[UndoArena]:
    administer(postgres, "CREATE DATABASE undo_arena TEMPLATE slipway_template")
    with UndoArena(postgres.url("undo_arena")) as arena:
        yield arena
    administer(postgres, "DROP DATABASE undo_arena WITH (FORCE)")


@pytest.mark.parametrize("pair", UNDO_PAIRS, ids=str)
def test_a_sample_of_schedules_breaks_nothing(arena: UndoArena, pair: Pair) -> None:
    _race(arena, pair, _SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pair", UNDO_PAIRS, ids=str)
def test_many_schedules_break_nothing(arena: UndoArena, pair: Pair) -> None:
    _race(arena, pair, _MANY)


def _race(arena: UndoArena, pair: Pair, count: int) -> None:
    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    for scene in pair.scenes:
        arena.race(pair, scene, sample)
