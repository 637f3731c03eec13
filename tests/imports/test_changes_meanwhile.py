"""What changes in the older registry while it is listed, fetched from, imported or compared is not missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from unittest import mock

import pytest

from functions.gc import run as gc_run
from functions.migrate.imports import ranges
from functions.migrate.imports.batch import Work
from functions.migrate.imports.delta import Delta
from functions.migrate.imports.layouts import Layouts
from functions.registry.metadata.imports.bulk.pieces import Range
from functions.registry.metadata.imports.ending import sealing
from tests.imports.importing import add, problems, run
from tests.imports.old import OldRegistry
from tests.metadata.build import pass_time, query, set_grace, value
from tests.support import Image, Registry

APP = "team/app"


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry) -> int:
    """Open, and led by this registry."""
    return add(registry.services).id


def named(registry: Registry, tag: str, repository: str = APP) -> str | None:
    """The digest that a client is told."""
    response = registry.request("HEAD", f"/v2/{repository}/manifests/{tag}")
    return response.headers["Docker-Content-Digest"] if response.status_code == 200 else None


def start(registry: Registry, source: int) -> None:
    """Somebody asks for a pass over all that the source has."""
    assert registry.request("POST", f"/api/v1/imports/{source}/start", json={}).status_code == 200


def compare(registry: Registry, source: int) -> None:
    start(registry, source)
    run(registry.services)


def list_alone(registry: Registry) -> None:
    """All names are known, and nothing is imported yet."""
    with Layouts(registry.services) as worker:
        while value(registry.services.database, "SELECT listed_at FROM import_sources") is None:
            worker.work(time.monotonic() + 10)


def once(original: Callable[..., None], act: Callable[[], None]) -> Callable[..., None]:
    """The original; in front of its first call `act` is done."""
    acts = [act]

    def call(*arguments: object, **options: object) -> None:
        if acts:
            acts.pop()()
        original(*arguments, **options)

    return call


class TestBeforeTheImport:
    def test_a_tag_that_was_fetched_follows(self, registry: Registry, old: OldRegistry, source: int) -> None:
        """It moved, or went, between the fetch and the import."""
        first, second = Image(), Image()
        old.push(APP, first, "moved", "gone", "same")
        list_alone(registry)
        assert {named(registry, tag) for tag in ("moved", "gone", "same")} == {str(first.digest)}
        old.push(APP, second, "moved")
        old.untag(APP, "gone")
        run(registry.services)
        assert (named(registry, "moved"), named(registry, "gone")) == (str(second.digest), None)
        assert named(registry, "same") == str(first.digest)
        assert problems(registry.services) == set()
        assert source

    def test_a_repository_that_was_fetched_from_and_is_gone_loses_its_tags(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        old.push(APP, Image(), "v1")
        list_alone(registry)
        assert named(registry, "v1") is not None
        for name in [name for name in old.written if name.startswith(f"repositories/{APP}/")]:
            old.remove(name)
        run(registry.services)
        assert named(registry, "v1") is None
        assert source

    def test_a_tag_that_was_fetched_and_pushed_stays(self, registry: Registry, old: OldRegistry, source: int) -> None:
        first, second = Image(), Image()
        old.push(APP, first, "v1", "left")
        list_alone(registry)
        assert named(registry, "v1") == named(registry, "left") == str(first.digest)
        here = registry.push_image(APP, "v1")
        registry.push_image(APP, "left", here)
        old.push(APP, second, "v1")
        old.untag(APP, "left")
        run(registry.services)
        assert named(registry, "v1") == named(registry, "left") == str(here.digest)
        assert problems(registry.services) == {(APP, "tag", "v1", "conflict")}
        assert source

    def test_a_tag_whose_listed_manifest_is_gone_is_asked_for(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        """It was moved since it was listed, and what it named then was deleted."""
        first, second = Image(), Image()
        old.push(APP, first, "v1", "v2")
        list_alone(registry)
        old.push(APP, second, "v1")
        old.delete_manifest(APP, first.digest)
        assert (named(registry, "v1"), named(registry, "v2")) == (str(second.digest), None)
        assert source

    def test_what_was_deleted_here_by_its_digest_stays_deleted_wherever_a_tag_moves(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        first, second = Image(), Image()
        old.push(APP, first, "v1")
        list_alone(registry)
        old.push(APP, second, "v1")
        assert named(registry, "v1") == str(first.digest)
        assert registry.request("DELETE", f"/v2/{APP}/manifests/{second.digest}").status_code == 202
        run(registry.services)
        assert named(registry, str(second.digest)) is None
        assert named(registry, "v1") == str(first.digest)
        assert source


class TestWhileItIsCompared:
    def test_a_tag_whose_manifest_comes_later_follows_later(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        """A listing takes several requests: it may show a tag, and not yet what that names."""
        first, second = Image(), Image()
        old.push(APP, first, "v1")
        run(registry.services)
        for content in second.blobs:
            old.push_layer(APP, content)
        old.tag(APP, "v1", second.digest)
        compare(registry, source)
        assert named(registry, "v1") == str(first.digest)
        old.push_manifest(APP, second.manifest)
        compare(registry, source)
        assert named(registry, "v1") == str(second.digest)
        assert problems(registry.services) == set()

    def test_a_pass_does_not_miss_what_a_comparison_before_it_did(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        """Somebody is at work on a repository, and has listed it, when it changes, and another pass goes by."""
        first, second = Image(), Image()
        old.push(APP, first, "v1", "v2")
        run(registry.services)

        def change() -> None:
            old.push(APP, second, "v2")
            start(registry, source)
            with Layouts(registry.services) as another:
                while another.work(time.monotonic() + 10):
                    pass

        old.push(APP, second, "v1")
        with mock.patch.object(Delta, "run", once(Delta.run, change)):
            compare(registry, source)
        assert named(registry, "v1") == named(registry, "v2") == str(second.digest)

    def test_a_pass_that_is_asked_for_while_one_goes_on_comes_after_it(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        first, second = Image(), Image()
        old.push(APP, first, "v1")
        run(registry.services)
        listing = ranges.list_range

        def change_behind(work: Work, piece: Range, deadline: float) -> bool:
            is_listed = listing(work, piece, deadline)
            if old.tags[APP]["v1"] == first.digest:
                old.push(APP, second, "v1")
                start(registry, source)
            return is_listed

        with mock.patch.object(ranges, "list_range", change_behind):
            compare(registry, source)
        assert named(registry, "v1") == str(second.digest)
        assert value(registry.services.database, "SELECT count(*) FROM import_ranges") == 0

    def test_what_was_collected_beside_it_comes_again(self, registry: Registry, old: OldRegistry, source: int) -> None:
        """A tag moves to a manifest that is here without one, and goes just then."""
        database = registry.services.database
        first, second = Image(), Image()
        old.push(APP, first, "v1")
        old.push(APP, second)
        run(registry.services)
        set_grace(database, **dict.fromkeys(("import", "upload", "unlink", "delete"), 0.0))

        def collect() -> None:
            for _ in range(3):
                pass_time(database, 24 * 365)
                gc_run.run(registry.services)
            assert value(database, "SELECT count(*) FROM manifests") == 1

        old.push(APP, second, "v1")
        with mock.patch.object(Delta, "_end", once(Delta._end, collect)):
            compare(registry, source)
        assert named(registry, "v1") == str(second.digest)
        for blob in second.blob_digests:
            assert registry.get(f"/v2/{APP}/blobs/{blob}").status_code == 307


class TestTheSeal:
    def test_it_waits_for_what_is_to_be_compared(self, registry: Registry, old: OldRegistry, source: int) -> None:
        first, second = Image(), Image()
        old.push(APP, first, "v1")
        run(registry.services)
        old.push(APP, second, "v1")
        start(registry, source)
        sealing.wish(registry.services.database, source)
        run(registry.services)
        assert value(registry.services.database, "SELECT state FROM import_sources") == "sealed"
        assert named(registry, "v1") == str(second.digest)

    def test_it_is_refused_while_a_comparison_fails(self, registry: Registry, old: OldRegistry, source: int) -> None:
        old.push(APP, Image(), "v1")
        run(registry.services)
        database = registry.services.database
        query(database, "UPDATE import_repositories SET due_at = now() + interval '1 hour', error = 'it failed'")
        sealing.wish(database, source)
        run(registry.services)
        assert query(database, "SELECT state, reason FROM import_sources") == [
            ["open", f"not imported or compared yet: {APP}"]
        ]
