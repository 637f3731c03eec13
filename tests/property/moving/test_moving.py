"""A registry is moved into another while both are in use: nothing is lost, nothing comes back, nobody's push is undone.

After each step whatever either side could pull by a tag, by the rules of who decides about it, can be pulled from the
new one with all its blobs; after a last comparison the three-way rule holds for every tag. The long run goes on for
SLIPWAY_MOVING_STEPS steps, 20,000 if not set, and tells how far it is (`--log-cli-level info`).
"""

from __future__ import annotations

import logging
import os
from typing import Final

import pytest

from tests.property.moving.machine import MovingMachine
from tests.property.running import run

_logger: Final = logging.getLogger(__name__)


@pytest.mark.timeout(600)
def test_nothing_is_lost_on_the_way(moving_machine: type[MovingMachine]) -> None:
    run(moving_machine, runs=3, steps=10)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_nothing_is_lost_on_the_way_for_long(moving_machine: type[MovingMachine]) -> None:
    wanted = int(os.environ.get("SLIPWAY_MOVING_STEPS", "20000"))
    while moving_machine.steps < wanted:
        run(moving_machine, runs=25, steps=40)
        _logger.info("%s of %s steps", f"{moving_machine.steps:,}", f"{wanted:,}")
