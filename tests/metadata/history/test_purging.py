"""A purge takes what was deleted at once, and nothing that somebody else was promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import blobs, manifests, tags
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.metadata.history import purging, restoring
from functions.registry.metadata.history.purging import Purged
from functions.registry.metadata.history.restoring import NothingToRestore, Wanted
from functions.registry.metadata.usage import recount
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import (
    APP,
    OTHER,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    set_grace,
    signature_of,
    value,
)
from tests.support import Image

V1 = Tag("v1")


@pytest.fixture(autouse=True)
def with_undo(database: Database) -> Iterator[None]:
    set_grace(database, undo=168)
    yield
    assert recount.recount(database).differences == []


def purge(database: Database, *names: str) -> Purged:
    done = purging.purge(database, APP, [Tag(name) for name in names] or None)
    assert done is not None
    return done


def has(database: Database, content: bytes) -> bool:
    return blobs.get(database, APP, Digest.of(content)) is not None


def gone(database: Database, **wanted: Any) -> None:
    with pytest.raises(NothingToRestore):
        restoring.restore(database, Wanted(APP, **wanted))


@pytest.mark.parametrize("how", ["tag", "digest"])
@pytest.mark.parametrize("keeps", [False, True])
def test_a_secret_goes_at_once_whatever_graces_say(database: Database, how: str, keeps: bool) -> None:
    image = push_image(database, APP, "v1")
    query(database, "UPDATE repositories SET keep_untagged = :keeps", keeps=keeps)
    if how == "tag":
        tags.delete(database, APP, V1)
    else:
        manifests.delete(database, APP, image.digest)
    done = purge(database, "v1")
    assert (done.manifests, done.blobs, done.elsewhere) == (1, len(image.blobs), 0)
    assert done.bytes == len(image.manifest) + sum(map(len, image.blobs))
    assert (
        value(database, "SELECT count(*) FROM manifests") + value(database, "SELECT count(*) FROM repository_blobs")
        == 0
    )
    assert value(database, "SELECT count(*) FROM withdrawn_manifests") == 0
    assert value(database, "SELECT max(review_after) <= now() + interval '1 minute' FROM blob_reviews")
    assert value(database, "SELECT count(*) FROM tag_history") == 1
    gone(database, tag=V1)


def test_it_takes_nothing_of_what_else_can_be_put_back(database: Database) -> None:
    shared, own = b"a shared layer", b"a layer of its own"
    first, second = Image(layers=(shared, own)), Image(layers=(shared,))
    push_image(database, APP, "v1", image=first)
    push_image(database, APP, "v2", image=second)
    for image in (first, second):
        manifests.delete(database, APP, image.digest)
    purge(database, "v1")
    assert [has(database, layer) for layer in (shared, own)] == [True, False]
    assert restoring.restore(database, Wanted(APP, Tag("v2"))).digest == second.digest


def test_what_was_uploaded_since_stays(database: Database) -> None:
    image = push_image(database, APP, "v1")
    manifests.delete(database, APP, image.digest)
    push_blob(database, APP, image.layers[0])
    done = purge(database)
    assert done.blobs == len(image.blobs) - 1
    assert has(database, image.layers[0])


def test_an_index_goes_with_what_it_listed_and_with_signatures(database: Database) -> None:
    children = [push_image(database, APP) for _ in range(2)]
    index = push_index(database, APP, "v1", of=children)
    signature = push_image(database, APP, image=signature_of(children[0].manifest))
    tags.delete(database, APP, V1)
    assert purge(database, "v1").manifests == 4
    for digest in (index, signature.digest, *(child.digest for child in children)):
        assert manifests.get(database, APP, digest) is None


def test_what_a_tag_reaches_stays(database: Database) -> None:
    image = push_image(database, APP, "v1", "kept")
    child = push_image(database, APP)
    push_index(database, APP, "index", of=[child])
    put(database, APP, child.manifest, "v2")
    for name in ("v1", "v2"):
        tags.delete(database, APP, Tag(name))
    assert purge(database) == Purged()
    for tag in ("kept", "index"):
        assert manifests.get(database, APP, Tag(tag)) is not None
    assert image


def test_what_another_repository_has_is_told(database: Database) -> None:
    image = push_image(database, APP, "v1")
    for blob in image.blobs:
        blobs.mount(database, OTHER, Digest.of(blob), APP)
    tags.delete(database, APP, V1)
    done = purge(database)
    assert (done.blobs, done.elsewhere, done.bytes) == (len(image.blobs), len(image.blobs), len(image.manifest))
    for blob in image.blobs:
        assert blobs.get(database, OTHER, Digest.of(blob)) is not None


def test_a_rule_keeps_its_tags(database: Database) -> None:
    for name in ("v1", "other"):
        push_image(database, APP, name)
        tags.delete(database, APP, Tag(name))
    rules.add(database, NewRule("releases", 1, "immutable", APP, "v*", None))
    with pytest.raises(ChangeRefused, match="releases"):
        purge(database, "v1")
    assert purge(database).manifests == 1
    assert restoring.restore(database, Wanted(APP, V1)).tags == [V1]
    rules.add(database, NewRule("all", 2, "delete_protected", APP, "*", None))
    with pytest.raises(ChangeRefused, match="delete-protected"):
        purge(database)


def test_many_go_in_several_transactions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "_AT_ONCE", 2)
    for number in range(5):
        push_image(database, APP, f"v{number}")
        tags.delete(database, APP, Tag(f"v{number}"))
    assert purge(database).manifests == 5


def test_of_no_repository_nothing_is_purged(database: Database) -> None:
    assert purging.purge(database, RepositoryName("not/there"), None) is None
