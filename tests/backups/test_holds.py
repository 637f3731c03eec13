"""While a backup is made, nothing is deleted that it may need; and nothing waits for a backup that stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from functions.gc.run import run as collect
from functions.migrate import work
from functions.migrate.backups import copying, layout, making
from functions.registry.metadata.backups import holds, runs
from functions.registry.metadata.backups.runs import HoldEnded
from functions.registry.metadata.backups.snapshot import Snapshot
from functions.registry.metadata.gc import backlog, deletions
from tests.backups.conftest import Backups
from tests.metadata.build import query, set_grace, value
from tests.support import Registry

EVENTS = ("push", "untag", "cascade", "upload", "lease", "unlink", "delete")


def throw_away(backups: Backups, registry: Registry) -> None:
    """All that is there becomes garbage, and is collected as far as anybody may."""
    set_grace(backups.database, **dict.fromkeys(EVENTS, 0))
    for name in ("a/b", "c/d"):
        registry.request("DELETE", f"/api/v1/repositories/{name}")
    for table in ("manifest_reviews", "link_reviews", "blob_reviews"):
        query(backups.database, f"UPDATE {table} SET review_after = now() - interval '1 second'")  # noqa: S608
    for _ in range(3):
        collect(registry.services)


def test_what_becomes_garbage_after_the_snapshot_is_in_the_backup(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    registry.push_image("c/d", "v1")
    copy = making.Making._copy_objects

    def late(self: making.Making) -> bool:
        throw_away(backups, registry)
        assert value(backups.database, "SELECT count(*) FROM blobs") == 0
        assert value(backups.database, "SELECT count(*) FROM deletions WHERE not_before <= now()") == 6
        return copy(self)

    with mock.patch.object(making.Making, "_copy_objects", late):
        made = backups.make()
    assert (made.missing, made.counts["copied"]) == (0, 6)
    collect(registry.services)
    assert value(backups.database, "SELECT count(*) FROM deletions") == 0, "the hold ended with the backup"


def test_what_a_hold_keeps_is_no_backlog(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    throw_away(backups, registry)
    query(backups.database, "INSERT INTO deletions (object_name, not_before) VALUES ('x', now() - interval '2 hours')")
    assert backlog.left(backups.database).overdue == 1
    backups.database.count(holds.BEGIN(reason="a test", seconds=60))
    assert backlog.left(backups.database).overdue == 0
    assert deletions.claim(backups.database, 10) == []
    query(backups.database, "UPDATE holds SET until = now() - interval '1 second'")
    assert [each.object_name for each in deletions.claim(backups.database, 10)] == ["x"]


def test_a_backup_whose_hold_has_ended_is_none(backups: Backups, registry: Registry) -> None:
    """A laptop's lid was closed."""
    registry.push_image("a/b", "v1")
    copy = making.Making._copy_objects

    def sleepy(self: making.Making) -> bool:
        query(backups.database, "UPDATE holds SET until = now() - interval '1 second'")
        return copy(self)

    with mock.patch.object(making.Making, "_copy_objects", sleepy):
        failed = backups.do()
    assert (failed.state, "stood still" in str(failed.error)) == ("failed", True)
    assert not layout.is_sealed(backups.store, failed.name)
    assert backups.make().counts.get("copied", 0) <= 3


