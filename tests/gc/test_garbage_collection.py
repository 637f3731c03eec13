"""What goes and what stays, through the api and a whole GC run."""

from __future__ import annotations

import os

import pytest
import requests

from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.oci.digest import Digest
from tests.gc.conftest import collect, execute, rows
from tests.support import Image, Registry, descriptor, index_of


def assert_pulls(registry: Registry, repository: str, reference: object, image: Image) -> None:
    assert registry.get(f"/v2/{repository}/manifests/{reference}").data == image.manifest
    for blob in image.blobs:
        assert registry.pull_blob(repository, Digest.of(blob)) == blob


def objects(registry: Registry, storage_address: str) -> set[str]:
    answer = requests.get(f"{storage_address}/storage/v1/b/{registry.services.settings.bucket}/o", timeout=10)
    return {entry["name"] for entry in answer.json().get("items", [])}


def signature(of: bytes, annotation: str = "signed") -> Image:
    """A referrer: an artifact whose subject is `of`."""
    subject = descriptor(of, "application/vnd.oci.image.manifest.v1+json")
    return Image(layers=(os.urandom(50),), more={"subject": subject, "annotations": {"note": annotation}})


def test_a_tagged_image_stays_and_everything_else_goes(hasty: Registry, storage_address: str) -> None:
    kept = hasty.push_image("a/b", "v1")
    gone = hasty.push_image("a/b")
    hasty.push_blob("a/b", b"pushed, and never named by a manifest")
    hasty.request("PATCH", hasty.start_upload("a/b"), data=b"never finished")
    execute(hasty, "UPDATE uploads SET expires_at = now()")
    collect(hasty)
    assert_pulls(hasty, "a/b", "v1", kept)
    assert hasty.get(f"/v2/a/b/manifests/{gone.digest}").status_code == 404
    assert len(objects(hasty, storage_address)) == len(kept.blobs)
    for table in ("deletions", "uploads", "manifest_reviews", "link_reviews", "blob_reviews"):
        assert rows(hasty, table) == 0


def test_nothing_goes_before_its_grace_is_over(registry: Registry) -> None:
    image = registry.push_image("a/b")
    assert collect(registry) == {}
    assert_pulls(registry, "a/b", image.digest, image)
    assert rows(registry, "manifest_reviews") == 1


def test_a_moved_tag_leaves_its_old_manifest_to_go(hasty: Registry) -> None:
    old, new = hasty.push_image("a/b", "latest"), hasty.push_image("a/b", "latest")
    collect(hasty)
    assert_pulls(hasty, "a/b", "latest", new)
    assert hasty.get(f"/v2/a/b/manifests/{old.digest}").status_code == 404


def test_an_index_keeps_its_children_and_they_go_after_it(hasty: Registry) -> None:
    execute(hasty, "UPDATE gc_settings SET grace = '1 hour'")
    children = [hasty.push_image("a/b") for _ in range(2)]
    nested = index_of(children[0].manifest)
    hasty.put_manifest("a/b", Digest.of(nested), nested)
    hasty.put_manifest("a/b", "v1", index_of(nested, children[1].manifest))
    make_due(hasty)
    collect(hasty)
    for child in children:
        assert_pulls(hasty, "a/b", child.digest, child)
    hasty.request("DELETE", "/v2/a/b/manifests/v1")
    execute(hasty, "UPDATE gc_settings SET grace = '0'")
    make_due(hasty)
    collect(hasty)
    assert rows(hasty, "manifests") == 0
    assert rows(hasty, "blobs") == 0


def make_due(registry: Registry) -> None:
    """Time passes."""
    for queue in ("manifest_reviews", "link_reviews", "blob_reviews"):
        execute(registry, f"UPDATE {queue} SET review_after = now() - interval '1 second'")  # noqa: S608  # from a list


