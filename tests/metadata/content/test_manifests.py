"""A push is whole or nothing, a manifest comes back byte for byte, and what an index lists stays."""

from __future__ import annotations

import pytest

from functions.registry.metadata.content import blobs, manifests, pushes, repositories, tags
from functions.registry.metadata.content.manifests import ListedByIndex, ManifestHead, StoredManifest
from functions.registry.metadata.content.pushes import Push, ReferenceMissing, TypeDiffers
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.name import Tag
from functions.registry.oci.page import Page
from tests.metadata.build import (
    APP,
    OTHER,
    artifact_of,
    pass_time,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    set_grace,
    signature_of,
    value,
)
from tests.support import Image, descriptor, encode, index_of

FOREIGN_TYPE = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def names(database: Database) -> list[str]:
    return tags.list_names(database, APP, Page()) or []


def count(database: Database, table: str) -> int:
    number: int = value(database, f"SELECT count(*) FROM {table}")  # noqa: S608
    return number


def test_a_manifest_comes_back_byte_for_byte_by_digest_and_by_each_tag(database: Database) -> None:
    image = Image(more={"annotations": {"note": "\N{WHALE} \\ \"'"}})
    image = push_image(database, APP, "one", "two", image=image)
    stored = StoredManifest(image.digest, OCI_MANIFEST, image.manifest)
    head = ManifestHead(image.digest, OCI_MANIFEST, len(image.manifest))
    for reference in (image.digest, Tag("one"), Tag("two")):
        assert manifests.get(database, APP, reference) == stored
        assert manifests.confirm(database, APP, reference) == head
    for reference in (Digest.of(b"unknown"), Digest.of(image.manifest, "sha512"), Tag("three")):
        assert manifests.get(database, APP, reference) is None
        assert manifests.confirm(database, APP, reference) is None
    assert manifests.get(database, OTHER, image.digest) is None
    assert manifests.confirm(database, OTHER, Tag("one")) is None


def test_the_same_manifest_may_have_a_digest_of_each_algorithm(database: Database) -> None:
    image = push_image(database, APP, "one")
    long = Digest.of(image.manifest, "sha512")
    pushes.put(database, Push(APP, long, parse_manifest(image.manifest, None), image.manifest, []))
    stored = manifests.get(database, APP, long)
    assert stored is not None
    assert stored.digest == long
    assert manifests.get(database, APP, image.digest) is not None


def test_a_put_makes_the_repository_and_a_refused_one_does_not(database: Database) -> None:
    with pytest.raises(ReferenceMissing):
        put(database, APP, Image().manifest, "one")
    assert not repositories.exists(database, APP)
    put(database, APP, index_of(), "one")
    assert repositories.exists(database, APP)
    assert names(database) == ["one"]


def test_a_missing_blob_is_named_and_nothing_is_written(database: Database) -> None:
    tagged = push_image(database, APP, "one")
    image = Image()
    push_blob(database, APP, image.config)
    push_blob(database, OTHER, image.layers[0])
    with pytest.raises(ReferenceMissing) as refused:
        put(database, APP, image.manifest, "one", "two")
    assert set(refused.value.digests) == {Digest.of(layer) for layer in image.layers}
    assert manifests.get(database, APP, image.digest) is None
    head = manifests.confirm(database, APP, Tag("one"))
    assert head is not None
    assert head.digest == tagged.digest
    assert names(database) == ["one"]
    assert count(database, "manifest_blobs") == len(tagged.blobs)


def test_a_missing_child_is_named_with_the_missing_blobs_and_at_most_ten_of_each(database: Database) -> None:
    child, elsewhere = push_image(database, APP), push_image(database, OTHER)
    with pytest.raises(ReferenceMissing) as refused:
        put(database, APP, index_of(child.manifest, elsewhere.manifest), "one")
    assert refused.value.digests == [elsewhere.digest]
    assert names(database) == []
    many = index_of(*(bytes([number]) for number in range(12)))
    with pytest.raises(ReferenceMissing) as refused:
        put(database, APP, many)
    assert len(refused.value.digests) == 10


def test_pushing_again_keeps_one_row_and_its_media_type_and_takes_the_new_tags(database: Database) -> None:
    payload = encode({"schemaVersion": 2, "manifests": []})
    digest = put(database, APP, payload, "one")
    pushed_at = value(database, "SELECT pushed_at FROM manifests")
    put(database, APP, payload, "two", "two", "one")
    assert names(database) == ["one", "two"]
    other = parse_manifest(payload, "application/vnd.example.list+json")
    with pytest.raises(TypeDiffers) as refused:
        pushes.put(database, Push(APP, digest, other, payload, [Tag("one"), Tag("three")]))
    assert refused.value.stored == OCI_INDEX
    assert manifests.get(database, APP, Tag("one")) == StoredManifest(digest, OCI_INDEX, payload)
    assert names(database) == ["one", "two"]
    assert count(database, "manifests") == 1
    assert value(database, "SELECT pushed_at FROM manifests") > pushed_at


