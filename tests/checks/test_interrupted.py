"""Checks that are killed, and stores that refuse, fail, or list what was there before: nothing is made of that."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from functions.migrate import work
from functions.migrate.checks import working
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, StoreBusy
from functions.registry.blobs.objects import ObjectPage, StoredObjects
from functions.registry.metadata.checks import checks, leaks
from functions.registry.metadata.db import Crowded, Database, MetadataUnavailable
from tests.checks.vandal import Vandal, check
from tests.gc.conftest import collect, execute
from tests.support import Registry


class Killed(BaseException):
    """The process ends here, and does nothing more."""


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Kills the check before its question of that number, to the database or to the store."""
    steps = itertools.count(1)
    run, get = Database._run, StoredObjects._get

    def count() -> None:
        if next(steps) == number:
            raise Killed

    def running(self: Database, *arguments: Any) -> Any:
        count()
        return run(self, *arguments)

    def getting(self: StoredObjects, *arguments: Any) -> Any:
        count()
        return get(self, *arguments)

    with mock.patch.object(Database, "_run", running), mock.patch.object(StoredObjects, "_get", getting):
        yield


def damaged(registry: Registry, vandal: Vandal) -> set[tuple[str, str]]:
    image, lacking = registry.push_image("demo/app", "v1"), registry.push_image("demo/app", "v2")
    vandal.check()
    names = [vandal.object_of(digest) for digest in image.blob_digests]
    vandal.take(names[0])
    vandal.swap(names[1])
    unknown, id_ = vandal.litter(), vandal.manifest_id(lacking.digest)
    vandal.run("UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}", id=id_)
    return {("missing", names[0]), ("checksum", names[1]), ("unknown", unknown), ("manifest", str(id_))}


@pytest.mark.timeout(300)
def test_a_check_that_is_killed_at_any_step_goes_on_and_finds_the_same(registry: Registry, vandal: Vandal) -> None:
    expected = damaged(registry, vandal)
    database = registry.services.database
    for number in itertools.count(1):
        vandal.run(
            "DELETE FROM findings; DELETE FROM deletions; UPDATE blobs SET damaged_at = NULL;"
            " UPDATE manifests SET damaged_at = NULL"
        )
        started = checks.start(database, "tester", {"repair": True, "delete_unknown": True})
        try:
            with killed_at(number):
                while work.run(registry.services):
                    pass
        except Killed:
            vandal.run("UPDATE check_pieces SET lease_until = '-infinity'")
        else:
            break
        while work.run(registry.services):
            pass
        ended = checks.get(database, started.id)
        assert ended is not None
        assert ended.state == "done", number
        # What was queued for deletion is unknown no more.
        assert vandal.found() == {one for one in expected if one[0] != "unknown"}, number
        assert vandal.query("SELECT count(*) FROM blobs WHERE damaged_at IS NOT NULL") == [[2]], number
        assert vandal.query("SELECT count(*) FROM manifests WHERE damaged_at IS NOT NULL") == [[1]], number
        assert vandal.query("SELECT count(*) FROM deletions") == [[1]], number
    assert number > 50


@pytest.mark.parametrize("error", [AccessRefused("403: no"), StoreBusy("503: later"), BlobStoreUnavailable("away")])
def test_a_store_that_refuses_has_shown_nothing(
    registry: Registry, vandal: Vandal, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    expected = damaged(registry, vandal)
    vandal.check()
    assert vandal.found() == expected
    monkeypatch.setattr(working, "_PAUSES", (0.0,))
    for method in ("page", "find"):
        with mock.patch.object(StoredObjects, method, side_effect=error):
            ended = check(registry.services, repair=True, yes=True)
        assert ended.state == "incomplete"
        assert str(error) in (ended.reason or "")
        # What was known stays known, and nothing is taken for missing.
        assert {one for one in vandal.found() if one[0] != "manifest"} == {
            one for one in expected if one[0] != "manifest"
        }
    assert vandal.query("SELECT count(*) FROM findings WHERE kind = 'missing'") == [[1]]


def test_a_store_that_fails_now_and_then_is_asked_again(
    registry: Registry, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = damaged(registry, vandal)
    monkeypatch.setattr(working, "_PAUSES", (0.0, 0.0))
    get, asked = StoredObjects._get, Counter[str]()

    def failing(self: StoredObjects, *arguments: Any) -> Any:
        asked[str(arguments)] += 1
        if asked[str(arguments)] < 3:
            raise StoreBusy("503: later")
        return get(self, *arguments)

    with mock.patch.object(StoredObjects, "_get", failing):
        assert vandal.check().state == "done"
    assert vandal.found() == expected


def test_a_listing_that_is_old_does_no_harm(registry: Registry, vandal: Vandal) -> None:
    """It shows neither what came since nor that something is gone."""
    execute(registry, "UPDATE gc_settings SET grace = '0'")
    before = registry.push_image("demo/app", "v1")
    store = StoredObjects(registry.services.settings.bucket, 10)
    old = store.page("", "blobs", "blobs0")
    registry.push_image("demo/app", "v2")
    registry.request("DELETE", f"/v2/demo/app/manifests/{before.digest}")
    collect(registry)
    assert len(old.objects) == len(before.blobs)
    assert not any(store.find(each.name) for each in old.objects)
    with mock.patch.object(StoredObjects, "page", return_value=ObjectPage(old.objects, is_last=True)):
        ended = vandal.check()
    assert ended.counts["suspicions"] == 2 * len(before.blobs)
    assert vandal.found() == set()


def test_what_the_database_can_not_do_in_time_is_left_out_in_the_end(
    registry: Registry, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is claimed again and again would keep the check from its end."""
    expected = damaged(registry, vandal)
    crowded = mock.Mock(side_effect=Crowded("the database answered SQLSTATE 57014"))
    monkeypatch.setattr(leaks, "manifests", crowded)
    started = checks.start(registry.services.database, "tester", {})
    for _ in range(20):
        try:
            while work.run(registry.services):
                pass
        except MetadataUnavailable:
            vandal.run("UPDATE check_pieces SET lease_until = '-infinity'")
    ended = checks.get(registry.services.database, started.id)
    assert ended is not None
    assert (ended.state, "57014" in (ended.reason or "")) == ("incomplete", True)
    assert crowded.call_count == 8
    assert vandal.found() == expected, "the rest was looked at"
