"""One set of blobs, two collections: what belongs to an older registry is never deleted before it is sealed.

Each of these lost something before there was what it tries, or would without it: import, collect, and import again; a
blob that only a repository names which isn't imported yet; a deletion that was on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pytest

from functions.registry.imports import names
from functions.registry.metadata.content import blobs, manifests, removal
from functions.registry.metadata.db import Conflict, Database, MetadataUnavailable, Session
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.gc import deletions, reviews
from functions.registry.metadata.gc.review_queue import ReviewQueue
from functions.registry.metadata.imports import adoption, sources
from functions.registry.metadata.imports.adoption import FoundBlob
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.touching import touches
from functions.registry.metadata.imports.touching.touches import FetchedManifest, Touch
from functions.registry.metadata.imports.vocabulary import Mode
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from local.postgres import Postgres
from tests.conftest import administer
from tests.imports.old import end_listing, open_source
from tests.imports.truth import ROOT
from tests.metadata.build import (
    APP,
    OTHER,
    OpenTransaction,
    commit_part,
    pass_time,
    push_blob,
    push_image,
    put,
    query,
    start_upload,
    value,
    wait_until_blocked,
    write_part,
)
from tests.support import Image

LONG_AGO: Final = datetime(2021, 1, 1, tzinfo=UTC)
YEAR: Final = 24 * 365
QUEUES: Final[list[ReviewQueue[Any]]] = [reviews.MANIFESTS, reviews.LINKS, reviews.BLOBS]


def found(content: bytes) -> FoundBlob:
    digest = Digest.of(content)
    return FoundBlob(digest, len(content), ROOT + names.blob_name(digest), LONG_AGO)


def listed(database: Database, source: int, repository: RepositoryName, state: str = "listed") -> None:
    query(
        database,
        "INSERT INTO import_repositories (source_id, path, name, state, objects) VALUES (:s, :n, :n, :state, 1)",
        s=source,
        n=str(repository),
        state=state,
    )


def touch(database: Database, source: int, repository: RepositoryName, image: Image) -> bool:
    return touches.touch_manifest(database, _touch(source, repository, image))


def _touch(source: int, repository: RepositoryName, image: Image) -> Touch:
    fetched = FetchedManifest(image.digest, parse_manifest(image.manifest, None), image.manifest, LONG_AGO)
    return Touch(source, repository, fetched, [found(blob) for blob in image.blobs], image.blob_digests)


def list_tag(database: Database, repository: RepositoryName, tag: str, digest: Digest, generation: int = 1) -> None:
    query(
        database,
        """
        INSERT INTO import_tags (import_id, name, digest, generation, created_at, updated_at)
        SELECT id, :tag, :digest, :generation, :at, :at FROM import_repositories WHERE name = :name
        """,
        name=str(repository),
        tag=tag,
        digest=digest.to_bytes(),
        generation=generation,
        at=LONG_AGO,
    )


def touch_tag(database: Database, source: int, repository: RepositoryName, image: Image, tag: str) -> bool:
    return touches.touch_manifest(database, replace(_touch(source, repository, image), tag=Tag(tag)))


def review(database: Database) -> None:
    """All that may be garbage, as if its grace were over."""
    pass_time(database, YEAR)
    for queue in QUEUES:
        database.transaction(partial(_batch, queue))


def _batch(queue: ReviewQueue[Any], session: Session) -> None:
    queue.process(session, queue.claim(session, 500))


def collect(database: Database) -> list[str]:
    """Whatever waits for anything has waited long enough; the names of the objects that are deleted from the bucket."""
    deleted = []
    for _ in range(3):
        review(database)
        pass_time(database, YEAR)
        claimed = deletions.claim(database, 500)
        deletions.done(database, claimed)
        deleted += [deletion.object_name for deletion in claimed]
    return deleted


def seal(database: Database) -> None:
    query(database, "UPDATE import_sources SET state = 'sealed'")


@pytest.fixture
def source(database: Database) -> int:
    """In lead, and all its names are known."""
    opened = open_source(database)
    query(database, "UPDATE import_sources SET state = 'open', listed_at = now()")
    return opened


def known_objects(database: Database) -> set[str]:
    return {name for (name,) in query(database, "SELECT object_name FROM blobs")}


def imported(database: Database, source: int, repository: RepositoryName, image: Image) -> None:
    """Leaves the repository as the last step of its import does."""
    listed(database, source, repository)
    assert touch(database, source, repository, image)
    query(
        database, "UPDATE import_repositories SET state = 'imported', due_at = NULL WHERE name = :n", n=str(repository)
    )


def import_collect_and_import_again(database: Database) -> set[str]:
    """The objects that a blob has and that the bucket has lost."""
    source, image = open_source(database), Image()
    end_listing(database)
    imported(database, source, APP, image)
    assert removal.remove(database, APP) is not None
    review(database)
    imported(database, source, OTHER, image)
    return set(collect(database)) & known_objects(database)


def collect_what_only_an_old_repository_names(database: Database) -> set[str]:
    """The objects of an older registry that are gone."""
    source, image = open_source(database), Image()
    end_listing(database)
    listed(database, source, OTHER)
    imported(database, source, APP, image)
    assert removal.remove(database, APP) is not None
    return {name for name in collect(database) if name.startswith(ROOT)}


def heal_over_an_old_object(database: Database) -> set[str]:
    """The objects of an older registry that are gone: a push brought a blob whose object was missed for a moment."""
    source, content = open_source(database), b"a layer"
    end_listing(database)
    listed(database, source, APP)
    blob = found(content)
    assert touches.touch_link(database, source, APP, blob.digest, blob)
    assert blobs.mark(database, blob.digest, blob.object_name)
    assert commit_part(database, APP, write_part(database, start_upload(database), len(content)), blob.digest)
    return {name for name in collect(database) if name.startswith(ROOT)}


def collect_what_an_index_over_there_may_list(database: Database) -> set[str]:
    """Manifests that are gone although an index of their repository that isn't here yet lists them."""
    source, image = open_source(database), Image()
    end_listing(database)
    listed(database, source, APP)
    assert touch(database, source, APP, image)
    put(database, APP, image.manifest)
    collect(database)
    return set() if manifests.get(database, APP, image.digest) else {str(image.digest)}


