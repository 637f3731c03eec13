"""A gate that opened by itself would let every race pass: nothing would be interleaved, and nothing would say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from functions.registry.metadata.driver import LONGEST_LIFE_SECONDS, Connection
from functions.registry.metadata.gc import status
from tests.races.gate import GatedDatabase


@pytest.fixture
def gated(database_url: str) -> Iterator[GatedDatabase]:
    with closing(GatedDatabase(database_url)) as database:
        yield database


def test_a_gate_stays_however_long_the_races_take(gated: GatedDatabase) -> None:
    """The pool replaces what is as old as this, for the server's settings hold from a session's start."""
    steps: list[str] = []
    gated.gate.step = steps.append
    gated.gate._made_at -= 2 * LONGEST_LIFE_SECONDS
    gated.reach()
    status.pending_deletion_bytes(gated)
    assert steps
    gated.require_gate()


def test_a_connection_without_a_gate_is_noticed(gated: GatedDatabase, database_url: str) -> None:
    gated._pool._idle.get_nowait().close()
    gated._pool._idle.put(Connection(database_url))
    with pytest.raises(AssertionError, match="a connection of its own"):
        gated.require_gate()
