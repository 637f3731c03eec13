"""Backups are verified; and pruned without a loss to those that stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from functions.migrate.backups import keeping, layout
from functions.migrate.backups.stores import FolderStore
from functions.registry.config import SettingInvalid, Settings
from tests.backups.conftest import Backups
from tests.metadata.build import query
from tests.support import Registry

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def name_at(moment: datetime) -> str:
    return layout.new_name(moment)


def test_of_each_day_week_and_month_the_last_one_stays() -> None:
    daily = [name_at(NOW - timedelta(days=age)) for age in range(100)]
    kept = keeping.kept(daily, {"d": 7, "w": 4, "m": 3}, NOW)
    ages = sorted(round((NOW - layout.time_of(name)) / timedelta(days=1)) for name in kept)
    # Seven days; the Sundays before this Monday; the last days of October and September.
    assert ages == [0, 1, 2, 3, 4, 5, 6, 8, 15, 30, 61]


def test_the_last_one_and_the_young_stay_whatever_is_asked_for() -> None:
    names = [name_at(NOW - timedelta(days=age)) for age in (1, 2, 30)]
    assert keeping.kept(names, {"m": 1}, NOW) == {*names[:2]}
    assert keeping.kept(names[2:], {"d": 1}, NOW) == {*names[2:]}
    assert keeping.kept([], {"d": 1}, NOW) == set()


@pytest.mark.parametrize("text", ["7", "d7", "7d,7d", "0d", "7y", "1000d", "7d;4w"])
def test_a_setting_that_says_nothing_is_refused(text: str) -> None:
    environment = {"SLIPWAY_DATABASE": "x", "SLIPWAY_BUCKET": "x", "SLIPWAY_BACKUP_KEEP": text}
    with pytest.raises(SettingInvalid, match="SLIPWAY_BACKUP_KEEP takes numbers of days"):
        Settings.from_environment(environment)
    assert Settings.from_environment(environment | {"SLIPWAY_BACKUP_KEEP": "7d, 4w"}).backup_keep == {"d": 7, "w": 4}


def test_a_backup_is_verified(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    made = backups.make()
    verified = backups.do("verification", made.name, sample=100)
    assert (verified.state, verified.counts["seen"], verified.counts["hashed"]) == ("done", 3, 3)


def test_what_a_backup_has_lost_is_found(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    made = backups.make()
    entries = list(layout.entries(backups.store, made.name))
    backups.store.delete([layout.OBJECTS + entries[0].name])
    changed = layout.OBJECTS + entries[1].name
    backups.store.delete([changed])
    layout.write(backups.store, changed, b"?" * entries[1].size)
    assert backups.do("verification", made.name, sample=0).counts["bad"] == 1
    verified = backups.do("verification", made.name, sample=100)
    assert (verified.state, verified.counts["bad"]) == ("failed", 2)
    backups.store.delete([layout.rows_name(made.name, "tags")])
    verified = backups.do("verification", made.name, sample=0)
    assert (verified.state, "tags.gz is not there" in str(verified.error)) == ("failed", True)


def age(backups: Backups, name: str, days: int) -> str:
    """The backup as if it were so much older; its new name."""
    older = name_at(layout.time_of(name) - timedelta(days=days))
    prefix = f"{layout.BACKUPS}{name}/"
    for each in backups.names(prefix):
        content = b"".join(backups.store.read(each))
        layout.write(backups.store, each.replace(name, older), content.replace(name.encode(), older.encode()))
        backups.store.delete([each])
    query(backups.database, "UPDATE backup_runs SET name = :older WHERE name = :name", older=older, name=name)
    return older


def test_pruned_are_backups_that_need_not_be_kept_and_what_they_alone_name(
    backups: Backups, registry: Registry
) -> None:
    registry.push_image("a/b", "v1")
    old = age(backups, backups.make().name, 100)
    query(backups.database, "DELETE FROM manifest_reviews")
    for table in ("tags", "manifest_blobs", "manifests", "repository_blobs", "blobs"):
        query(backups.database, f"DELETE FROM {table}")  # noqa: S608
    query(backups.database, "DELETE FROM deletions")
    registry.push_image("c/d", "v1")
    kept = backups.make()
    cut_short = age(backups, backups.make().name, 50)
    backups.store.delete([layout.seal_name(cut_short)])

    dry = backups.do("prune", keep={"d": 1}, dry_run=True)
    assert (dry.state, dry.counts["backups"], dry.counts["objects"]) == ("done", 2, 0), "all objects are young"
    with mock.patch.object(keeping, "YOUNG", timedelta(0)):
        dry = backups.do("prune", keep={"d": 1}, dry_run=True)
        assert (dry.counts["backups"], dry.counts["objects"]) == (2, 3)
        assert len(backups.names(layout.OBJECTS)) == 6
        pruned = backups.do("prune", keep={"d": 1})
    assert (pruned.counts["backups"], pruned.counts["objects"], pruned.counts["kept"]) == (2, 3, 1)
    assert layout.names(backups.store) == [kept.name]
    assert sorted(backups.names(layout.OBJECTS)) == sorted(
        layout.OBJECTS + each.name for each in layout.entries(backups.store, kept.name)
    )
    assert query(backups.database, "SELECT state FROM backup_runs WHERE name = :old", old=old) == [["pruned"]]
    assert backups.do("verification", kept.name, sample=100).state == "done"


def test_an_object_that_no_list_names_goes_once_it_is_no_longer_young(backups: Backups) -> None:
    """A backup that is being made relies on what it found there, before its list says so."""
    layout.write(backups.store, f"{layout.OBJECTS}blobs/unnamed", b"whose was it?")
    assert backups.do("prune", keep={"d": 1}).counts["objects"] == 0
    assert len(backups.names(layout.OBJECTS)) == 1
    with mock.patch.object(keeping, "YOUNG", timedelta(0)):
        assert backups.do("prune", keep={"d": 1}).counts["objects"] == 1
    assert backups.names(layout.OBJECTS) == []


def test_nothing_goes_while_a_list_can_not_be_read(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    made = backups.make()
    name = layout.objects_name(made.name)
    whole = b"".join(backups.store.read(name))
    backups.store.delete([name])
    layout.write(backups.store, name, whole[:-5])
    with mock.patch.object(keeping, "YOUNG", timedelta(0)):
        pruned = backups.do("prune", keep={"d": 1})
    assert (pruned.state, "objects.gz" in str(pruned.error)) == ("failed", True)
    assert len(backups.names(layout.OBJECTS)) == 3


def test_what_a_destination_keeps_is_told(backups: Backups, registry: Registry) -> None:
    """A retention refuses: it is tried again, later each time, and then given up for this time."""
    registry.push_image("a/b", "v1")
    age(backups, backups.make().name, 100)
    backups.make()
    store = type(backups.store)
    refusal = mock.patch.object(store, "delete", lambda _, names: dict.fromkeys(names, "403: retention"))
    with refusal:
        pruned = backups.do("prune", keep={"d": 1})
    assert (pruned.state, pruned.error) == ("waiting", "403: retention")
    assert isinstance(backups.store, FolderStore) or pruned.destination.startswith("gs://")
