"""Random steps under random policies: nothing goes that was not to go, and what stays is whole."""

from __future__ import annotations

import pytest

from functions.registry.metadata.db import Database
from tests.machines import run
from tests.retention.machine import Machine


def test_random_steps_remove_what_was_shown_and_nothing_else(database: Database) -> None:
    assert run(Machine(database, 2), 150)["removed"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random_steps_remove_what_was_shown_and_nothing_else(database: Database, seed: int) -> None:
    assert run(Machine(database, seed), 2000)["removed"]