def test_referrers_live_with_their_subject(hasty: Registry) -> None:
    """They do so in a chain, too, and untagged."""
    execute(hasty, "UPDATE gc_settings SET grace = '1 hour'")
    image = hasty.push_image("a/b", "v1")
    signed = hasty.push_image("a/b", image=signature(image.manifest))
    attested = hasty.push_image("a/b", image=signature(signed.manifest))
    make_due(hasty)
    collect(hasty)
    assert_pulls(hasty, "a/b", signed.digest, signed)
    assert_pulls(hasty, "a/b", attested.digest, attested)
    execute(hasty, "UPDATE gc_settings SET grace = '0'")
    hasty.request("DELETE", f"/v2/a/b/manifests/{image.digest}")
    collect(hasty)
    assert rows(hasty, "manifests") == 0


def test_a_referrer_pushed_before_its_subject_waits_for_it(registry: Registry) -> None:
    image = Image()
    signed = registry.push_image("a/b", image=signature(image.manifest))
    registry.push_image("a/b", "v1", image)
    make_due(registry)
    collect(registry)
    assert_pulls(registry, "a/b", signed.digest, signed)


def test_an_index_with_a_subject_that_it_lists_in_a_circle_goes(hasty: Registry) -> None:
    """A lists B; X lists A and has the subject B. One tag on B keeps all; without it none stays."""
    execute(hasty, "UPDATE gc_settings SET grace = '1 hour'")
    b = hasty.push_image("a/b", "v1")
    a = index_of(b.manifest)
    hasty.put_manifest("a/b", Digest.of(a), a)
    x = index_of(a, subject=descriptor(b.manifest))
    hasty.put_manifest("a/b", Digest.of(x), x)
    make_due(hasty)
    collect(hasty)
    assert rows(hasty, "manifests") == 3
    execute(hasty, "UPDATE gc_settings SET grace = '0'")
    hasty.request("DELETE", "/v2/a/b/manifests/v1")
    collect(hasty)
    assert rows(hasty, "manifests") == 0


def test_an_untagged_referrer_lives_as_long_as_its_untagged_subject_is_in_grace(registry: Registry) -> None:
    """It does so in a chain, too; and the children of an index likewise."""
    image = registry.push_image("a/b", "v1")
    signed = registry.push_image("a/b", image=signature(image.manifest))
    attested = registry.push_image("a/b", image=signature(signed.manifest))
    listed = registry.push_image("a/b")
    index = index_of(listed.manifest)
    make_due(registry)
    registry.put_manifest("a/b", Digest.of(index), index)
    registry.request("DELETE", "/v2/a/b/manifests/v1")
    collect(registry)
    for kept in (signed, attested, listed):
        assert_pulls(registry, "a/b", kept.digest, kept)
    execute(registry, "UPDATE gc_settings SET grace = '0'")
    make_due(registry)
    collect(registry)
    assert rows(registry, "manifests") == 0
    assert rows(registry, "blobs") == 0


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_circle_of_which_one_is_in_grace_is_kept_by_it_and_then_goes(registry: Registry, last: int) -> None:
    """A lists B; X lists A and has the subject B. None has a tag, and each is in grace once, alone."""
    b = registry.push_image("a/b")
    a = index_of(b.manifest)
    x = index_of(a, subject=descriptor(b.manifest))
    for manifest in (a, x):
        registry.put_manifest("a/b", Digest.of(manifest), manifest)
    in_grace = [Digest.of(manifest) for manifest in (b.manifest, a, x)][last]
    make_due(registry)
    execute(
        registry,
        "UPDATE manifest_reviews SET review_after = now() + interval '1 hour' FROM manifests"  # noqa: S608  # a digest
        f" WHERE manifests.id = manifest_id AND digest = '\\x{in_grace.to_bytes().hex()}'",
    )
    execute(registry, "UPDATE gc_settings SET grace = '1 hour'")
    collect(registry)
    assert rows(registry, "manifests") == 3
    runs = 0
    while rows(registry, "manifests"):
        make_due(registry)
        collect(registry)
        runs += 1
        assert runs <= 5, "a circle does not end"


def test_a_link_goes_though_another_repository_keeps_the_blob(hasty: Registry, storage_address: str) -> None:
    image = hasty.push_image("a/b", "v1")
    digest = Digest.of(image.layers[0])
    hasty.request("POST", f"/v2/c/d/blobs/uploads/?mount={digest}&from=a/b")
    collect(hasty)
    assert hasty.get(f"/v2/c/d/blobs/{digest}").status_code == 404
    assert_pulls(hasty, "a/b", "v1", image)
    assert len(objects(hasty, storage_address)) == len(image.blobs)


