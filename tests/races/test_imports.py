"""A touch, a step of a bulk import, a delta and a seal meet everything else that may happen, and each other.

Nothing that was deleted here comes back, nothing that was pushed is overwritten, all that is tagged can be pulled.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests.conftest import administer
from tests.races import schedules
from tests.races.gate import Rewrite
from tests.races.import_pairs import DISTURBED_PAIRS, IMPORT_PAIRS, ImportArena
from tests.races.pairs import Pair
from tests.races.schedules import Perform
from tests.races.stage import Performance

# Of each pair in each scene: the two that do not interleave are among them.
_SAMPLE = 3
_MANY = 40


@pytest.fixture(scope="module")
def arena(postgres: Postgres) -> Iterator[ImportArena]:
    administer(postgres, "CREATE DATABASE import_arena TEMPLATE slipway_template")
    with ImportArena(postgres.url("import_arena")) as arena:
        yield arena
    administer(postgres, "DROP DATABASE import_arena WITH (FORCE)")


@pytest.mark.parametrize("pair", IMPORT_PAIRS, ids=str)
def test_a_sample_of_schedules_breaks_nothing(arena: ImportArena, pair: Pair) -> None:
    """In every other of its scenes, by turns: all of them take a minute."""
    scenes = pair.scenes[IMPORT_PAIRS.index(pair) % 2 :: 2] or pair.scenes
    _race(arena, pair, scenes, _SAMPLE)


_TWICE = [pair for pair in DISTURBED_PAIRS if pair.names[0].partition(",")[0] == pair.names[1].partition(",")[0]]


@pytest.mark.parametrize("pair", _TWICE, ids=str)
def test_whoever_dies_or_comes_twice_breaks_nothing(arena: ImportArena, pair: Pair) -> None:
    _race(arena, pair, pair.scenes, _SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pair", [*IMPORT_PAIRS, *DISTURBED_PAIRS], ids=str)
def test_many_schedules_break_nothing(arena: ImportArena, pair: Pair) -> None:
    _race(arena, pair, pair.scenes, _MANY)


def _race(arena: ImportArena, pair: Pair, scenes: list[str], count: int) -> None:
    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    for scene in scenes:
        arena.race(pair, scene, sample)


# Rules that nothing else stands in for: others are held by a foreign key or a second look as well.
BROKEN: dict[str, tuple[str, Rewrite]] = {
    "the look behind the insertion sees no deleted manifest": (
        "touch manifest x manifest delete",
        lambda sql: sql.replace(
            "WHERE repository = :repository AND tag = '' AND digest = ANY",
            "WHERE false AND :repository <> '' AND digest = ANY",
        ),
    ),
    "a pushed tag is taken for an imported one": (
        "manifest PUT x delta, moved",
        lambda sql: sql.replace("AND tags.updated_at = base.updated_at", ""),
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("broken", BROKEN)
def test_the_arena_notices_what_is_broken(postgres: Postgres, broken: str) -> None:
    """Without it something comes back, or is overwritten, in one of the orders."""
    name, rewrite = BROKEN[broken]
    (pair,) = (each for each in IMPORT_PAIRS if set(each.names) == set(name.split(" x ")))
    administer(postgres, "CREATE DATABASE broken_arena TEMPLATE slipway_template")
    try:
        with ImportArena(postgres.url("broken_arena")) as arena:
            arena.break_statements(rewrite)
            with pytest.raises(AssertionError):
                _race(arena, pair, pair.scenes, _MANY)
    finally:
        administer(postgres, "DROP DATABASE broken_arena WITH (FORCE)")
