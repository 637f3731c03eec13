"""After an import: what changes in the source follows, what changes here stays, and what does not costs nothing."""

from __future__ import annotations

import time

import pytest

from functions.migrate import work
from functions.migrate.imports.layouts import _MOST_OBJECTS, Layouts
from functions.registry.imports import names
from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.imports import claims
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.metadata.usage import recount
from functions.registry.oci.digest import Digest
from tests.imports.importing import add, problems, requests_counted, run, states
from tests.imports.old import OldRegistry
from tests.metadata.build import query, value
from tests.support import Image, Registry, index_of

APP = "team/app"


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry) -> int:
    """Open, and led by this registry."""
    return add(registry.services).id


def compare(registry: Registry, source: int) -> None:
    """A pass over all that the source has."""
    pieces.add_whole(registry.services.database, source, ["repositories"])
    run(registry.services)


def named(registry: Registry, tag: str, repository: str = APP) -> str | None:
    """The digest that a client is told."""
    response = registry.request("HEAD", f"/v2/{repository}/manifests/{tag}")
    return response.headers["Docker-Content-Digest"] if response.status_code == 200 else None


def test_what_changes_there_follows(registry: Registry, old: OldRegistry, source: int) -> None:
    first, second, third = Image(), Image(), Image()
    old.push(APP, first, "moved", "gone", "same")
    run(registry.services)
    old.push(APP, second, "moved")
    old.push(APP, third, "new")
    old.untag(APP, "gone")
    compare(registry, source)
    assert named(registry, "moved") == str(second.digest)
    assert named(registry, "new") == str(third.digest)
    assert named(registry, "same") == str(first.digest)
    assert named(registry, "gone") is None
    for image in (first, second, third):
        for blob in image.blobs:
            assert registry.pull_blob(APP, Digest.of(blob)) == blob
    assert problems(registry.services) == set()
    assert recount.recount(registry.services.database).differences == []


