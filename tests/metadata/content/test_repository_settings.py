"""What a repository keeps in a way of its own: its grace, its untagged manifests, its missing references."""

from __future__ import annotations

import pytest

from functions.registry.metadata.content import blobs, manifests, pushes, tags
from functions.registry.metadata.content.pushes import Push, ReferenceMissing
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import APP, OTHER, pass_time, push_blob, push_image, put, query, set_grace, signature_of
from tests.support import Image, index_of


def set_repository(database: Database, **settings: object) -> None:
    for name, setting in settings.items():
        query(database, f"UPDATE repositories SET {name} = :setting WHERE name = :app", setting=setting, app=APP)  # noqa: S608


def queued(
    database: Database, repository: RepositoryName, queue: str = "manifest_reviews"
) -> dict[Digest, list[object]]:
    """The event and the hours left (whole ones) of each review of the repository."""
    item = {"manifest_reviews": "manifests", "link_reviews": "repository_blobs"}[queue]
    on = (
        "item.id = manifest_id"
        if queue == "manifest_reviews"
        else "(item.repository_id, item.digest) = (queue.repository_id, queue.digest)"
    )
    rows = query(
        database,
        "SELECT item.digest, event, CAST(round(extract(epoch FROM review_after - now()) / 3600) AS int)"  # noqa: S608
        f"  FROM {queue} AS queue JOIN {item} AS item ON {on}"
        "  JOIN repositories ON repositories.id = item.repository_id WHERE name = :name",
        name=repository,
    )
    return {Digest.from_bytes(digest): [event, hours] for digest, event, hours in rows}


def put_sparse(database: Database, payload: bytes, *names: str) -> Digest:
    digest = Digest.of(payload)
    push = Push(
        APP, digest, parse_manifest(payload, None), payload, [Tag(name) for name in names], accepts_missing=True
    )
    pushes.put(database, push)
    return digest


def named(database: Database, table: str) -> set[Digest]:
    return {Digest.from_bytes(row[0]) for row in query(database, f"SELECT digest FROM {table}")}  # noqa: S608


def test_a_repositorys_own_grace_stands_in_for_every_event_and_for_it_alone(database: Database) -> None:
    set_grace(database, push=20, upload=10, untag=30, cascade=40)
    push_blob(database, APP, b"first")
    query(database, "UPDATE repositories SET grace = interval '70 hours'")
    content = push_blob(database, APP, b"second")
    image, other = push_image(database, APP, "one"), push_image(database, OTHER, "one")
    assert queued(database, APP, "link_reviews")[content] == ["upload", 70]
    assert queued(database, APP)[image.digest] == ["push", 70]
    assert queued(database, OTHER)[other.digest] == ["push", 20]
    pass_time(database, 10)
    assert tags.delete(database, APP, Tag("one"))
    assert queued(database, APP)[image.digest] == ["untag", 70]
    pass_time(database, 10)
    assert manifests.delete(database, APP, image.digest)
    assert queued(database, APP, "link_reviews")[Digest.of(image.config)] == ["cascade", 70]


def test_a_lease_is_a_repositorys_own_and_is_renewed_past_its_half(database: Database) -> None:
    push_blob(database, APP, b"first")
    query(database, "UPDATE repositories SET grace = interval '70 hours'")
    digest = push_blob(database, APP, b"second")
    image = push_image(database, APP)
    pass_time(database, 30)
    assert blobs.confirm(database, APP, digest)
    assert manifests.confirm(database, APP, image.digest)
    assert queued(database, APP, "link_reviews")[digest] == ["upload", 40]
    pass_time(database, 10)
    assert blobs.confirm(database, APP, digest)
    assert manifests.confirm(database, APP, image.digest)
    assert queued(database, APP, "link_reviews")[digest] == ["lease", 70]
    assert queued(database, APP)[image.digest] == ["lease", 70]


def test_untagged_manifests_are_queued_once_they_are_no_longer_kept(database: Database) -> None:
    tagged, untagged = push_image(database, APP, "one"), push_image(database, APP)
    push_image(database, OTHER)
    set_repository(database, keep_untagged=True)
    query(database, "DELETE FROM manifest_reviews")
    set_repository(database, keep_untagged=True)
    assert queued(database, APP) == {}
    set_repository(database, keep_untagged=False)
    assert queued(database, APP) == {untagged.digest: ["untag", 24]}
    assert queued(database, OTHER) == {}
    assert manifests.get(database, APP, tagged.digest) is not None


def test_missing_references_are_remembered_where_they_are_accepted(database: Database) -> None:
    image, child = Image(), push_image(database, APP)
    push_blob(database, APP, image.config)
    absent = Image()
    put_sparse(database, image.manifest, "image")
    put_sparse(database, index_of(child.manifest, absent.manifest), "index")
    layers = {Digest.of(layer) for layer in image.layers}
    assert named(database, "sparse_references") == {*layers, absent.digest}
    assert Digest.of(image.config) in named(database, "manifest_blobs")
    assert manifests.get(database, APP, Tag("index")) is not None
    with pytest.raises(ReferenceMissing):
        put(database, APP, image.manifest)


def test_a_push_again_takes_hold_of_what_came_meanwhile(database: Database) -> None:
    image = Image()
    for _ in range(2):
        put_sparse(database, image.manifest, "one")
    for content in image.blobs:
        push_blob(database, APP, content)
    put(database, APP, image.manifest, "two")
    assert named(database, "manifest_blobs") == {Digest.of(content) for content in image.blobs}


def test_deleting_a_manifest_queues_what_came_after_it(database: Database) -> None:
    set_grace(database, cascade=40)
    image, late = Image(), Image()
    put_sparse(database, image.manifest)
    index = put_sparse(database, index_of(late.manifest, signature_of(late.manifest).manifest))
    for content in image.blobs:
        push_blob(database, APP, content)
    push_image(database, APP, image=late)
    assert manifests.delete(database, APP, index)
    assert queued(database, APP)[late.digest] == ["cascade", 40]
    assert manifests.delete(database, APP, image.digest)
    links = queued(database, APP, "link_reviews")
    assert [links[Digest.of(content)] for content in image.blobs] == [["cascade", 40]] * len(image.blobs)
    assert named(database, "sparse_references") == set()
