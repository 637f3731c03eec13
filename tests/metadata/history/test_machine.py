"""Random steps lose nothing that can be put back, and leave nothing."""

from __future__ import annotations

import pytest

from functions.registry.metadata.db import Database
from tests.machines import run
from tests.metadata.history.machine import Machine


def test_random_steps_lose_nothing_that_can_be_put_back(database: Database) -> None:
    assert run(Machine(database, 1), 120)["restored"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random_steps_lose_nothing_that_can_be_put_back(database: Database, seed: int) -> None:
    assert run(Machine(database, seed), 2000)["restored"]