def test_one_that_somebody_else_has_taken_over_writes_nothing(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    asked = runs.ask(backups.database, "backup", backups.destination)
    first = runs.claim(backups.database)
    assert first is not None
    assert runs.claim(backups.database) is None
    query(backups.database, "UPDATE backup_runs SET lease_until = now()")
    second = runs.claim(backups.database)
    assert second is not None
    with pytest.raises(runs.LeaseLost):
        runs.begin(backups.database, first, "late")
    with pytest.raises(runs.LeaseLost):
        runs.advance(backups.database, first)
    with pytest.raises(runs.LeaseLost):
        runs.end(backups.database, first, "sealed")
    runs.put_off(backups.database, second, 0)
    work.run(registry.services)
    assert backups.run(asked).state == "sealed"


def test_a_seal_needs_a_hold(backups: Backups) -> None:
    runs.ask(backups.database, "backup", backups.destination)
    claimed = runs.claim(backups.database)
    assert claimed is not None
    runs.begin(backups.database, claimed, "name")
    query(backups.database, "UPDATE holds SET until = now()")
    with pytest.raises(HoldEnded):
        runs.end(backups.database, claimed, "sealed", needs_hold=True)
    assert value(backups.database, "SELECT state FROM backup_runs") == "waiting"


class Killed(BaseException):
    """Nothing that a program does about errors catches it."""


def kill_at(step: int, backups: Backups) -> bool:
    """Ends a backup at the step with that number, as kill -9 would: nothing is put in order. False if there is none."""
    left = step

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return original(*arguments, **options)

        return watched

    watched = [
        (runs, "begin"),
        (runs, "advance"),
        (runs, "note_snapshot"),
        (runs, "end"),
        (Snapshot, "copy_table"),
        (Snapshot, "copy_objects"),
        (layout.Packing, "end"),
        (copying.Copier, "_count"),
        (layout, "write"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in watched:
            patch.setattr(owner, name, counting(getattr(owner, name)))
        try:
            work.run(backups.registry.services)
        except Killed:
            return True
    return False


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_backup_that_is_killed_at_any_step_is_whole_or_none(
    backups: Backups, registry: Registry, stride: int
) -> None:
    """And the next who comes goes on with it, or begins it anew. All steps take a minute."""
    registry.push_image("a/b", "v1")
    runs.ask(backups.database, "backup", backups.destination)
    step = 0
    while True:
        step += stride
        was_killed = kill_at(step, backups)
        for name in layout.names(backups.store):
            if layout.is_sealed(backups.store, name):
                seal = layout.read_seal(backups.store, name)
                assert len(list(layout.entries(backups.store, name, seal.objects))) == 3
                for entry in layout.entries(backups.store, name):
                    assert backups.store.find(layout.OBJECTS + entry.name) is not None
        query(backups.database, "UPDATE backup_runs SET lease_until = now()")
        if not was_killed:
            break
    assert step > 30
    assert query(backups.database, "SELECT state FROM backup_runs") == [["sealed"]]
    work.run(registry.services)
    assert query(backups.database, "SELECT state FROM backup_runs") == [["sealed"]]


def test_one_that_was_sealed_but_for_its_row_is_sealed(backups: Backups, registry: Registry) -> None:
    """Killed between the seal and the row, and found again long after its hold."""
    registry.push_image("a/b", "v1")
    asked = runs.ask(backups.database, "backup", backups.destination)
    with mock.patch.object(runs, "end", side_effect=Killed), pytest.raises(Killed):
        work.run(registry.services)
    query(backups.database, "UPDATE holds SET until = now() - interval '1 hour'")
    query(backups.database, "UPDATE backup_runs SET lease_until = now()")
    work.run(registry.services)
    assert backups.run(asked).state == "sealed"


def test_one_that_is_gone_on_with_after_its_hold_has_ended_is_none(backups: Backups, registry: Registry) -> None:
    """Killed in the middle, and found again long after: objects may be gone, and no seal says that all are there."""
    registry.push_image("a/b", "v1")
    asked = runs.ask(backups.database, "backup", backups.destination)
    with mock.patch.object(making.Making, "_copy_objects", side_effect=Killed), pytest.raises(Killed):
        work.run(registry.services)
    query(backups.database, "UPDATE holds SET until = now() - interval '1 hour'")
    query(backups.database, "UPDATE backup_runs SET lease_until = now()")
    work.run(registry.services)
    failed = backups.run(asked)
    assert (failed.state, "stood still" in str(failed.error)) == ("failed", True)
    assert not layout.is_sealed(backups.store, failed.name)
