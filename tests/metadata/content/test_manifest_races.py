"""Pushes, deletions and GC runs of the same manifests at once: whichever is second sees the other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from functions.registry.metadata.content import blobs, manifests, pushes, tags
from functions.registry.metadata.content.pushes import Push, ReferenceMissing, TypeDiffers
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_INDEX
from functions.registry.oci.name import Tag
from functions.registry.oci.page import Page
from tests.metadata.build import (
    APP,
    OpenTransaction,
    deadlocks,
    pass_time,
    push_blob,
    push_image,
    put,
    value,
    wait_until_blocked,
)
from tests.support import Image, descriptor, encode, index_of

PATIENCE = 60
# As a rule it takes a fiftieth of that; a machine may have other things to do.
SOON_SECONDS = 3


def test_a_push_waits_for_a_gc_run_of_its_blob_and_then_misses_it(database: Database, database_url: str) -> None:
    image = Image()
    for content in image.blobs:
        push_blob(database, APP, content)
    lost = Digest.of(image.layers[1])
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert blobs.delete(collector, APP, lost)
        pushed = pool.submit(put, database, APP, image.manifest, "one")
        wait_until_blocked(database)
        collector.commit()
        with pytest.raises(ReferenceMissing) as refused:
            pushed.result(PATIENCE)
    assert refused.value.digests == [lost]
    assert manifests.get(database, APP, image.digest) is None
    assert tags.list_names(database, APP, Page()) == []


def test_a_push_waits_for_a_gc_run_of_its_child_and_then_misses_it(database: Database, database_url: str) -> None:
    child = push_image(database, APP)
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert manifests.delete(collector, APP, child.digest)
        pushed = pool.submit(put, database, APP, index_of(child.manifest), "one")
        wait_until_blocked(database)
        collector.commit()
        with pytest.raises(ReferenceMissing) as refused:
            pushed.result(PATIENCE)
    assert refused.value.digests == [child.digest]
    assert tags.list_names(database, APP, Page()) == []


def test_a_push_of_a_manifest_that_is_being_collected_makes_it_anew(database: Database, database_url: str) -> None:
    image = push_image(database, APP)
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert manifests.delete(collector, APP, image.digest)
        pushed = pool.submit(put, database, APP, image.manifest, "one")
        wait_until_blocked(database)
        collector.commit()
        pushed.result(PATIENCE)
    assert manifests.get(database, APP, Tag("one")) is not None
    assert value(database, "SELECT count(*) FROM manifest_blobs") == len(image.blobs)
    assert value(database, "SELECT count(*) FROM manifest_reviews") == 1


def test_confirming_waits_for_a_collector_that_deletes_the_manifest(database: Database, database_url: str) -> None:
    image = push_image(database, APP)
    pass_time(database, 1000)
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert manifests.delete(collector, APP, image.digest)
        confirmed = pool.submit(manifests.confirm, database, APP, image.digest)
        wait_until_blocked(database)
        collector.commit()
        assert confirmed.result(PATIENCE) is None


def test_a_deletion_takes_along_the_tag_that_came_meanwhile(database: Database, database_url: str) -> None:
    image = push_image(database, APP, "one")
    with OpenTransaction(database_url) as client, ThreadPoolExecutor() as pool:
        put(client, APP, image.manifest, "two")
        deleted = pool.submit(manifests.delete, database, APP, image.digest)
        wait_until_blocked(database)
        client.commit()
        assert deleted.result(PATIENCE)
    assert tags.list_names(database, APP, Page()) == []


def test_a_deletion_leaves_the_tag_that_moved_away_meanwhile(database: Database, database_url: str) -> None:
    old, new = push_image(database, APP, "one"), push_image(database, APP)
    with OpenTransaction(database_url) as client, ThreadPoolExecutor() as pool:
        put(client, APP, new.manifest, "one")
        deleted = pool.submit(manifests.delete, database, APP, old.digest)
        wait_until_blocked(database)
        client.commit()
        assert deleted.result(PATIENCE)
    head = manifests.confirm(database, APP, Tag("one"))
    assert head is not None
    assert head.digest == new.digest


def test_eight_that_push_the_same_new_manifest_at_once_all_succeed(database: Database) -> None:
    image = Image()
    for content in image.blobs:
        push_blob(database, APP, content)
    together = Barrier(8, timeout=PATIENCE)
    before = deadlocks(database)

    def push(number: int) -> Digest:
        together.wait()
        return put(database, APP, image.manifest, f"tag-{number}", "latest")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, range(8))) == {image.digest}
    assert deadlocks(database) == before
    assert value(database, "SELECT count(*) FROM manifests") == 1
    assert tags.list_names(database, APP, Page()) == ["latest", *(f"tag-{number}" for number in range(8))]


def test_eight_that_push_eight_manifests_to_one_new_tag_at_once_wait_in_turn(database: Database) -> None:
    """Each deadlock among them costs a second, and a push is given up after three."""
    images = [push_image(database, APP) for _ in range(8)]
    together = Barrier(8, timeout=PATIENCE)
    before = deadlocks(database)

    def push(image: Image) -> Digest:
        together.wait()
        return put(database, APP, image.manifest, "latest", "stable")

    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, images)) == {image.digest for image in images}
    assert time.monotonic() - started < SOON_SECONDS
    assert deadlocks(database) == before
    heads = {name: manifests.confirm(database, APP, Tag(name)) for name in ("latest", "stable")}
    assert heads["latest"] == heads["stable"] is not None


def test_two_that_push_the_same_tags_in_opposite_order_wait_only_in_turn(database: Database, database_url: str) -> None:
    one, two = push_image(database, APP, "a", "b"), push_image(database, APP)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        put(other, APP, one.manifest, "b", "a")
        second = pool.submit(put, database, APP, two.manifest, "a", "b")
        wait_until_blocked(database)
        other.commit()
        assert second.result(PATIENCE) == two.digest
    for name in ("a", "b"):
        head = manifests.confirm(database, APP, Tag(name))
        assert head is not None
        assert head.digest == two.digest


def test_two_new_images_that_share_layers_in_opposite_order_both_succeed(database: Database) -> None:
    layers = (b"one layer", b"another layer")
    images = [Image(layers=layers), Image(layers=layers[::-1])]
    for image in images:
        for content in image.blobs:
            push_blob(database, APP, content)
    with ThreadPoolExecutor(2) as pool:
        digests = list(pool.map(lambda image: put(database, APP, image.manifest), images))
    assert digests == [image.digest for image in images]


UNTYPED = encode({"schemaVersion": 2, "manifests": []})
LIST = "application/vnd.example.list+json"


def put_as(database: Database, media_type: str | None, *names: str) -> None:
    manifest = parse_manifest(UNTYPED, media_type)
    pushes.put(database, Push(APP, Digest.of(UNTYPED), manifest, UNTYPED, [Tag(name) for name in names]))


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (OCI_INDEX, LIST, False),
        (LIST, OCI_INDEX, False),
        (LIST, LIST.upper(), True),
        (LIST, None, True),
        (None, OCI_INDEX, True),
        (None, LIST, False),
    ],
)
@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "undone"])
def test_of_two_pushes_of_the_same_bytes_at_once_under_two_types_one_is_refused(
    database: Database, database_url: str, first: str | None, second: str | None, agree: bool, is_undone: bool
) -> None:
    push_image(database, APP)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        put_as(other, first, "first")
        pushed = pool.submit(put_as, database, second, "second")
        wait_until_blocked(database)
        if is_undone:
            other.rollback()
        else:
            other.commit()
        if agree or is_undone:
            pushed.result(PATIENCE)
        else:
            with pytest.raises(TypeDiffers) as refused:
                pushed.result(PATIENCE)
            assert refused.value.stored == (first or OCI_INDEX)
    stored = manifests.get(database, APP, Digest.of(UNTYPED))
    assert stored is not None
    assert stored.media_type == ((second if is_undone else first) or OCI_INDEX)
    expected = {"second"} if is_undone else {"first", "second"} if agree else {"first"}
    assert set(tags.list_names(database, APP, Page()) or []) == expected


def test_a_blob_that_an_index_lists_and_a_gc_run_takes_away_is_missed(database: Database, database_url: str) -> None:
    layer = push_blob(database, APP, b"a layer of a cache")
    index = encode({"mediaType": OCI_INDEX, "manifests": [descriptor(b"a layer of a cache")]})
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert blobs.delete(collector, APP, layer)
        pushed = pool.submit(put, database, APP, index, "cache")
        wait_until_blocked(database)
        collector.commit()
        with pytest.raises(ReferenceMissing) as refused:
            pushed.result(PATIENCE)
    assert refused.value.digests == [layer]


def test_a_manifest_that_an_index_lists_as_something_else_and_that_is_deleted_meanwhile_is_missed(
    database: Database, database_url: str
) -> None:
    child = push_image(database, APP)
    index = encode({"mediaType": OCI_INDEX, "manifests": [descriptor(child.manifest, "application/x")]})
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        assert manifests.delete(other, APP, child.digest)
        pushed = pool.submit(put, database, APP, index, "cache")
        wait_until_blocked(database)
        other.commit()
        with pytest.raises(ReferenceMissing) as refused:
            pushed.result(PATIENCE)
    assert refused.value.digests == [child.digest]


def test_deleted_as_a_manifest_and_here_as_a_blob_it_is_kept_as_a_blob(database: Database, database_url: str) -> None:
    child = push_image(database, APP)
    push_blob(database, APP, child.manifest)
    index = encode({"mediaType": OCI_INDEX, "manifests": [descriptor(child.manifest, "application/x")]})
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        assert manifests.delete(other, APP, child.digest)
        pushed = pool.submit(put, database, APP, index, "cache")
        wait_until_blocked(database)
        other.commit()
        pushed.result(PATIENCE)
    assert value(database, "SELECT count(*) FROM manifest_children") == 0
    assert value(database, "SELECT digest FROM manifest_blobs") == child.digest.to_bytes()