def test_a_digest_pushed_again_after_its_blob_is_pending_deletion_has_an_object_of_its_own(
    hasty: Registry, storage_address: str
) -> None:
    execute(hasty, "UPDATE gc_settings SET grace = '1 hour' WHERE event = 'delete'")
    digest = hasty.push_blob("a/b", b"again")
    collect(hasty)
    assert rows(hasty, "deletions") == 1
    assert hasty.push_blob("a/b", b"again") == digest
    execute(hasty, "UPDATE deletions SET not_before = now()")
    execute(hasty, "UPDATE gc_settings SET grace = '1 hour'")
    execute(hasty, "UPDATE link_reviews SET review_after = now() + interval '1 hour'")
    collect(hasty)
    assert rows(hasty, "deletions") == 0
    assert hasty.pull_blob("a/b", digest) == b"again"
    assert len(objects(hasty, storage_address)) == 1


@pytest.mark.parametrize("method", ["HEAD", "mount", "push"])
def test_what_was_confirmed_stays(registry: Registry, method: str) -> None:
    digest = registry.push_blob("a/b", b"confirmed")
    make_due(registry)
    match method:
        case "HEAD":
            registry.request("HEAD", f"/v2/a/b/blobs/{digest}")
        case "mount":
            registry.request("POST", f"/v2/a/b/blobs/uploads/?mount={digest}&from=a/b")
        case "push":
            registry.push_blob("a/b", b"confirmed")
    collect(registry)
    assert registry.pull_blob("a/b", digest) == b"confirmed"


def test_a_repository_that_keeps_untagged_manifests(hasty: Registry) -> None:
    image = hasty.push_image("a/b")
    execute(hasty, "UPDATE repositories SET keep_untagged = true")
    collect(hasty)
    assert_pulls(hasty, "a/b", image.digest, image)
    execute(hasty, "UPDATE repositories SET keep_untagged = false")
    collect(hasty)
    assert rows(hasty, "manifests") == 0


def test_a_repository_with_a_grace_of_its_own(hasty: Registry) -> None:
    hasty.push_blob("a/b", b"first")
    execute(hasty, "UPDATE repositories SET grace = '1 hour'")
    kept = hasty.push_blob("a/b", b"second")
    collect(hasty)
    assert hasty.pull_blob("a/b", kept) == b"second"
    assert rows(hasty, "blobs") == 1


def test_totals_tell_what_was_collected(hasty: Registry) -> None:
    image = hasty.push_image("a/b")
    collect(hasty)
    size = sum(map(len, image.blobs))
    connection = hasty.services.database
    assert connection is not None
    assert rows(hasty, "collected") == 4
    assert rows(hasty, f"collected WHERE level = 'object' AND rows = 3 AND bytes = {size}") == 1
    assert rows(hasty, f"collected WHERE level = 'manifest' AND bytes = {len(image.manifest)}") == 1


def test_a_kept_repository_keeps_what_lost_its_tag_until_the_rule_goes(hasty: Registry) -> None:
    """It keeps what lost its tag before there was a rule, too; elsewhere that goes as ever."""
    database = hasty.services.database
    images = {name: hasty.push_image(name, "latest") for name in ("a/b", "other/b")}
    for name in images:
        hasty.push_image(name, "latest")
    rule = rules.add(database, NewRule("archive", 0, "delete_protected", "a/**", role="admin"))
    collect(hasty)
    assert_pulls(hasty, "a/b", images["a/b"].digest, images["a/b"])
    assert hasty.get(f"/v2/other/b/manifests/{images['other/b'].digest}").status_code == 404
    assert hasty.get("/api/v1/repositories/a/b/-/gc").get_json()["manifests"] == []
    rules.remove(database, rule)
    execute(hasty, "UPDATE manifest_reviews SET review_after = now() - interval '1 second'")
    collect(hasty)
    assert hasty.get(f"/v2/a/b/manifests/{images['a/b'].digest}").status_code == 404