def test_a_push_moves_its_tags_and_no_others(database: Database) -> None:
    old = push_image(database, APP, "moves", "stays")
    push_image(database, OTHER, "moves")
    new = push_image(database, APP, "moves", "comes")
    pointed = {
        name: head.digest
        for name in names(database)
        if (head := manifests.confirm(database, APP, Tag(name))) is not None
    }
    assert pointed == {"comes": new.digest, "moves": new.digest, "stays": old.digest}


@pytest.mark.parametrize("name", ["null", "NULL", "true", "1e5", "_", "a" * 128])
def test_a_tag_may_have_a_name_that_means_something_elsewhere(database: Database, name: str) -> None:
    image = push_image(database, APP, name, "latest")
    head = manifests.confirm(database, APP, Tag(name))
    assert head is not None
    assert head.digest == image.digest
    assert names(database) == sorted([name, "latest"])


def test_a_blob_named_twice_is_kept_once(database: Database) -> None:
    layer = b"the same layer"
    image = push_image(database, APP, "one", image=Image(layers=(layer, layer)))
    assert count(database, "manifest_blobs") == 2
    assert manifests.delete(database, APP, image.digest)
    assert count(database, "manifest_blobs") == 0


def test_a_foreign_layer_may_be_missing_and_is_kept_if_it_is_there(database: Database) -> None:
    here, absent = push_blob(database, APP, b"here"), Digest.of(b"absent")
    layers = [descriptor(b"here", FOREIGN_TYPE), descriptor(b"absent", FOREIGN_TYPE)]
    put(database, APP, encode({"schemaVersion": 2, "layers": layers}))
    kept = [Digest.from_bytes(row[0]) for row in query(database, "SELECT digest FROM manifest_blobs")]
    assert kept == [here]
    assert absent not in kept
    with pytest.raises(blobs.NamedByManifests):
        blobs.delete(database, APP, here)


def test_a_subject_may_be_missing(database: Database) -> None:
    digest = put(database, APP, artifact_of(b"nobody has pushed it"))
    assert manifests.get(database, APP, digest) is not None


def test_deleting_takes_the_manifest_all_its_tags_and_its_references(database: Database) -> None:
    image = push_image(database, APP, "one", "two")
    other = push_image(database, APP, "three")
    push_image(database, OTHER, "one", image=image)
    assert manifests.delete(database, APP, image.digest)
    assert manifests.delete(database, APP, image.digest) is None
    assert manifests.get(database, APP, image.digest) is None
    assert names(database) == ["three"]
    assert manifests.get(database, APP, other.digest) is not None
    assert manifests.get(database, OTHER, Tag("one")) is not None
    for content in image.blobs:
        assert blobs.get(database, APP, Digest.of(content)) is not None, "a blob goes only after its grace"


def test_what_an_index_lists_can_not_be_deleted_before_the_index(database: Database) -> None:
    child = push_image(database, APP, "child")
    index = push_index(database, APP, "index", of=[child])
    outer = put(database, APP, encode({"schemaVersion": 2, "manifests": [descriptor(index_of(child.manifest))]}))
    for listed in (child.digest, index):
        with pytest.raises(ListedByIndex):
            manifests.delete(database, APP, listed)
    assert names(database) == ["child", "index"], "a refused deletion leaves the tags"
    for digest in (outer, index, child.digest):
        assert manifests.delete(database, APP, digest)
    head = manifests.confirm(database, APP, Tag("index"))
    assert head is None


def test_a_subject_can_be_deleted_before_its_referrers(database: Database) -> None:
    subject = push_image(database, APP, "one")
    signature = push_image(database, APP, image=signature_of(subject.manifest))
    assert manifests.delete(database, APP, subject.digest)
    assert manifests.get(database, APP, signature.digest) is not None


def test_an_index_keeps_its_media_type(database: Database) -> None:
    digest = push_index(database, APP, of=[push_image(database, APP)])
    head = manifests.confirm(database, APP, digest)
    assert head is not None
    assert head.media_type == OCI_INDEX


def lease(database: Database, digest: Digest) -> list[object] | None:
    """The event and the hours left of the manifest's review, and the row's version."""
    rows = query(
        database,
        "SELECT event, CAST(extract(epoch FROM review_after - now()) / 3600 AS float8), CAST(review.xmin AS text)"
        "  FROM manifest_reviews AS review JOIN manifests ON manifests.id = manifest_id WHERE digest = :digest",
        digest=digest.to_bytes(),
    )
    return rows[0] if rows else None


def test_confirming_by_digest_renews_the_lease_when_less_than_half_of_one_is_left(database: Database) -> None:
    set_grace(database, push=20, lease=20)
    image = push_image(database, APP, "one")
    pass_time(database, 9.5)
    before = lease(database, image.digest)
    manifests.confirm(database, APP, image.digest)
    assert before is not None
    assert (lease(database, image.digest) or [])[2] == before[2], "nothing is written while more than half is left"
    pass_time(database, 1)
    manifests.confirm(database, APP, Tag("one"))
    assert (lease(database, image.digest) or [])[0] == "push", "a tag keeps its manifest by itself"
    manifests.confirm(database, APP, image.digest)
    assert (lease(database, image.digest) or [])[:2] == ["lease", pytest.approx(20, abs=0.05)]
    query(database, "DELETE FROM manifest_reviews")
    assert manifests.confirm(database, APP, image.digest) is not None
    assert lease(database, image.digest) is None