def test_what_was_pushed_here_stays_and_is_told_as_a_conflict(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    base, there = Image(), Image()
    old.push(APP, base, "both", "here", "left")
    run(registry.services)
    here = registry.push_image(APP, "both")
    registry.push_image(APP, "here", here)
    old.push(APP, there, "both")
    old.untag(APP, "left")
    compare(registry, source)
    assert named(registry, "both") == named(registry, "here") == str(here.digest)
    assert named(registry, str(there.digest)) == str(there.digest), "the other one is here, without a tag"
    assert problems(registry.services) == {(APP, "tag", "both", "conflict")}
    detail = value(registry.services.database, "SELECT detail FROM import_problems")
    assert str(here.digest) in detail
    assert str(there.digest) in detail


def test_going_back_here_to_what_was_imported_is_a_change(registry: Registry, old: OldRegistry, source: int) -> None:
    base = Image()
    old.push(APP, base, "v1")
    run(registry.services)
    registry.push_image(APP, "v1")
    assert registry.put_manifest(APP, "v1", base.manifest).status_code == 201
    old.push(APP, Image(), "v1")
    compare(registry, source)
    assert named(registry, "v1") == str(base.digest)


def test_what_both_have_pushed_is_no_conflict(registry: Registry, old: OldRegistry, source: int) -> None:
    old.push(APP, Image(), "v1")
    run(registry.services)
    image = registry.push_image(APP, "v1")
    old.push(APP, image, "v1")
    compare(registry, source)
    assert named(registry, "v1") == str(image.digest)
    assert problems(registry.services) == set()


def test_what_was_deleted_here_does_not_come_back(registry: Registry, old: OldRegistry, source: int) -> None:
    base = Image()
    old.push(APP, base, "v1", "v2")
    run(registry.services)
    assert registry.request("DELETE", f"/v2/{APP}/manifests/v1").status_code == 202
    old.push(APP, Image(), "v1")
    old.push(APP, Image(), "v3")
    compare(registry, source)
    assert named(registry, "v1") is None
    assert named(registry, "v2") == str(base.digest)
    assert named(registry, "v3") is not None


def test_what_is_deleted_there_may_be_kept(registry: Registry, old: OldRegistry) -> None:
    source = add(registry.services, options={"keeps_deleted": True}).id
    image = Image()
    old.push(APP, image, "gone", "moved")
    run(registry.services)
    old.untag(APP, "gone")
    moved = old.push(APP, Image(), "moved")
    compare(registry, source)
    assert named(registry, "gone") == str(image.digest)
    assert named(registry, "moved") == str(moved)
    # From now on it is this registry's own.
    old.push(APP, Image(), "gone")
    compare(registry, source)
    assert named(registry, "gone") == str(image.digest)


def test_a_manifest_that_was_deleted_here_does_not_come_back(registry: Registry, old: OldRegistry, source: int) -> None:
    """Though it was pushed there a moment ago, and is pushed there once more; a push here brings it."""
    image = Image()
    old.push(APP, image)
    old.push(APP, Image(), "v1")
    run(registry.services)
    assert registry.request("DELETE", f"/v2/{APP}/manifests/{image.digest}").status_code == 202
    old.push(APP, Image(), "v2")
    compare(registry, source)
    assert named(registry, str(image.digest)) is None
    old.push(APP, image, "v3")
    compare(registry, source)
    assert named(registry, str(image.digest)) is None
    assert named(registry, "v3") is None
    registry.push_image(APP, None, image)
    old.push(APP, Image(), "v2")
    compare(registry, source)
    assert named(registry, str(image.digest)) == str(image.digest)


def test_a_blob_that_was_deleted_here_does_not_come_back(registry: Registry, old: OldRegistry, source: int) -> None:
    """Unless a manifest names it: neither by a comparison nor because somebody asks for it."""
    old.push(APP, Image(), "v1")
    digest, needed = old.push_layer(APP, b"nobody names it"), b"somebody will"
    old.push_layer(APP, needed)
    run(registry.services)
    for content in (b"nobody names it", needed):
        assert registry.request("DELETE", f"/v2/{APP}/blobs/{Digest.of(content)}").status_code == 202
    old.push_layer(APP, b"nobody names it")
    image = Image(layers=(needed,))
    old.push(APP, image, "v2")
    compare(registry, source)
    assert registry.request("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 404
    assert registry.pull_blob(APP, Digest.of(needed)) == needed
    assert named(registry, "v2") == str(image.digest)


def test_a_blob_that_was_deleted_here_does_not_come_back_with_the_import(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    digest = old.push_layer(APP, b"nobody names it")
    old.push(APP, Image(), "v1")
    database = registry.services.database
    with Layouts(registry.services) as worker:
        while value(database, "SELECT listed_at FROM import_sources") is None:
            worker.work(time.monotonic() + 10)
    assert registry.request("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 200
    assert registry.request("DELETE", f"/v2/{APP}/blobs/{digest}").status_code == 202
    assert registry.request("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 404
    run(registry.services)
    assert registry.request("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 404
    assert named(registry, "v1") is not None
    assert source


def test_a_rule_of_this_registry_holds(registry: Registry, old: OldRegistry, source: int) -> None:
    base, later = Image(), Image()
    old.push(APP, base, "release-1", "release-2", "main", "old")
    run(registry.services)
    rules.add(registry.services.database, NewRule("releases", 1, "protected", "team/*", "release-*"))
    old.push(APP, later, "release-1", "main")
    old.untag(APP, "release-2")
    old.untag(APP, "old")
    compare(registry, source)
    assert named(registry, "release-1") == named(registry, "release-2") == str(base.digest)
    assert named(registry, "main") == str(later.digest)
    assert named(registry, "old") is None
    assert problems(registry.services) == {
        (APP, "tag", "release-1", "conflict"),
        (APP, "tag", "release-2", "conflict"),
    }


def test_an_index_that_a_tag_was_moved_to_comes_with_all_that_it_lists(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    old.push(APP, Image(), "v1")
    run(registry.services)
    # As if all of it had been written long ago, and the tag was moved to it now.
    query(registry.services.database, "UPDATE import_repositories SET compared_at = now() + interval '1 day'")
    images = [Image(), Image()]
    for image in images:
        old.push(APP, image)
    inner = index_of(*(image.manifest for image in images))
    old.push_manifest(APP, inner)
    outer = old.push_manifest(APP, index_of(inner), "v1")
    compare(registry, source)
    assert named(registry, "v1") == str(outer)
    for digest in (Digest.of(inner), *(image.digest for image in images)):
        assert named(registry, str(digest)) == str(digest)
    assert value(registry.services.database, "SELECT count(*) FROM sparse_references") == 0


def test_a_repository_that_is_gone_there_loses_its_tags(registry: Registry, old: OldRegistry, source: int) -> None:
    image = Image()
    old.push(APP, image, "v1")
    old.push("team/other", Image(), "v1")
    run(registry.services)
    for blob in image.blobs:
        old.remove(names.layer_link_name(APP, Digest.of(blob)))
    old.untag(APP, "v1")
    old.remove(names.revision_link_name(APP, image.digest))
    compare(registry, source)
    assert named(registry, "v1") is None
    assert named(registry, "v1", "team/other") is not None


def test_a_pass_without_a_change_lists_and_writes_nothing(registry: Registry, old: OldRegistry, source: int) -> None:
    database = registry.services.database
    for number in range(5):
        old.push(f"team/app-{number}", Image(), "v1", "v2")
    run(registry.services)
    before = query(database, "SELECT * FROM import_repositories ORDER BY id")
    start = value(database, "SELECT pg_current_wal_insert_lsn()")
    with requests_counted() as asked:
        compare(registry, source)
    assert set(asked) == {"list"}
    assert query(database, "SELECT * FROM import_repositories ORDER BY id") == before
    # A range that comes and goes, and a place that is taken and left.
    assert value(database, "SELECT pg_current_wal_insert_lsn() - CAST(:start AS pg_lsn)", start=start) < 20_000


def test_whoever_slept_past_a_lease_writes_nothing(registry: Registry, old: OldRegistry, source: int) -> None:
    """A listing from before, put in after a newer one, would take back what came since."""
    database = registry.services.database
    old.push(APP, Image(), "v1")
    run(registry.services)
    query(database, "UPDATE import_repositories SET due_at = now()")
    (late,) = claims.claim(database, source, 10, _MOST_OBJECTS)
    query(database, "UPDATE import_repositories SET lease_until = now(), due_at = now()")
    (again,) = claims.claim(database, source, 10, _MOST_OBJECTS)
    assert again.lease == late.lease + 1
    claims.put_off(database, [late], 60, "too late")
    assert query(database, "SELECT error FROM import_repositories") == [[None]]


@pytest.mark.usefixtures("source")
def test_a_repository_is_imported_again_after_it_was_killed(registry: Registry, old: OldRegistry) -> None:
    """The claim of whoever died runs out, and what it committed is found."""
    image = Image()
    old.push(APP, image, "v1")
    run(registry.services)
    query(
        registry.services.database,
        "UPDATE import_repositories SET state = 'importing', due_at = now(), lease_until = now()",
    )
    with requests_counted() as asked:
        run(registry.services)
    assert not [name for name in asked if name.startswith("read")]
    assert states(registry.services) == {APP: "imported"}
    assert named(registry, "v1") == str(image.digest)


@pytest.mark.usefixtures("source")
def test_time_that_is_over_ends_a_run_and_loses_nothing(registry: Registry, old: OldRegistry) -> None:
    for number in range(3):
        old.push(f"team/app-{number}", Image(), "v1")
    started = time.monotonic()
    work.run(registry.services, budget_seconds=0)
    assert time.monotonic() - started < 5
    run(registry.services)
    assert set(states(registry.services).values()) == {"imported"}
