"""A fill, a claim, a run that is applied and a change of the policy meet pushes, deletions, moves, and each other.

What is pushed stays, what is kept stays, and no tag is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests.conftest import administer
from tests.races import schedules
from tests.races.gate import Rewrite
from tests.races.pairs import DEADLOCK, Pair
from tests.races.retention_pairs import RETENTION_PAIRS, RetentionArena
from tests.races.schedules import Perform
from tests.races.stage import Performance

# Of each pair in each scene: the two that do not interleave are among them.
_SAMPLE = 4
_MANY = 40


@pytest.fixture(scope="module")
def arena(postgres: Postgres) -> Iterator[RetentionArena]:
    administer(postgres, "CREATE DATABASE retention_arena TEMPLATE slipway_template")
    with RetentionArena(postgres.url("retention_arena")) as arena:
        yield arena
    administer(postgres, "DROP DATABASE retention_arena WITH (FORCE)")


@pytest.mark.parametrize("pair", RETENTION_PAIRS, ids=str)
def test_a_sample_of_schedules_breaks_nothing(arena: RetentionArena, pair: Pair) -> None:
    _race(arena, pair, _SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pair", RETENTION_PAIRS, ids=str)
def test_many_schedules_break_nothing(arena: RetentionArena, pair: Pair) -> None:
    _race(arena, pair, _MANY)


def _race(arena: RetentionArena, pair: Pair, count: int) -> None:
    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    for scene in pair.scenes:
        arena.race(pair, scene, sample)


@pytest.mark.parametrize("other", ["manifest PUT", "tag move", "tag delete"])
def test_verdicts_and_a_push_never_wait_for_each_other_crosswise(arena: RetentionArena, other: str) -> None:
    """A claim of reviews that then locked their tags ended in a deadlock with every push of such a tag."""
    (pair,) = (each for each in RETENTION_PAIRS if set(each.names) == {"gather", other})

    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, _MANY, seed)

    assert not [words for words in arena.race(pair, "due", sample) if words.endswith(DEADLOCK)]


# Rules that nothing else stands in for.
BROKEN: dict[str, tuple[str, Rewrite]] = {
    "tags are not locked before they are judged": (
        "apply x manifest PUT",
        lambda sql: sql.replace("FOR UPDATE OF tags) AS locked", ") AS locked"),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_arena_notices_what_is_broken(postgres: Postgres, broken: str) -> None:
    """Without it a pushed tag goes in one of the orders."""
    name, rewrite = BROKEN[broken]
    (pair,) = (each for each in RETENTION_PAIRS if set(each.names) == set(name.split(" x ")))
    administer(postgres, "CREATE DATABASE broken_retention TEMPLATE slipway_template")
    try:
        with RetentionArena(postgres.url("broken_retention")) as arena:
            arena.break_statements(rewrite)
            with pytest.raises(AssertionError):
                _race(arena, pair, _MANY)
    finally:
        administer(postgres, "DROP DATABASE broken_retention WITH (FORCE)")
