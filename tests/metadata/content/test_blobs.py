"""A blob is served through a link only, and one that was confirmed or mounted stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.registry.metadata.content import blobs, manifests, repositories
from functions.registry.metadata.content.blobs import Blob
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from tests.metadata.build import (
    APP,
    OTHER,
    OpenTransaction,
    pass_time,
    push_blob,
    push_image,
    query,
    set_grace,
    start_upload,
    value,
    wait_until_blocked,
)

PATIENCE = 60
CONTENT = b"a layer"


def review(database: Database, digest: Digest) -> list[object] | None:
    """The event and the hours that are left of the link's review in APP, and the row's version."""
    rows = query(
        database,
        "SELECT event, CAST(extract(epoch FROM review_after - now()) / 3600 AS float8), CAST(review.xmin AS text)"
        "  FROM link_reviews AS review JOIN repositories ON repositories.id = repository_id"
        " WHERE name = :name AND digest = :digest",
        name=APP,
        digest=digest.to_bytes(),
    )
    return rows[0] if rows else None


def test_a_blob_is_found_in_the_repositories_that_link_it_alone(database: Database) -> None:
    digest = push_blob(database, APP, CONTENT)
    start_upload(database, OTHER)
    blob = blobs.get(database, APP, digest)
    assert blob is not None
    assert blob == Blob(len(CONTENT), blob.object_name)
    assert blobs.confirm(database, APP, digest) == len(CONTENT)
    assert blobs.get(database, OTHER, digest) is None
    assert blobs.confirm(database, OTHER, digest) is None
    assert blobs.get(database, APP, Digest.of(CONTENT, "sha512")) is None


def test_an_empty_blob_is_confirmed_with_its_size_of_nothing(database: Database) -> None:
    digest = push_blob(database, APP, b"")
    assert blobs.confirm(database, APP, digest) == 0


def test_a_mount_links_the_same_object_and_outlives_the_source(database: Database) -> None:
    digest = push_blob(database, APP, CONTENT)
    assert blobs.mount(database, OTHER, digest, APP) is True
    assert blobs.mount(database, OTHER, digest, APP) is True
    assert blobs.get(database, OTHER, digest) == blobs.get(database, APP, digest)
    assert blobs.delete(database, APP, digest) is True
    assert blobs.get(database, APP, digest) is None
    assert blobs.confirm(database, OTHER, digest) == len(CONTENT)
    assert blobs.mount(database, APP, digest, OTHER) is True
    assert value(database, "SELECT count(*) FROM deletions") == 0


def test_a_mount_of_what_the_source_lacks_is_refused_but_makes_the_repository(database: Database) -> None:
    digest = push_blob(database, APP, CONTENT)
    nowhere = type(APP)("no/where")
    assert blobs.mount(database, OTHER, digest, nowhere) is False
    assert repositories.exists(database, OTHER)
    assert not repositories.exists(database, nowhere)
    assert blobs.mount(database, OTHER, Digest.of(b"unknown"), APP) is False
    assert blobs.get(database, OTHER, digest) is None


def test_a_mount_renews_the_lease_of_the_link_it_finds(database: Database) -> None:
    set_grace(database, upload=20)
    digest = push_blob(database, APP, CONTENT)
    pass_time(database, 15)
    assert blobs.mount(database, APP, digest, APP) is True
    found = review(database, digest)
    assert found is not None
    assert found[:2] == ["upload", pytest.approx(20, abs=0.05)]


def test_deleting_takes_the_link_away_unless_a_manifest_names_it(database: Database) -> None:
    digest = push_blob(database, APP, CONTENT)
    assert blobs.delete(database, OTHER, digest) is False
    assert blobs.delete(database, APP, digest) is True
    assert blobs.delete(database, APP, digest) is False
    image = push_image(database, APP)
    layer = Digest.of(image.layers[0])
    with pytest.raises(blobs.NamedByManifests) as refused:
        blobs.delete(database, APP, layer)
    assert refused.value.holders == [image.digest]
    assert blobs.mount(database, OTHER, layer, APP)
    assert blobs.delete(database, OTHER, layer) is True
    assert manifests.delete(database, APP, image.digest)
    assert blobs.delete(database, APP, layer) is True


def test_confirming_writes_a_lease_only_when_less_than_half_of_one_is_left(database: Database) -> None:
    set_grace(database, upload=20, lease=20)
    digest = push_blob(database, APP, CONTENT)
    pass_time(database, 9.5)
    before = review(database, digest)
    assert blobs.confirm(database, APP, digest) == len(CONTENT)
    after = review(database, digest)
    assert before is not None
    assert after is not None
    assert (after[0], after[2]) == ("upload", before[2]), "nothing is written while more than half is left"
    pass_time(database, 1)
    assert blobs.confirm(database, APP, digest) == len(CONTENT)
    renewed = review(database, digest)
    assert renewed is not None
    assert renewed[:2] == ["lease", pytest.approx(20, abs=0.05)]


def test_an_overdue_review_is_renewed_and_a_missing_one_is_not_made(database: Database) -> None:
    digest = push_blob(database, APP, CONTENT)
    pass_time(database, 1000)
    assert blobs.confirm(database, APP, digest) == len(CONTENT)
    renewed = review(database, digest)
    assert renewed is not None
    assert renewed[0] == "lease"
    query(database, "DELETE FROM link_reviews")
    assert blobs.confirm(database, APP, digest) == len(CONTENT)
    assert review(database, digest) is None


@pytest.mark.parametrize("deletes", [True, False], ids=["and deletes the link", "and leaves it"])
def test_confirming_waits_for_a_collector_that_holds_the_link(
    database: Database, database_url: str, deletes: bool
) -> None:
    digest = push_blob(database, APP, CONTENT)
    pass_time(database, 1000)
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert blobs.delete(collector, APP, digest)
        confirmed = pool.submit(blobs.confirm, database, APP, digest)
        wait_until_blocked(database)
        collector.commit() if deletes else collector.rollback()
        assert confirmed.result(PATIENCE) == (None if deletes else len(CONTENT))
    assert (review(database, digest) is None) == deletes


def test_a_mount_waits_for_a_collector_that_takes_the_source_away(database: Database, database_url: str) -> None:
    digest = push_blob(database, APP, CONTENT)
    database.batch(repositories.creating(OTHER))
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        assert blobs.delete(collector, APP, digest)
        mounted = pool.submit(blobs.mount, database, OTHER, digest, APP)
        wait_until_blocked(database)
        collector.commit()
        assert mounted.result(PATIENCE) is False
    assert blobs.get(database, OTHER, digest) is None


def test_a_collector_passes_a_link_by_whose_lease_is_being_renewed(database: Database, database_url: str) -> None:
    digest = push_blob(database, APP, CONTENT)
    pass_time(database, 1000)
    claim = "SELECT digest FROM repository_blobs WHERE digest = :digest FOR UPDATE SKIP LOCKED"
    with OpenTransaction(database_url) as client:
        assert blobs.confirm(client, APP, digest) == len(CONTENT)
        assert query(database, claim, digest=digest.to_bytes()) == []
        client.commit()
    assert query(database, claim, digest=digest.to_bytes()) == [[digest.to_bytes()]]


def test_two_that_confirm_at_once_do_not_wait_while_the_lease_is_long(database: Database, database_url: str) -> None:
    digest = push_blob(database, APP, CONTENT)
    with OpenTransaction(database_url) as other:
        assert blobs.confirm(other, APP, digest) == len(CONTENT)
        database.transaction(lambda session: session._connection.simple("SET lock_timeout = '50ms'"))
        assert blobs.confirm(database, APP, digest) == len(CONTENT)
