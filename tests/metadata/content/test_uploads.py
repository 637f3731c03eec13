"""An upload changes hands by its version, ends once, and every object it named is a blob's or pending deletion."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from functions.registry.metadata.content import blobs, commits, repositories, upload_parts, uploads
from functions.registry.metadata.content.commits import Committed
from functions.registry.metadata.content.upload_parts import Part
from functions.registry.metadata.content.uploads import Stored, Upload
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import (
    APP,
    HOUR,
    OTHER,
    OpenTransaction,
    commit_part,
    new_object,
    parts_of,
    pass_time,
    push_blob,
    query,
    start_upload,
    value,
    wait_until_blocked,
    write_part,
)

PATIENCE = 60
CONTENT = b"ten bytes."
DIGEST = Digest.of(CONTENT)


def pending_deletion(database: Database) -> set[str]:
    return {row[0] for row in query(database, "SELECT object_name FROM deletions")}


def object_of(database: Database, digest: Digest = DIGEST) -> str | None:
    blob = blobs.get(database, APP, digest)
    return blob.object_name if blob else None


def named_part(database: Database, upload: Upload, size: int = 10, state: bytes | None = b"state") -> Part:
    part = Part(new_object(), size, "sha256", state)
    assert upload_parts.name_object(database, upload, part.object_name)
    return part


def test_an_upload_starts_empty_and_makes_its_repository(database: Database) -> None:
    upload_id = uploads.start(database, APP, "sha512", HOUR)
    assert uploads.get(database, APP, upload_id) == Upload(upload_id, 0, 0, "sha512", None)
    assert repositories.exists(database, APP)
    assert uploads.start(database, APP, "sha256", HOUR) != upload_id


def test_an_upload_of_another_repository_or_whose_time_is_over_is_not_found(database: Database) -> None:
    upload = start_upload(database, APP)
    start_upload(database, OTHER)
    assert uploads.get(database, OTHER, upload.id) is None
    assert uploads.get(database, APP, uuid.uuid4()) is None
    pass_time(database, 1.01)
    assert uploads.get(database, APP, upload.id) is None


def test_parts_come_in_the_order_they_were_added_and_each_gives_more_time(database: Database) -> None:
    upload = start_upload(database)
    first, second = named_part(database, upload, 10), named_part(database, upload, 5, state=None)
    after_first = upload_parts.advance(database, upload, first, 2 * HOUR)
    assert after_first == Upload(upload.id, 1, 10, "sha256", b"state")
    assert uploads.get(database, APP, upload.id) == after_first
    pass_time(database, 1.5)
    after_second = upload_parts.advance(database, after_first, second, HOUR)
    assert after_second == Upload(upload.id, 2, 15, "sha256", None)
    assert uploads.get(database, APP, upload.id) == after_second
    stored = [Stored(part.object_name, is_fresh=True) for part in (first, second)]
    assert uploads.get_with_parts(database, APP, upload.id, Digest.of(b"whole")) == (after_second, stored)


def test_a_named_object_without_its_bytes_is_no_part(database: Database) -> None:
    upload = start_upload(database)
    part = named_part(database, upload)
    assert uploads.get(database, APP, upload.id) == upload
    upload_parts.discard_object(database, part.object_name)
    assert pending_deletion(database) == {part.object_name}
    upload_parts.discard_object(database, "unknown")


def test_of_two_that_advance_one_version_one_wins_and_the_others_object_is_to_be_deleted(database: Database) -> None:
    upload = start_upload(database)
    parts = [named_part(database, upload, size) for size in (10, 20)]
    together = Barrier(2, timeout=PATIENCE)

    def advance(part: Part) -> Upload | None:
        together.wait()
        return upload_parts.advance(database, upload, part, HOUR)

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(advance, parts))
    (won,) = [result for result in results if result is not None]
    assert uploads.get(database, APP, upload.id) == won
    found = uploads.get_with_parts(database, APP, upload.id, Digest.of(b"whole"))
    assert found is not None
    assert pending_deletion(database) == {part.object_name for part in parts} - {
        stored.object_name for stored in found[1]
    }


def test_a_part_for_an_upload_that_ended_is_to_be_deleted(database: Database) -> None:
    upload = start_upload(database)
    part = named_part(database, upload)
    assert uploads.cancel(database, APP, upload.id)
    assert upload_parts.advance(database, upload, part, HOUR) is None
    assert pending_deletion(database) == {part.object_name}
    assert upload_parts.name_object(database, upload, new_object()) is False


def test_naming_an_object_waits_for_a_cancellation_and_fails(database: Database, database_url: str) -> None:
    upload = start_upload(database)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        assert uploads.cancel(other, APP, upload.id)
        named = pool.submit(upload_parts.name_object, database, upload, "late")
        wait_until_blocked(database)
        other.commit()
        assert named.result(PATIENCE) is False
    assert value(database, "SELECT count(*) FROM upload_objects") == 0


def test_a_commit_links_the_object_and_deletes_the_rest(database: Database) -> None:
    upload = start_upload(database)
    for _ in range(3):
        upload = write_part(database, upload)
    whole = named_part(database, upload, 30)
    assert commits.commit(database, APP, upload, DIGEST, whole.object_name) == Committed(True, whole.object_name)
    assert object_of(database) == whole.object_name
    assert blobs.confirm(database, APP, DIGEST) == 30
    assert pending_deletion(database) == set(parts_of(upload))
    assert uploads.get(database, APP, upload.id) is None
    assert commits.commit(database, APP, upload, DIGEST, whole.object_name) == Committed(False, None)


def test_a_commit_of_another_version_changes_nothing(database: Database) -> None:
    old = start_upload(database)
    upload = write_part(database, old)
    assert commit_part(database, APP, old, DIGEST) is False
    assert uploads.get(database, APP, upload.id) == upload
    assert object_of(database) is None
    assert pending_deletion(database) == set()


def test_a_digest_that_exists_keeps_its_object_and_the_new_one_is_to_be_deleted(database: Database) -> None:
    push_blob(database, APP, CONTENT)
    first = object_of(database)
    query(database, "DELETE FROM link_reviews")
    upload = write_part(database, start_upload(database))
    assert commit_part(database, APP, upload, DIGEST) is True
    assert object_of(database) == first
    assert pending_deletion(database) == set(parts_of(upload))
    assert value(database, "SELECT count(*) FROM link_reviews") == 1, "the lease is renewed"
    elsewhere = write_part(database, start_upload(database, OTHER))
    assert commit_part(database, OTHER, elsewhere, DIGEST) is True
    assert blobs.get(database, OTHER, DIGEST) == blobs.get(database, APP, DIGEST)


def test_eight_that_commit_one_digest_at_once_all_succeed_and_leave_one_object(database: Database) -> None:
    places = [APP, OTHER] * 4
    pushed = [write_part(database, start_upload(database, repository)) for repository in places]

    def commit(repository: RepositoryName, upload: Upload) -> bool:
        return commit_part(database, repository, upload, DIGEST)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(commit, places, pushed))
    objects = {parts_of(upload)[0] for upload in pushed}
    assert pending_deletion(database) == objects - {object_of(database)}
    assert len(pending_deletion(database)) == 7


@pytest.mark.parametrize("first", ["commit", "cancel"])
def test_a_commit_and_a_cancellation_go_one_after_the_other(database: Database, database_url: str, first: str) -> None:
    upload = write_part(database, start_upload(database))

    def commit(on: Database) -> bool:
        return commit_part(on, APP, upload, DIGEST)

    def cancel(on: Database) -> bool:
        return uploads.cancel(on, APP, upload.id)

    one, two = (commit, cancel) if first == "commit" else (cancel, commit)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        assert one(other) is True
        second = pool.submit(two, database)
        wait_until_blocked(database)
        other.commit()
        assert second.result(PATIENCE) is False
    assert object_of(database) == (parts_of(upload)[0] if first == "commit" else None)
    assert pending_deletion(database) == (set() if first == "commit" else set(parts_of(upload)))


def test_a_commit_while_a_gc_run_takes_the_old_blob_away_makes_it_anew(database: Database, database_url: str) -> None:
    push_blob(database, APP, CONTENT)
    old = object_of(database)
    assert blobs.delete(database, APP, DIGEST)
    upload = write_part(database, start_upload(database))
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        collector.run("DELETE FROM blobs WHERE digest = :digest", digest=DIGEST.to_bytes())
        committed = pool.submit(commit_part, database, APP, upload, DIGEST)
        wait_until_blocked(database)
        collector.commit()
        assert committed.result(PATIENCE) is True
    assert object_of(database) == parts_of(upload)[0]
    assert pending_deletion(database) == {old}


def test_a_commit_that_found_the_old_blob_just_before_it_went_is_tried_again(
    database: Database, database_url: str
) -> None:
    push_blob(database, APP, CONTENT)
    old = object_of(database)
    upload = write_part(database, start_upload(database))
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        collector.run("SET LOCAL deadlock_timeout = '20s'")  # the server ends the other
        assert blobs.delete(collector, APP, DIGEST)
        committed = pool.submit(commit_part, database, APP, upload, DIGEST)
        wait_until_blocked(database)  # past the blob, at the link
        collector.run("DELETE FROM blobs WHERE digest = :digest", digest=DIGEST.to_bytes())
        collector.commit()
        assert committed.result(PATIENCE) is True
    assert object_of(database) == parts_of(upload)[0]
    assert pending_deletion(database) == {old}


def test_cancelling_ends_the_upload_of_that_repository_and_deletes_all_it_named(database: Database) -> None:
    upload = write_part(database, start_upload(database))
    unfinished = named_part(database, upload)
    start_upload(database, OTHER)
    assert uploads.cancel(database, OTHER, upload.id) is False
    assert uploads.cancel(database, APP, upload.id) is True
    assert uploads.cancel(database, APP, upload.id) is False
    assert pending_deletion(database) == {*parts_of(upload), unfinished.object_name}


def test_uploads_whose_time_is_over_end_a_few_at_a_time_the_oldest_first(database: Database) -> None:
    ended = [write_part(database, start_upload(database)) for _ in range(3)]
    pass_time(database, 1.01)
    query(database, "UPDATE uploads SET expires_at = expires_at - interval '1 hour' WHERE id = :id", id=ended[1].id)
    running = write_part(database, start_upload(database))
    assert uploads.expire(database, 1) == 1
    assert pending_deletion(database) == set(parts_of(ended[1]))
    assert uploads.expire(database, 10) == 2
    assert uploads.expire(database, 10) == 0
    assert pending_deletion(database) == {parts_of(upload)[0] for upload in ended}
    assert uploads.get(database, APP, running.id) == running


def test_a_collector_passes_an_upload_by_that_is_being_committed(database: Database, database_url: str) -> None:
    upload = write_part(database, start_upload(database))
    pass_time(database, 1.01)
    with OpenTransaction(database_url) as client:
        assert commit_part(client, APP, upload, DIGEST) is True
        assert uploads.expire(database, 10) == 0
        client.commit()
    assert object_of(database) == parts_of(upload)[0]


def test_an_upload_that_got_more_time_meanwhile_is_not_found_by_its_old_version(database: Database) -> None:
    upload = start_upload(database)
    newer = write_part(database, upload)
    part = named_part(database, newer)
    assert upload_parts.advance(database, replace(newer, version=0), part, HOUR) is None
    assert uploads.get(database, APP, upload.id) == newer