def collect_before_the_repository_is_listed(database: Database) -> set[str]:
    """What is gone of an image that was pushed here, into a repository of which nobody knows yet what it holds
    there.
    """
    open_source(database)
    image = push_image(database, APP)
    collect(database)
    return set() if manifests.get(database, APP, image.digest) else {str(image.digest)}


SCENES: Final = [
    import_collect_and_import_again,
    collect_what_only_an_old_repository_names,
    heal_over_an_old_object,
    collect_what_an_index_over_there_may_list,
    collect_before_the_repository_is_listed,
]


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_is_lost(database: Database, scene: Callable[[Database], set[str]]) -> None:
    assert scene(database) == set()


_AS_IT_WAS: Final = """
    CREATE OR REPLACE FUNCTION is_held(object text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT false';
    CREATE OR REPLACE FUNCTION is_awaiting_import(repository bigint) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT
    false';
"""


# The first is held by more than one: what a blob uses is never deleted, and what is taken over is taken out.
@pytest.mark.parametrize("scene", SCENES[1:])
def test_without_the_holds_it_would_be(postgres: Postgres, scene: Callable[[Database], set[str]]) -> None:
    """Each scene finds what it looks for: a schema that holds nothing loses something in it."""
    administer(postgres, "CREATE DATABASE holds_nothing TEMPLATE slipway_template")
    url = postgres.url("holds_nothing")
    with closing(Connection(url)) as connection:
        connection.simple(_AS_IT_WAS)
    try:
        with closing(Database(url, size=2)) as database:
            assert scene(database) != set()
    finally:
        administer(postgres, "DROP DATABASE holds_nothing WITH (FORCE)")


def test_a_deletion_that_was_queued_before_is_taken_out(database: Database, source: int) -> None:
    """The loss of an import, a collection, and an import again within the hour that an object is kept."""
    blob = found(b"a layer")
    query(database, "INSERT INTO deletions VALUES (:n, 1, now())", n=blob.object_name)
    assert adoption.adopt(database, [blob]) == []
    seal(database)
    assert source
    pass_time(database, 1)
    assert deletions.claim(database, 10) == []
    assert value(database, "SELECT count(*) FROM deletions") == 0


def test_what_is_being_deleted_is_not_taken_over_and_asked_for_later(database: Database, source: int) -> None:
    blob = found(b"a layer")
    query(database, "INSERT INTO deletions VALUES (:n, 1, now())", n=blob.object_name)
    query(database, "UPDATE deletions SET attempts = 1, not_before = now() + interval '1 minute'")
    assert adoption.adopt(database, [blob]) == [blob.object_name]
    assert known_objects(database) == set()
    pass_time(database, 2)
    assert adoption.adopt(database, [blob]) == []
    assert known_objects(database) == {blob.object_name}
    assert source


