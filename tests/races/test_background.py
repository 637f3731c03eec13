"""A batch of a background migration meets everything that changes its rows: nobody waits crosswise, no row is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from functions.registry.metadata.background import batches
from functions.registry.metadata.driver import Connection
from local.postgres import Postgres
from tests.conftest import administer
from tests.races import schedules
from tests.races.background_pairs import BACKGROUND_PAIRS, BackgroundArena
from tests.races.pairs import DEADLOCK, Pair
from tests.races.schedules import Perform
from tests.races.stage import Performance

# Of each pair in each scene: the two that do not interleave are among them.
_SAMPLE = 6
_MANY = 60
# As long as a test may take: whoever waits is then waited for, instead of given up by the clock.
_LONG = 60_000


@pytest.fixture(scope="module")
def arena(postgres: Postgres) -> Iterator[BackgroundArena]:
    administer(postgres, "CREATE DATABASE background_arena TEMPLATE slipway_template")
    with closing(Connection(postgres.url("background_arena"))) as connection:
        connection.simple("ALTER TABLE tags DROP CONSTRAINT tags_subject")
    with BackgroundArena(postgres.url("background_arena")) as arena:
        yield arena
    administer(postgres, "DROP DATABASE background_arena WITH (FORCE)")


@pytest.mark.parametrize("pair", BACKGROUND_PAIRS, ids=str)
def test_a_sample_of_schedules_breaks_nothing(
    arena: BackgroundArena, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _race(arena, pair, _SAMPLE, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pair", BACKGROUND_PAIRS, ids=str)
def test_many_schedules_break_nothing(arena: BackgroundArena, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _race(arena, pair, _MANY, monkeypatch)


def _race(arena: BackgroundArena, pair: Pair, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LOCK_MILLISECONDS", _LONG)
    monkeypatch.setattr(batches, "LONGEST_MILLISECONDS", _LONG)

    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    for scene in pair.scenes:
        outcomes = arena.race(pair, scene, sample)
        assert not [outcome for outcome in outcomes if outcome.endswith(DEADLOCK)], outcomes


def test_a_claim_that_locks_nothing_is_noticed(arena: BackgroundArena, monkeypatch: pytest.MonkeyPatch) -> None:
    (both,) = [pair for pair in BACKGROUND_PAIRS if pair.first is pair.second]
    arena.break_statements(lambda sql: sql.replace("FOR NO KEY UPDATE OF migration SKIP LOCKED", ""))
    try:
        with pytest.raises(AssertionError, match="rows were gone through"):
            _race(arena, both, _MANY, monkeypatch)
    finally:
        arena.break_statements(lambda sql: sql)
