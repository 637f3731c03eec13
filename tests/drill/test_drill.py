"""The drill in small: everything is gone, and comes back from the last backup. `make drill` has all three disasters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill.disasters import Drill
from tests.drill.stand import Stand


@pytest.mark.slow  # the registry is started three times; tests/backups restores within one process
@pytest.mark.timeout(600)
def test_everything_gone_comes_back_from_the_last_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_BACKUPS", str(tmp_path / "backups"))
    drill = Drill(Stand(tmp_path), seed=20, steps=12)
    (result,) = drill.run(["everything gone"])
    assert (result.lost, result.tags > 0) == ([], True)
