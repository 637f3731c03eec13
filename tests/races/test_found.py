"""What races have found, each with the two that met."""

from __future__ import annotations

import pytest

from tests.races import schedules
from tests.races.operations import OPERATIONS
from tests.races.pairs import DEADLOCK, Arena, Pair


def test_a_commit_whose_known_blob_is_collected_meanwhile_brings_its_own(arena: Arena) -> None:
    """The blob was found, then collected, then not linked: the client was told of a blob that was nowhere."""
    arena.race(Pair(OPERATIONS["blob commit"], OPERATIONS["collect blobs"]), "unlinked", schedules.bounded)


@pytest.mark.parametrize("other", ["tag move", "tag delete", "manifest delete"])
def test_a_push_and_one_that_takes_its_tag_away_never_wait_for_each_other(arena: Arena, other: str) -> None:
    """One locked manifest, then tag, the other tag, then manifest; three deadlocks in a row made a push fail."""
    outcomes = arena.race(Pair(OPERATIONS["manifest PUT"], OPERATIONS[other]), "tagged", schedules.bounded)
    assert not [words for words in outcomes if words.endswith(DEADLOCK)]
