"""A repository goes with all that it holds, and nothing else's; many tags go at once, but for those that are kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.registry.auth.roles import Role
from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import blobs, manifests, removal, repositories, tags, uploads
from functions.registry.metadata.content.removal import Removed, TagRemoval
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag
from functions.registry.oci.page import Page
from tests.metadata.build import (
    APP,
    OTHER,
    OpenTransaction,
    parts_of,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    signature_of,
    start_upload,
    value,
    wait_until_blocked,
    write_part,
)
from tests.metadata.content.test_repository_settings import put_sparse
from tests.metadata.usage.test_usage import assert_exact
from tests.support import Image, index_of

PATIENCE = 60


def names_of(*names: str) -> list[Tag]:
    return [Tag(name) for name in names]


def test_all_of_it_goes_in_any_order_and_nothing_of_others(database: Database) -> None:
    shared = Image()
    children = [push_image(database, APP, "child", image=shared), push_image(database, APP)]
    index = push_index(database, APP, "index", of=children)
    put(database, APP, index_of(children[0].manifest, index_of(*(child.manifest for child in children))), "nested")
    push_image(database, APP, image=signature_of(children[0].manifest))
    put_sparse(database, Image().manifest, "sparse")
    push_image(database, OTHER, "kept", image=shared)
    unfinished = write_part(database, start_upload(database))
    counted = [value(database, f"SELECT count(*) FROM {table}") for table in ("tags", "manifests", "repository_blobs")]  # noqa: S608
    removed = removal.remove(database, APP)
    assert removed == Removed(4, 6, counted[2] - len(shared.blobs), 1, None)
    assert manifests.get(database, APP, index) is None
    assert not repositories.exists(database, APP)
    stored = manifests.get(database, OTHER, Tag("kept"))
    assert stored is not None
    assert stored.payload == shared.manifest
    assert value(database, "SELECT count(*) FROM manifests") == counted[1] - removed.manifests == 1
    assert [parts_of(unfinished)[0]] in query(database, "SELECT object_name FROM deletions")
    unlinked = value(
        database,
        "SELECT count(*) FROM blobs"
        " WHERE NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest)",
    )
    assert unlinked == removed.blobs - len(shared.blobs) > 0
    assert value(database, "SELECT count(*) FROM blob_reviews WHERE event = 'unlink'") == removed.blobs
    assert_exact(database)


def test_what_is_not_there_is_told(database: Database) -> None:
    assert removal.remove(database, APP) is None
    assert removal.delete_tags(database, APP, names_of("one")) is None


def test_a_repository_of_that_name_may_come_again(database: Database) -> None:
    push_image(database, APP, "one")
    removal.remove(database, APP)
    image = push_image(database, APP, "two")
    assert tags.list_names(database, APP, Page()) == ["two"]
    assert manifests.get(database, APP, image.digest) is not None
    assert_exact(database)


@pytest.mark.parametrize(
    "rule",
    [
        NewRule("archive", 0, "delete_protected", "team/app"),
        NewRule("archive", 0, "immutable", "team/*", "v*"),
        NewRule("archive", 0, "protected", "team/*", "v*", "admin"),
    ],
    ids=lambda rule: rule.kind,
)
def test_a_rule_for_the_repository_or_one_of_its_tags_keeps_all_of_it(database: Database, rule: NewRule) -> None:
    push_image(database, APP, "v1", "latest", image=Image())
    rules.add(database, rule)
    with pytest.raises(ChangeRefused, match="archive"):
        removal.remove(database, APP, rank=Role.MAINTAINER)
    assert tags.list_names(database, APP, Page()) == ["latest", "v1"]
    if rule.role:
        assert removal.remove(database, APP, rank=Role.ADMIN) is not None


def test_a_deletion_waits_for_a_push_and_takes_it_along(database: Database, database_url: str) -> None:
    push_image(database, APP, "one")
    image = Image(layers=())
    push_blob(database, APP, image.config)
    with OpenTransaction(database_url) as client, ThreadPoolExecutor() as pool:
        put(client, APP, image.manifest, "two")
        removed = pool.submit(removal.remove, database, APP)
        wait_until_blocked(database)
        client.commit()
        told = removed.result(PATIENCE)
    assert told is not None
    assert told.tags == 2
    assert not repositories.exists(database, APP)
    assert_exact(database)


def test_an_upload_that_waited_for_a_deletion_begins_in_a_new_repository(database: Database, database_url: str) -> None:
    start_upload(database)
    old = value(database, "SELECT id FROM repositories")
    query(database, "DELETE FROM uploads")
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        other.run("DELETE FROM repositories WHERE name = :name", name=APP)
        started = pool.submit(uploads.start, database, APP, "sha256", 60)
        wait_until_blocked(database)
        other.commit()
        upload = uploads.get(database, APP, started.result(PATIENCE))
    assert upload is not None
    assert value(database, "SELECT id FROM repositories") != old
    assert_exact(database)


def test_many_tags_go_at_once_and_each_is_told_of(database: Database) -> None:
    image = push_image(database, APP, *(f"v{number}" for number in range(500)), "latest")
    asked = names_of("none", *(f"v{number}" for number in range(499)), "v0")
    would = removal.delete_tags(database, APP, asked, dry_run=True)
    assert tags.list_names(database, APP, Page(size=1)) == ["latest", "v0"]
    done = removal.delete_tags(database, APP, asked)
    assert would == done
    assert done is not None
    assert len(done) == 500
    assert TagRemoval("none", "unknown", None) in done
    assert sum(each.outcome == "deleted" for each in done) == 499
    assert tags.list_names(database, APP, Page()) == ["latest", "v499"]
    assert manifests.get(database, APP, image.digest) is not None
    assert_exact(database)


def test_what_rules_keep_is_told_and_the_others_go(database: Database) -> None:
    push_image(database, APP, "v1", "latest", "old", "null")
    rules.add(database, NewRule("releases", 0, "immutable", "team/*", "v*"))
    done = removal.delete_tags(database, APP, names_of("v1", "old", "null"))
    assert done == [
        TagRemoval("null", "deleted", None),
        TagRemoval("old", "deleted", None),
        TagRemoval("v1", "refused", 'tag v1 is immutable by rule "releases": nobody may change it'),
    ]
    rules.add(database, NewRule("all", 1, "delete_protected", "team/*", role="admin"))
    kept = removal.delete_tags(database, APP, names_of("latest"), rank=Role.MAINTAINER)
    assert kept is not None
    assert kept[0].outcome == "refused"
    assert removal.delete_tags(database, APP, names_of("latest"), rank=Role.ADMIN) == [
        TagRemoval("latest", "deleted", None)
    ]
    assert tags.list_names(database, APP, Page()) == ["v1"]


def test_a_tag_that_moved_meanwhile_is_deleted_where_it_is(database: Database, database_url: str) -> None:
    push_image(database, APP, "one", "two")
    other = push_image(database, APP)
    with OpenTransaction(database_url) as client, ThreadPoolExecutor() as pool:
        put(client, APP, other.manifest, "one")
        deleted = pool.submit(removal.delete_tags, database, APP, names_of("one", "two"))
        wait_until_blocked(database)
        client.commit()
        done = deleted.result(PATIENCE)
    assert done == [TagRemoval("one", "deleted", None), TagRemoval("two", "deleted", None)]
    assert tags.list_names(database, APP, Page()) == []
    assert_exact(database)


def test_a_mount_from_a_repository_that_went_finds_nothing(database: Database) -> None:
    digest = push_blob(database, APP, b"fought over")
    assert removal.remove(database, APP) is not None
    assert blobs.mount(database, OTHER, digest, APP) is False
    assert blobs.get(database, OTHER, Digest.of(b"fought over")) is None
