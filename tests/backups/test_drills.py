"""The record of a drill is in backups, comes back with them, and outlives the one that it is about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from functions.migrate.backups.restoring import Restoring, choose
from functions.registry.config import Settings
from functions.registry.metadata.backups import drills
from tests.backups.conftest import Backups
from tests.support import Registry


@pytest.mark.parametrize("destination", ["folder"], indirect=True)
def test_it_is_in_the_next_backup_and_goes_on_counting_there(
    backups: Backups, elsewhere: Settings, there: Callable[[], Registry]
) -> None:
    made = backups.make()
    drill = drills.add(backups.database, made.id, "user:ann", tags=3, lost=0, seconds=60, note="into staging")
    later = backups.make()
    assert later.drill is None
    Restoring(elsewhere, backups.store, choose(backups.store, later.name), lambda _: None).run()
    restored = there().services.database
    assert drills.last(restored) == drill
    assert drills.backup_of(restored, later.name) == later.id
    assert drills.add(restored, later.id, "user:ann")["backup"] == later.id


@pytest.mark.parametrize("destination", ["folder"], indirect=True)
def test_a_name_that_no_backup_has_gives_none(backups: Backups) -> None:
    made = backups.make()
    backups.do("verification", made.name)
    assert drills.backup_of(backups.database, made.name) == made.id
    assert drills.backup_of(backups.database, "20200101T000000Z-000000") is None
