"""A blob whose object is lost: nobody is told of it, and the next push of its bytes gives it another one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.registry.metadata.content import blobs, commits, uploads
from functions.registry.metadata.content.commits import Committed
from functions.registry.metadata.content.uploads import NewUpload, Upload
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import (
    APP,
    HOUR,
    OTHER,
    OpenTransaction,
    commit_part,
    parts_of,
    push_blob,
    query,
    start_upload,
    value,
    wait_until_blocked,
    write_part,
)

# What a push may take at most beside a transaction that takes longer than that.
PATIENCE = 60
ELSEWHERE = RepositoryName("elsewhere/app")
CONTENT = b"a base layer"
DIGEST = Digest.of(CONTENT)


def object_of(database: Database, digest: Digest = DIGEST) -> str:
    name: str = value(database, "SELECT object_name FROM blobs WHERE digest = :digest", digest=digest.to_bytes())
    return name


def pending_deletion(database: Database) -> set[str]:
    return {row[0] for row in query(database, "SELECT object_name FROM deletions")}


def damage(database: Database, repository: RepositoryName = APP, content: bytes = CONTENT) -> str:
    """The object of a blob that was pushed there, and is marked."""
    lost = object_of(database, push_blob(database, repository, content))
    assert blobs.mark(database, Digest.of(content), lost)
    return lost


def uploaded(database: Database, repository: RepositoryName = APP) -> Upload:
    return write_part(database, start_upload(database, repository), len(CONTENT))


def limit(database: Database, most: int) -> None:
    quotas.put(database, Quota(APP.namespace, most, None))


def test_nobody_is_told_of_a_marked_blob(database: Database) -> None:
    damage(database)
    assert blobs.get(database, APP, DIGEST) is None
    assert blobs.confirm(database, APP, DIGEST) is None
    assert blobs.mount(database, OTHER, DIGEST, APP) is False
    assert value(database, "SELECT count(*) FROM repository_blobs") == 1


def test_a_mark_is_of_the_object_that_was_looked_for_and_is_set_once(database: Database) -> None:
    push_blob(database, APP, CONTENT)
    assert blobs.mark(database, DIGEST, "another") is False
    assert blobs.mark(database, Digest.of(b"unknown"), object_of(database)) is False
    assert blobs.confirm(database, APP, DIGEST) == len(CONTENT)
    assert blobs.mark(database, DIGEST, object_of(database)) is True
    assert blobs.mark(database, DIGEST, object_of(database)) is False


@pytest.mark.parametrize("repository", [APP, OTHER, ELSEWHERE], ids=str)
def test_a_push_of_its_bytes_heals_it_for_all_who_link_it(database: Database, repository: RepositoryName) -> None:
    lost = damage(database)
    upload = uploaded(database, repository)
    (new,) = parts_of(upload)
    assert commits.commit(database, repository, upload, DIGEST, new) == Committed(True, new)
    for place in {APP, repository}:
        assert blobs.get(database, place, DIGEST) == blobs.Blob(len(CONTENT), new)
        assert blobs.confirm(database, place, DIGEST) == len(CONTENT)
    assert query(database, "SELECT object_name, size, not_before > now() + interval '1 hour' FROM deletions") == [
        [lost, len(CONTENT), True]
    ]
    assert value(database, "SELECT blobs FROM registry_totals") == 1


def test_a_known_blob_is_linked_only_to_an_object_that_was_seen(database: Database) -> None:
    push_blob(database, APP, CONTENT)
    older = object_of(database)
    upload = uploaded(database, OTHER)
    (new,) = parts_of(upload)
    for seen in (None, "one that it had before"):
        assert commits.commit(database, OTHER, upload, DIGEST, new, seen) == Committed(False, older)
    assert blobs.confirm(database, OTHER, DIGEST) is None
    assert uploads.get(database, OTHER, upload.id) == upload
    assert pending_deletion(database) == set()
    assert commits.commit(database, OTHER, upload, DIGEST, new, older) == Committed(True, older)
    assert blobs.confirm(database, OTHER, DIGEST) == len(CONTENT)
    assert pending_deletion(database) == {new}


def test_of_eight_that_heal_a_blob_at_once_one_gives_it_its_object(database: Database) -> None:
    lost = damage(database)
    places = [APP, OTHER, ELSEWHERE, RepositoryName("elsewhere/other")] * 2
    pushed = [uploaded(database, place) for place in places]
    with ThreadPoolExecutor(8) as pool:
        healed = pool.map(lambda place, upload: commit_part(database, place, upload, DIGEST), places, pushed)
        assert all(healed)
    written = {name for upload in pushed for name in parts_of(upload)}
    assert object_of(database) in written
    assert pending_deletion(database) == {lost, *written} - {object_of(database)}


@pytest.mark.parametrize("is_damaged", [False, True], ids=["healthy", "damaged"])
@pytest.mark.parametrize("repository", [APP, ELSEWHERE], ids=["linked", "not linked yet"])
def test_a_push_of_a_base_layer_does_not_wait_for_others_that_refer_to_it(
    database: Database, database_url: str, repository: RepositoryName, is_damaged: bool
) -> None:
    """A move or a deletion of a large repository holds such locks for half a minute."""
    push_blob(database, APP, CONTENT)
    upload = uploaded(database, repository)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        assert blobs.mount(other, RepositoryName("third/app"), DIGEST, APP)
        if is_damaged:
            assert blobs.mark(database, DIGEST, object_of(database))
        assert pool.submit(commit_part, database, repository, upload, DIGEST).result(PATIENCE)
        other.commit()
    assert blobs.confirm(database, RepositoryName("third/app"), DIGEST) == len(CONTENT)


def test_no_index_makes_the_object_part_of_a_key(database: Database) -> None:
    """A statement that names a key's column in SET locks out all who refer to the row, whatever it changes."""
    keys = """
        SELECT indexrelid::regclass::text FROM pg_index
          JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
         WHERE indrelid = 'blobs'::regclass AND attname = :column AND indpred IS NULL
    """
    assert query(database, keys, column="object_name") == []
    assert query(database, keys, column="damaged_at") == []
    assert query(database, keys, column="digest") == [["blobs_pkey"]]