def test_nothing_is_taken_over_before_the_last_deletion_from_before_is_over(database: Database) -> None:
    source = sources.add(database, NewSource("layout", "gs://old", ROOT))
    blob = found(b"a layer")
    query(database, "INSERT INTO deletions VALUES (:n, 1, now())", n=blob.object_name)
    assert [claimed.object_name for claimed in deletions.claim(database, 10)] == [blob.object_name]
    assert sources.open_up(database, source.id)
    assert not sources.begin_listing(database, source.id)
    listed(database, source.id, APP)
    assert not touches.touch_link(database, source.id, APP, blob.digest, blob)
    query(database, "DELETE FROM deletions")
    assert sources.begin_listing(database, source.id)


def test_a_source_opens_after_a_claim_that_doesn_t_know_it(database: Database, database_url: str) -> None:
    """The claim has a snapshot from before the source, and would take the source's objects: it is waited for."""
    source = sources.add(database, NewSource("layout", "gs://old", ROOT))
    blob = found(b"a layer")
    query(database, "INSERT INTO deletions VALUES (:n, 1, now())", n=blob.object_name)
    with OpenTransaction(database_url) as claim, ThreadPoolExecutor() as threads:
        assert deletions.claim(claim, 10)
        opening = threads.submit(sources.open_up, database, source.id)
        wait_until_blocked(database)
        claim.commit()
        assert opening.result(10)
    assert not sources.begin_listing(database, source.id)
    query(database, "UPDATE deletions SET not_before = now(), attempts = 0")
    assert deletions.claim(database, 10) == []


def test_a_prefix_that_would_hold_back_our_own_objects_is_refused(database: Database) -> None:
    for prefix in ("", "docker/", "blobs/"):
        with pytest.raises(Conflict):
            sources.add(database, NewSource("layout", f"gs://old/{prefix}", prefix))


def test_our_own_objects_go_while_a_source_is_open(database: Database, source: int) -> None:
    assert source
    push_blob(database, APP, b"nobody names it")
    assert len(collect(database)) == 1


def test_two_digests_of_one_object_are_no_failure_of_a_page(database: Database, source: int) -> None:
    """A layer that was pushed by sha512 lies under its sha256 there."""
    blob, other = found(b"a layer"), found(b"another")
    alias = FoundBlob(Digest.of(b"a layer", "sha512"), blob.size, blob.object_name, LONG_AGO)
    assert adoption.adopt(database, [blob]) == []
    assert adoption.adopt(database, [alias, other]) == []
    assert known_objects(database) == {blob.object_name, other.object_name}
    assert source


@pytest.mark.parametrize(("mode", "is_kept"), [("follow", True), ("lead", False)])
def test_an_imported_repository_is_collected_once_this_registry_decides(
    database: Database, source: int, mode: Mode, *, is_kept: bool
) -> None:
    image = Image()
    imported(database, source, APP, image)
    query(
        database,
        "INSERT INTO manifest_reviews SELECT id, now(), 'import' FROM manifests WHERE digest = :d",
        d=image.digest.to_bytes(),
    )
    sources.set_mode(database, source, mode)
    collect(database)
    assert (manifests.get(database, APP, image.digest) is not None) == is_kept


def test_reviews_of_what_is_held_are_settled(database: Database, source: int) -> None:
    """They would be read again and again, in front of all others: the end of the import queues what nothing holds."""
    listed(database, source, APP)
    assert touch(database, source, APP, Image())
    collect(database)
    for table in ("manifest_reviews", "link_reviews", "blob_reviews"):
        assert value(database, f"SELECT count(*) FROM {table}") == 0  # noqa: S608  # three names of ours


def test_a_seal_of_one_of_two_sources_leaves_the_other_its_objects(database: Database, source: int) -> None:
    """Both lie in one bucket, under prefixes of their own."""
    second = sources.add(database, NewSource("layout", "gs://old/second", f"second/{ROOT}"))
    assert sources.open_up(database, second.id)
    for name in (ROOT, f"second/{ROOT}"):
        query(database, "INSERT INTO deletions VALUES (:n, 1, now())", n=f"{name}blobs/x/data")
    query(database, "UPDATE import_sources SET state = 'sealed' WHERE id = :id", id=source)
    assert [claimed.object_name for claimed in deletions.claim(database, 10)] == [f"{ROOT}blobs/x/data"]


def test_opening_is_refused_while_a_long_deletion_goes_on(database_url: str, database: Database) -> None:
    source = sources.add(database, NewSource("layout", "gs://old", ROOT))
    impatient = Database(database_url, size=1, lock_seconds=1)
    with closing(impatient), OpenTransaction(database_url) as removing:
        removing.run("INSERT INTO deletions VALUES ('x', 1, now())")
        with pytest.raises(MetadataUnavailable):
            sources.open_up(impatient, source.id)
        removing.commit()
        assert sources.open_up(impatient, source.id)
