"""What operators see beside the collection: when all was last checked and backed up, and what is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.migrate import work
from functions.registry.metadata.backups import runs
from functions.registry.metadata.checks import upkeep
from functions.registry.metadata.checks.upkeep import Upkeep
from tests.checks.vandal import Vandal
from tests.support import Registry


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {**environment, "SLIPWAY_BACKUPS": str(tmp_path)}


def test_what_was_last_checked_and_backed_up_is_told(registry: Registry, storage_address: str, tmp_path: Path) -> None:
    database, vandal = registry.services.database, Vandal(registry, storage_address)
    assert upkeep.get(database) == Upkeep()
    image = registry.push_image("a/b", "v1")
    checked = vandal.check()
    runs.ask(database, "backup", str(tmp_path))
    work.run(registry.services)
    (made,) = runs.list_(database, ["backup"], 10**9, 1)
    assert upkeep.get(database) == Upkeep(checked.finished_at, "done", 0, made.snapshot_at, None)
    runs.ask(database, "verification", str(tmp_path), made.name, sample=100)
    work.run(registry.services)
    assert upkeep.get(database).verified_at is not None
    vandal.take(vandal.object_of(image.blob_digests[0]))
    vandal.check(repair=True)
    assert registry.get("/api/v1/gc").get_json()["upkeep"]["damaged"] == 1
    registry.push_image("a/b", "v1", image)
    assert upkeep.get(database).damaged == 0, "a push has healed it"
