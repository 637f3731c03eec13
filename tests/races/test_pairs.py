"""Whatever order two operations take their steps in, nothing is lost, nothing leaks, and nobody fails unexpectedly.

docs/gc-races.md tells how they end, and these tests hold it to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.races import schedules
from tests.races.pairs import DEADLOCK, PAIRS, Arena, Pair
from tests.races.schedules import Perform
from tests.races.stage import Performance
from tests.races.table import Outcomes, parse

_TABLE: Final = Path(ROOT, "docs", "gc-races.md")
# Of each pair, in all its scenes together; the two that do not interleave are among them.
_SAMPLE: Final = 6
_FEW: Final = 3


def firm(outcomes: Counter[str]) -> set[str]:
    """What a schedule alone decides: how a deadlock ends depends on whom the server ends."""
    return {DEADLOCK if words.endswith(DEADLOCK) else words for words in outcomes}


@pytest.fixture(scope="module")
def documented() -> Outcomes:
    return parse(_TABLE.read_text())


def test_the_table_lists_every_pair_in_every_scene(documented: Outcomes) -> None:
    assert list(documented) == [(*pair.names, scene) for pair in PAIRS for scene in pair.scenes]


@pytest.mark.parametrize(("number", "pair"), [*enumerate(PAIRS)], ids=str)
def test_a_few_schedules_end_as_the_table_says(arena: Arena, documented: Outcomes, number: int, pair: Pair) -> None:
    """In one scene of each pair, in turn."""

    def few(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, _FEW, seed)

    scene = pair.scenes[number % len(pair.scenes)]
    assert firm(arena.race(pair, scene, few)) <= firm(documented[*pair.names, scene])


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_sample_of_schedules_ends_as_the_table_says(arena: Arena, documented: Outcomes, pair: Pair) -> None:
    count = max(3, _SAMPLE // len(pair.scenes))

    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, count, seed)

    for scene in pair.scenes:
        assert firm(arena.race(pair, scene, sample)) <= firm(documented[*pair.names, scene])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_all_schedules_end_as_the_table_says(arena: Arena, documented: Outcomes, pair: Pair) -> None:
    for scene in pair.scenes:
        assert firm(arena.race(pair, scene, schedules.bounded)) == firm(documented[*pair.names, scene])
