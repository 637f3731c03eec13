"""What a repair does about each finding, what it leaves alone, and how what was lost comes back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from functions.gc.run import run as collect
from functions.migrate.checks import repair
from functions.migrate.checks.working import Work
from functions.registry.metadata.checks import manifests, mending
from functions.registry.metadata.checks.mending import Noted
from functions.registry.oci.digest import Digest
from tests.checks.vandal import Vandal
from tests.metadata.build import value
from tests.support import Image, Registry, index_of


def test_a_damaged_image_is_whole_again_once_it_is_pushed(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1", Image(layers=(b"one" * 50, b"two" * 50, b"three" * 50)))
    vandal.check()
    names = [vandal.object_of(digest) for digest in image.blob_digests]
    vandal.take(names[0])
    vandal.cut(names[1])
    vandal.swap(names[2])
    ended = vandal.check(repair=True)
    assert ended.counts["marked"] == 3
    for digest in image.blob_digests[:3]:
        assert registry.get(f"/v2/demo/app/blobs/{digest}").status_code == 404
        assert registry.request("HEAD", f"/v2/demo/app/blobs/{digest}").status_code == 404
    assert registry.get("/v2/demo/app/manifests/v1").status_code == 200
    # Of a second repair nothing is left to do.
    assert "marked" not in vandal.check(repair=True).counts
    assert {kind for kind, _ in vandal.found()} == {"missing", "size", "checksum"}
    registry.push_image("demo/app", "v1", image)
    assert vandal.found() == set()
    assert [registry.pull_blob("demo/app", digest) for digest in image.blob_digests] == list(image.blobs)
    vandal.check(hash=100)
    assert vandal.query("SELECT count(*) FROM findings WHERE gone_at IS NULL") == [[0]]


def test_unknown_objects_wait_seven_days_and_can_be_kept(registry: Registry, vandal: Vandal) -> None:
    registry.push_image("demo/app", "v1")
    name = vandal.litter()
    assert "queued" not in vandal.check(repair=True).counts
    check = vandal.check(delete_unknown=True)
    assert check.counts["queued"] == 1
    waits = (
        "SELECT CAST(extract(epoch FROM not_before - now()) / 86400 AS float) FROM deletions WHERE object_name = :name"
    )
    assert 6.9 < float(value(registry.services.database, waits, name=name)) < 7.1
    collect(registry.services)
    assert vandal.content(name) == b"nobody's"
    assert vandal.found() == set()
    assert mending.undo(registry.services.database, check.id) == 1
    assert vandal.query("SELECT count(*) FROM deletions WHERE object_name = :name", name=name) == [[0]]
    assert vandal.found() == {("unknown", name)}
    vandal.check(delete_unknown=True)
    vandal.run("UPDATE deletions SET not_before = now() WHERE object_name = '{name}'", name=name)
    collect(registry.services)
    vandal.check()
    assert vandal.found() == set()


def test_a_dry_run_says_what_it_would_do(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1")
    vandal.take(vandal.object_of(image.blob_digests[0]))
    vandal.litter()
    ended = vandal.check(repair=True, delete_unknown=True, dry_run=True)
    assert ended.counts["would_be_marked"] == 1
    assert ended.counts["would_be_queued"] == 1
    assert registry.get(f"/v2/demo/app/blobs/{image.blob_digests[0]}").status_code == 307
    assert vandal.query("SELECT count(*) FROM deletions") == [[0]]
    assert vandal.check(repair=True, delete_unknown=True).counts["marked"] == 1


def test_a_manifest_with_other_bytes_is_not_served_until_it_is_pushed(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1")
    id_ = vandal.manifest_id(image.digest)
    vandal.run("UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}", id=id_)
    before = vandal.query("SELECT count(*) FROM manifest_reviews")
    vandal.check(repair=True)
    for reference in ("v1", image.digest):
        assert registry.get(f"/v2/demo/app/manifests/{reference}").status_code == 404
        assert registry.request("HEAD", f"/v2/demo/app/manifests/{reference}").status_code == 404
    assert vandal.query("SELECT count(*) FROM manifest_reviews") == before
    assert vandal.found() == {("manifest", str(id_))}
    assert registry.put_manifest("demo/app", "v1", image.manifest).status_code == 201
    assert registry.get("/v2/demo/app/manifests/v1").data == image.manifest
    assert vandal.found() == set()
    vandal.check()
    assert vandal.found() == set()


def test_a_manifest_that_a_push_has_brought_meanwhile_is_not_marked(registry: Registry, vandal: Vandal) -> None:
    """Whoever was killed before it was noted does it again, and by then it may be whole."""
    image = registry.push_image("demo/app", "v1")
    id_ = vandal.manifest_id(image.digest)
    vandal.run("UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}", id=id_)
    vandal.check(repair=True)
    assert registry.put_manifest("demo/app", "v1", image.manifest).status_code == 201
    registry.services.database.batch(manifests.marking([id_]))
    assert registry.get("/v2/demo/app/manifests/v1").data == image.manifest


def test_references_are_written_again_where_the_repository_has_what_they_name(
    registry: Registry, vandal: Vandal
) -> None:
    image, child = registry.push_image("demo/app", "v1"), registry.push_image("demo/app")
    index = index_of(child.manifest)
    registry.put_manifest("demo/app", "all", index)
    vandal.run("DELETE FROM manifest_blobs WHERE manifest_id = {id}", id=vandal.manifest_id(image.digest))
    vandal.run("DELETE FROM manifest_children WHERE parent_id = {id}", id=vandal.manifest_id(Digest.of(index)))
    assert vandal.check(repair=True).counts["written"] == 2
    assert vandal.found() == set()
    vandal.check()
    assert vandal.found() == set()


def test_no_repair_makes_a_link(registry: Registry, vandal: Vandal) -> None:
    """A manifest may name any digest: a link to somebody's private blob would be the right to read it."""
    private = registry.push_blob("private/app", b"nobody else's")
    image = registry.push_image("demo/app", "v1", Image(layers=(b"nobody else's",)))
    vandal.run(
        "DELETE FROM manifest_blobs WHERE digest = '\\x{digest}'; DELETE FROM repository_blobs USING repositories"
        " WHERE repositories.id = repository_id AND name = 'demo/app' AND digest = '\\x{digest}'",
        digest=private.to_bytes().hex(),
    )
    assert registry.get(f"/v2/demo/app/blobs/{private}").status_code == 404
    assert "written" not in vandal.check(repair=True).counts
    assert ("references", str(vandal.manifest_id(image.digest))) in vandal.found()
    assert registry.get(f"/v2/demo/app/blobs/{private}").status_code == 404


