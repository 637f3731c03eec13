"""A machine tries to break garbage collection: it pushes, deletes, waits, crashes and collects, in any order.

After each step nothing that a tag reaches, and nothing that a client was told is there, may be gone; at the end nothing
else may be left. The long run takes SLIPWAY_MACHINE_RUNS (300 if not set) of SLIPWAY_MACHINE_STEPS (60).
"""

from __future__ import annotations

import os

import pytest

from tests.property.machine import Machine
from tests.property.running import run


@pytest.mark.timeout(600)
def test_garbage_collection_loses_nothing_and_leaves_nothing(machine: type[Machine]) -> None:
    run(machine, runs=5, steps=30)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_garbage_collection_loses_nothing_and_leaves_nothing_for_long(machine: type[Machine]) -> None:
    run(machine, int(os.environ.get("SLIPWAY_MACHINE_RUNS", "300")), int(os.environ.get("SLIPWAY_MACHINE_STEPS", "60")))