def test_a_gc_run_that_takes_the_damaged_blob_is_waited_for(database: Database, database_url: str) -> None:
    lost = damage(database)
    assert blobs.delete(database, APP, DIGEST)
    upload = uploaded(database)
    with OpenTransaction(database_url) as collector, ThreadPoolExecutor() as pool:
        collector.run("DELETE FROM blobs WHERE digest = :digest", digest=DIGEST.to_bytes())
        healed = pool.submit(commit_part, database, APP, upload, DIGEST)
        wait_until_blocked(database)
        collector.commit()
        assert healed.result(PATIENCE)
    assert [object_of(database)] == parts_of(upload)
    assert pending_deletion(database) == {lost}
    assert blobs.confirm(database, APP, DIGEST) == len(CONTENT)


def test_a_full_namespace_lets_a_damaged_blob_be_pushed_again_and_nothing_else(database: Database) -> None:
    push_blob(database, OTHER, b"fills the rest")
    damage(database, OTHER)
    limit(database, 0)
    other = uploaded(database)
    with pytest.raises(ChangeRefused, match="12 more are needed"):
        commit_part(database, APP, other, Digest.of(b"another"))
    assert commit_part(database, APP, uploaded(database), DIGEST)
    with pytest.raises(ChangeRefused):
        start_upload(database)


def test_a_blob_that_is_damaged_in_another_namespace_makes_no_room(database: Database) -> None:
    damage(database, ELSEWHERE)
    limit(database, 0)
    with pytest.raises(ChangeRefused):
        start_upload(database)


def test_what_the_namespace_holds_needs_no_room(database: Database) -> None:
    push_blob(database, OTHER, CONTENT)
    push_blob(database, ELSEWHERE, b"elsewhere")
    limit(database, len(CONTENT) + 5)
    assert uploads.start(database, APP, "sha256", HOUR, new=NewUpload(len(CONTENT), DIGEST))
    assert uploads.start(database, APP, "sha256", HOUR, new=NewUpload(5, None))
    for digest in (None, Digest.of(b"elsewhere"), Digest.of(b"unknown")):
        with pytest.raises(ChangeRefused, match="12 are in use, and 9 more are needed"):
            uploads.start(database, APP, "sha256", HOUR, new=NewUpload(9, digest))
