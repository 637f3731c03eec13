"""Whatever may have become garbage is queued for review by a trigger, no earlier than its event's grace allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from functions.registry.metadata.content import blobs, commits, manifests, tags, upload_parts, uploads
from functions.registry.metadata.content.pushes import ReferenceMissing
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag
from tests.metadata.build import (
    APP,
    HOUR,
    OTHER,
    artifact_of,
    parts_of,
    pass_time,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    set_grace,
    signature_of,
    start_upload,
    value,
    write_part,
)
from tests.support import Image

JITTER = 60
# What a test may take between an event and the look at its review.
SLACK = 30
# Hours. No two are alike, so that no event can pass for another; each later one in a chain is longer.
GRACES = {"upload": 10.0, "push": 20.0, "untag": 30.0, "cascade": 40.0, "lease": 50.0, "delete": 2.0}


class Review(NamedTuple):
    event: str
    seconds: float


@pytest.fixture
def graced(database: Database) -> Database:
    set_grace(database, **GRACES)
    return database


def look(database: Database, queue: str, digest: Digest) -> Review | None:
    """The review of what has the digest in APP, if there is one."""
    named = "(repository_id, digest) = (app.id, :digest)"
    key = {
        "manifest_reviews": f"manifest_id = (SELECT id FROM manifests WHERE {named})",  # noqa: S608
        "link_reviews": named,
        "blob_reviews": "queue.digest = :digest",
    }[queue]
    rows = query(
        database,
        "SELECT event, CAST(extract(epoch FROM review_after - clock_timestamp()) AS float8)"  # noqa: S608
        f"  FROM {queue} AS queue, repositories AS app WHERE app.name = :name AND {key}",
        digest=digest.to_bytes(),
        name=APP,
    )
    return Review(*rows[0]) if rows else None


def is_due(review: Review | None, event: str, hours: float, jitter: int = JITTER) -> bool:
    """Says whether the review is that of the event, and waits for its grace and the jitter."""
    if review is None or review.event != event:
        return False
    return hours * HOUR - SLACK <= review.seconds <= hours * HOUR + jitter


def manifest_is_due(database: Database, digest: Digest, event: str) -> bool:
    return is_due(look(database, "manifest_reviews", digest), event, GRACES[event])


def link_is_due(database: Database, digest: Digest, event: str) -> bool:
    return is_due(look(database, "link_reviews", digest), event, GRACES[event])


def pending_deletion(database: Database) -> dict[str, float]:
    """Seconds from now after which each object goes."""
    return dict(
        query(
            database,
            "SELECT object_name, CAST(extract(epoch FROM not_before - clock_timestamp()) AS float8) FROM deletions",
        )
    )


def clear(database: Database) -> None:
    for queue in ("manifest_reviews", "link_reviews", "blob_reviews"):
        query(database, f"DELETE FROM {queue}")  # noqa: S608


def test_as_delivered_every_event_has_a_grace_and_an_object_outlives_the_urls_to_it(database: Database) -> None:
    hours = dict(query(database, "SELECT event, CAST(extract(epoch FROM grace) / 3600 AS float8) FROM gc_settings"))
    assert set(hours) == {*GRACES, "unlink", "import", "orphan", "undo"}
    assert hours["delete"] > 1, "signed URLs live for up to an hour"
    assert hours["cascade"] >= hours["lease"] / 2, "a HEAD promises half a lease"
    assert hours["unlink"] == 0
    with pytest.raises(Exception, match="gc_settings_grace_check"):
        set_grace(database, push=-1)


def test_an_upload_queues_the_link_and_another_of_the_same_renews_it(graced: Database) -> None:
    digest = push_blob(graced, APP, b"content")
    assert link_is_due(graced, digest, "upload")
    pass_time(graced, 9)
    push_blob(graced, APP, b"content")
    assert link_is_due(graced, digest, "upload")
    assert look(graced, "blob_reviews", digest) is None


def test_a_mount_queues_the_new_link_and_leaves_the_source(graced: Database) -> None:
    digest = push_blob(graced, OTHER, b"content")
    clear(graced)
    assert blobs.mount(graced, APP, digest, OTHER)
    assert link_is_due(graced, digest, "upload")
    assert value(graced, "SELECT count(*) FROM link_reviews") == 1


def test_a_push_queues_the_manifest_and_a_push_again_renews_it(graced: Database) -> None:
    image = push_image(graced, APP)
    assert manifest_is_due(graced, image.digest, "push")
    pass_time(graced, 19)
    put(graced, APP, image.manifest)
    assert manifest_is_due(graced, image.digest, "push")
    clear(graced)
    put(graced, APP, image.manifest, "one")
    assert manifest_is_due(graced, image.digest, "push")


def test_deleting_a_tag_queues_its_manifest_alone(graced: Database) -> None:
    image, other = push_image(graced, APP, "one", "two"), push_image(graced, APP, "three")
    clear(graced)
    assert tags.delete(graced, APP, Tag("one"))
    assert manifest_is_due(graced, image.digest, "untag")
    assert look(graced, "manifest_reviews", other.digest) is None


def test_moving_a_tag_queues_the_manifest_it_left(graced: Database) -> None:
    old, new = push_image(graced, APP, "moves"), push_image(graced, APP)
    clear(graced)
    put(graced, APP, new.manifest, "moves")
    assert manifest_is_due(graced, old.digest, "untag")
    assert manifest_is_due(graced, new.digest, "push")


def test_a_tag_that_stays_where_it_is_queues_nothing_as_untagged(graced: Database) -> None:
    image = push_image(graced, APP, "stays")
    put(graced, APP, image.manifest, "stays")
    assert manifest_is_due(graced, image.digest, "push")


def test_deleting_an_index_queues_its_children(graced: Database) -> None:
    children = [push_image(graced, APP) for _ in range(3)]
    bystander = push_image(graced, APP)
    index = push_index(graced, APP, "index", of=children)
    clear(graced)
    assert manifests.delete(graced, APP, index)
    assert all(manifest_is_due(graced, child.digest, "cascade") for child in children)
    assert look(graced, "manifest_reviews", bystander.digest) is None


def test_deleting_a_subject_queues_its_referrers_in_that_repository(graced: Database) -> None:
    subject = push_image(graced, APP)
    signature = push_image(graced, APP, image=signature_of(subject.manifest))
    of_signature = put(graced, APP, artifact_of(signature.manifest))
    elsewhere = put(graced, OTHER, artifact_of(subject.manifest))
    clear(graced)
    assert manifests.delete(graced, APP, subject.digest)
    assert manifest_is_due(graced, signature.digest, "cascade")
    assert look(graced, "manifest_reviews", of_signature) is None, "it goes with its own subject"
    assert value(graced, "SELECT count(*) FROM manifest_reviews") == 1
    assert manifests.get(graced, OTHER, elsewhere) is not None


def test_deleting_a_manifest_queues_its_links_and_drops_its_own_review(graced: Database) -> None:
    shared = b"a layer of both"
    image = push_image(graced, APP, "one", image=Image(layers=(shared, b"its own")))
    other = push_image(graced, APP, "two", image=Image(layers=(shared,)))
    clear(graced)
    assert manifests.delete(graced, APP, image.digest)
    assert all(link_is_due(graced, Digest.of(content), "cascade") for content in image.blobs)
    assert look(graced, "link_reviews", Digest.of(other.config)) is None
    assert value(graced, "SELECT count(*) FROM manifest_reviews") == 0


def test_deleting_a_link_queues_the_blob_at_once_and_drops_the_links_review(graced: Database) -> None:
    digest = push_blob(graced, APP, b"content")
    assert blobs.mount(graced, OTHER, digest, APP)
    assert blobs.delete(graced, APP, digest)
    assert look(graced, "link_reviews", digest) is None
    assert is_due(look(graced, "blob_reviews", digest), "unlink", 0, jitter=0)
    assert blobs.confirm(graced, OTHER, digest) is not None


def test_deleting_a_blob_deletes_its_object_until_no_url_to_it_is_valid(graced: Database) -> None:
    digest = push_blob(graced, APP, b"content")
    blob = blobs.get(graced, APP, digest)
    assert blob is not None
    assert blobs.delete(graced, APP, digest)
    assert pending_deletion(graced) == {}
    query(graced, "DELETE FROM blobs WHERE digest = :digest", digest=digest.to_bytes())
    ((name, seconds),) = pending_deletion(graced).items()
    assert name == blob.object_name
    assert is_due(Review("delete", seconds), "delete", GRACES["delete"])
    assert value(graced, "SELECT size FROM deletions") == len(b"content")
    assert value(graced, "SELECT count(*) FROM blob_reviews") == 0


def ended_by_commit(database: Database, upload: uploads.Upload) -> None:
    assert commits.commit(database, APP, upload, Digest.of(b"whole"), parts_of(upload)[1]).is_done


def ended_by_cancellation(database: Database, upload: uploads.Upload) -> None:
    assert uploads.cancel(database, APP, upload.id)


def ended_by_time(database: Database, upload: uploads.Upload) -> None:
    query(database, "UPDATE uploads SET expires_at = now() WHERE id = :id", id=upload.id)
    assert uploads.expire(database, 10) == 1


@pytest.mark.parametrize("end", [ended_by_commit, ended_by_cancellation, ended_by_time])
def test_the_end_of_an_upload_deletes_all_but_the_blobs_object(
    graced: Database, end: Callable[[Database, uploads.Upload], None]
) -> None:
    upload = write_part(graced, write_part(graced, start_upload(graced)))
    assert upload_parts.name_object(graced, upload, "named only")
    end(graced, upload)
    waiting = pending_deletion(graced)
    kept = {parts_of(upload)[1]} if end is ended_by_commit else set()
    assert set(waiting) == {*parts_of(upload), "named only"} - kept
    assert all(is_due(Review("delete", seconds), "delete", GRACES["delete"]) for seconds in waiting.values())


Event = Callable[[Database, Image], Any]


@pytest.mark.parametrize(
    "happen",
    [
        lambda database, _: tags.delete(database, APP, Tag("one")),
        lambda database, _: push_image(database, APP, "one"),
        lambda database, image: manifests.delete(database, APP, push_index(database, APP, of=[image])),
        lambda database, image: put(database, APP, image.manifest),
    ],
    ids=["untagged", "moved", "index deleted", "pushed again"],
)
def test_no_event_shortens_what_an_earlier_one_promised_a_manifest(graced: Database, happen: Event) -> None:
    set_grace(graced, lease=100)
    image = push_image(graced, APP, "one")
    pass_time(graced, 15)
    assert manifests.confirm(graced, APP, image.digest)
    assert is_due(look(graced, "manifest_reviews", image.digest), "lease", 100)
    happen(graced, image)
    assert is_due(look(graced, "manifest_reviews", image.digest), "lease", 100)


def test_no_event_shortens_what_an_earlier_one_promised_a_link_or_a_referrer(graced: Database) -> None:
    set_grace(graced, lease=100)
    subject = push_image(graced, APP)
    signature = push_image(graced, APP, image=signature_of(subject.manifest))
    shared = Digest.of(subject.config)
    pass_time(graced, 15)
    assert manifests.confirm(graced, APP, signature.digest)
    assert blobs.confirm(graced, APP, shared)
    push_blob(graced, APP, subject.config)
    assert blobs.mount(graced, APP, shared, APP)
    assert manifests.delete(graced, APP, subject.digest)
    assert is_due(look(graced, "manifest_reviews", signature.digest), "lease", 100)
    assert is_due(look(graced, "link_reviews", shared), "lease", 100)
    assert link_is_due(graced, Digest.of(subject.layers[0]), "cascade")


def test_what_one_statement_queues_is_spread_over_a_minute(graced: Database) -> None:
    index = push_index(graced, APP, of=[push_image(graced, APP, image=Image(layers=())) for _ in range(12)])
    clear(graced)
    assert manifests.delete(graced, APP, index)
    spread = value(
        graced, "SELECT CAST(extract(epoch FROM max(review_after) - min(review_after)) AS float8) FROM manifest_reviews"
    )
    assert 5 < spread <= JITTER


def test_a_grace_of_nothing_is_due_at_once(graced: Database) -> None:
    set_grace(graced, push=0)
    image = push_image(graced, APP)
    assert is_due(look(graced, "manifest_reviews", image.digest), "push", 0, jitter=0)


def test_a_failed_push_queues_nothing(graced: Database) -> None:
    push_image(graced, APP, "one")
    clear(graced)
    with pytest.raises(ReferenceMissing):
        put(graced, APP, Image().manifest, "one")
    assert value(graced, "SELECT count(*) FROM manifest_reviews") == 0
