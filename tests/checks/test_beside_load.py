"""While clients push, delete and collect, a check finds all that was planted, and nothing else."""

from __future__ import annotations

import random

import pytest

from tests.checks.busy import busy
from tests.checks.planting import KINDS, Planting
from tests.checks.stock import fill
from tests.checks.vandal import Vandal
from tests.gc.conftest import execute
from tests.support import Registry

_FEW = (60, 40, 4)
_MANY = (2200, 1000, 8)


@pytest.mark.parametrize(
    ("images", "plantings", "clients"),
    [_FEW, pytest.param(*_MANY, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_all_that_is_planted_is_found_and_nothing_else(
    registry: Registry, vandal: Vandal, images: int, plantings: int, clients: int
) -> None:
    rng = random.Random(plantings)  # noqa: S311  # no secret
    stock = fill(vandal, images, untagged=images // 2, loose=images // 2, repositories=5)
    vandal.check()
    assert vandal.found() == set()
    execute(registry, "UPDATE gc_settings SET grace = '0'")
    planting = Planting(vandal, stock, rng)
    with busy(registry, clients) as done:
        before = vandal.check()
        for number in range(plantings):
            planting.plant(KINDS[number % len(KINDS)])
        after = vandal.check(hash=100)
    assert before.state == after.state == "done"
    assert vandal.found() == planting.planted
    assert len(planting.planted) == plantings
    assert min(done) > 0