def test_what_nothing_waits_for_is_reviewed_again(registry: Registry, vandal: Vandal) -> None:
    registry.push_image("demo/app")
    registry.push_blob("demo/app", b"linked, and named by nothing")
    vandal.run("DELETE FROM manifest_reviews; DELETE FROM link_reviews")
    assert vandal.check(repair=True).counts["reviewed"] == 2
    assert vandal.found() == set()
    vandal.check()
    assert vandal.found() == set()


def test_an_object_that_somebody_restored_is_served_again(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1")
    name = vandal.object_of(image.blob_digests[1])
    content = vandal.content(name)
    vandal.take(name)
    vandal.check(repair=True)
    assert registry.get(f"/v2/demo/app/blobs/{image.blob_digests[1]}").status_code == 404
    vandal.put(name, content)
    vandal.check()
    assert vandal.found() == {("marked", name)}
    assert vandal.check(repair=True).counts["unmarked"] == 1
    assert registry.pull_blob("demo/app", image.blob_digests[1]) == content
    vandal.put(name, content[::-1])
    vandal.run("UPDATE blobs SET damaged_at = now(), crc32c = NULL")
    vandal.check(repair=True)
    assert registry.get(f"/v2/demo/app/blobs/{image.blob_digests[1]}").status_code == 404


def test_an_object_that_somebody_restores_in_the_middle_of_a_repair_is_not_marked(
    registry: Registry, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = registry.push_image("demo/app", "v1")
    name = vandal.object_of(image.blob_digests[1])
    content, mark = vandal.content(name), repair._mark

    def late(work: Work, noted: Sequence[Noted]) -> list[Noted]:
        vandal.put(name, content)
        return mark(work, noted)

    vandal.take(name)
    monkeypatch.setattr(repair, "_mark", late)
    assert vandal.check(repair=True).counts.get("marked", 0) == 0
    assert vandal.query("SELECT count(*) FROM blobs WHERE damaged_at IS NOT NULL") == [[0]]
    assert registry.pull_blob("demo/app", image.blob_digests[1]) == content


def test_nothing_is_marked_where_too_much_is_gone(
    registry: Registry, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "_MOST", 2)
    image = registry.push_image("demo/app", "v1")
    registry.push_image("demo/app", "v2")
    for digest in image.blob_digests:
        vandal.take(vandal.object_of(digest))
    ended = vandal.check(repair=True)
    assert ended.state == "stopped"
    assert ended.reason is not None
    assert "3 of 6 blobs" in ended.reason
    assert vandal.query("SELECT count(*) FROM blobs WHERE damaged_at IS NOT NULL") == [[0]]
    assert vandal.check(repair=True, yes=True).counts["marked"] == 3


def test_an_empty_bucket_is_the_wrong_one(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1")
    for digest in image.blob_digests:
        vandal.take(vandal.object_of(digest))
    ended = vandal.check(repair=True, yes=True)
    assert ended.state == "stopped"
    assert vandal.query("SELECT count(*) FROM blobs WHERE damaged_at IS NOT NULL") == [[0]]
