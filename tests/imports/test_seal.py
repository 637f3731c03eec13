"""The seal ends what is held, queues what nothing needs, and forgets what the import knew; wherever it dies, it goes
on.
"""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType

import pytest

from functions.migrate.imports.seal import Sealing, SealRefused
from functions.registry.blobs.objects import StoredObjects
from functions.registry.imports import names
from functions.registry.metadata.content import blobs, manifests, removal, tags
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import adoption, problems, sources
from functions.registry.metadata.imports.ending import garbage, sealing, transactions
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.metadata.usage import recount
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag
from tests.imports.old import OldRegistry, end_listing, open_source
from tests.imports.test_holds import (
    collect,
    found,
    imported,
    known_objects,
    list_tag,
    listed,
    review,
    touch,
    touch_tag,
)
from tests.imports.truth import ROOT
from tests.metadata.build import APP, OTHER, OpenTransaction, query, value
from tests.support import Image, Registry


@pytest.fixture
def source(database: Database) -> int:
    opened = open_source(database)
    end_listing(database)
    return opened


@pytest.fixture
def old(registry: Registry, storage_address: str, bucket_name: str) -> OldRegistry:  # noqa: ARG001  # its settings
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def seal(database: Database, old: OldRegistry) -> Sealing:
    return Sealing(database, StoredObjects(old.bucket, 10))


def test_what_is_tagged_stays_with_its_objects_and_the_rest_goes_in_its_time(
    database: Database, source: int, seal: Sealing
) -> None:
    kept, loose, orphan = Image(), Image(), found(b"nobody links it")
    listed(database, source, APP)
    list_tag(database, APP, "v1", kept.digest)
    assert touch_tag(database, source, APP, kept, "v1")
    assert touch(database, source, APP, loose)
    assert adoption.adopt(database, [orphan]) == []
    query(database, "UPDATE import_repositories SET state = 'imported', due_at = NULL")
    seal.seal(source)
    graces = query(
        database,
        """
        SELECT event, min(review_after - now()) FROM manifest_reviews GROUP BY event
         UNION SELECT event, min(review_after - now()) FROM blob_reviews GROUP BY event ORDER BY 1
        """,
    )
    assert [(event, grace > timedelta(days=days)) for (event, grace), days in zip(graces, (89, 29), strict=True)] == [
        ("import", True),
        ("orphan", True),
    ]
    gone = collect(database)
    expected = [found(blob).object_name for blob in loose.blobs]
    assert sorted(gone) == sorted([*expected, orphan.object_name])
    assert known_objects(database) == {found(blob).object_name for blob in kept.blobs}
    assert manifests.get(database, APP, Tag("v1")) is not None
    assert recount.recount(database).differences == []


def test_what_nothing_named_while_it_was_held_goes_after_the_seal(
    database: Database, source: int, seal: Sealing
) -> None:
    """What a blob has again doesn't, also not once somebody pushes and deletes for a while after it."""
    image, again = Image(), found(b"imported again")
    imported(database, source, APP, image)
    assert blobs.mark(database, Digest.of(image.layers[0]), found(image.layers[0]).object_name)
    query(database, "INSERT INTO deletions VALUES (:n, 1, 'infinity')", n=found(b"pending").object_name)
    query(database, "INSERT INTO deletions VALUES (:n, 1, 'infinity')", n=again.object_name)
    query(database, "INSERT INTO blobs VALUES (:d, 1, :n)", d=again.digest.to_bytes(), n=again.object_name)
    seal.seal(source)
    assert value(database, "SELECT count(*) FROM deletions WHERE not_before = 'infinity'") == 0
    assert found(b"pending").object_name in collect(database)


def test_what_was_imported_collected_and_imported_again_stays_after_the_seal(
    database: Database, source: int, seal: Sealing
) -> None:
    image = Image()
    imported(database, source, APP, image)
    assert removal.remove(database, APP) is not None
    review(database)
    listed(database, source, OTHER)
    list_tag(database, OTHER, "v1", image.digest)
    assert touch_tag(database, source, OTHER, image, "v1")
    query(database, "UPDATE import_repositories SET state = 'imported', due_at = NULL WHERE state = 'listed'")
    seal.seal(source)
    assert {found(blob).object_name for blob in image.blobs}.isdisjoint(collect(database))
    assert {found(blob).object_name for blob in image.blobs} <= known_objects(database)


def test_nothing_of_the_import_is_left_but_its_figures_and_problems(
    database: Database, source: int, seal: Sealing
) -> None:
    image = Image()
    listed(database, source, APP)
    list_tag(database, APP, "v1", image.digest)
    assert touch_tag(database, source, APP, image, "v1")
    assert tags.delete(database, APP, Tag("v1"))
    query(database, "UPDATE import_repositories SET state = 'imported', due_at = NULL")
    database.batch(problems.noting(source, [Problem(str(APP), "tag", "v2", "link_broken")]))
    seal.seal(source)
    seal.seal(source)
    for table in ("import_repositories", "import_tags", "import_deleted"):
        assert value(database, f"SELECT count(*) FROM {table}") == 0  # noqa: S608  # three names of ours
    assert value(database, "SELECT counts -> 'repositories' ->> 'imported' FROM import_sources") == "1"
    assert value(database, "SELECT count(*) FROM import_problems") == 1
    assert not touch(database, source, APP, Image())


def test_a_repository_that_is_not_imported_keeps_it_open(database: Database, source: int, seal: Sealing) -> None:
    listed(database, source, APP)
    with pytest.raises(SealRefused, match="team/app"):
        seal.seal(source)
    found_source = sources.get(database, source)
    assert found_source is not None
    assert found_source.state == "open"


def test_what_lies_in_the_bucket_and_was_not_taken_over_keeps_it_open(
    database: Database, source: int, seal: Sealing, old: OldRegistry
) -> None:
    image = Image()
    imported(database, source, APP, image)
    late = old.push_layer(str(APP), b"it came late")
    query(
        database,
        "INSERT INTO sparse_references SELECT id, repository_id, :d FROM manifests",
        d=late.to_bytes(),
    )
    with pytest.raises(SealRefused, match=str(late)):
        seal.seal(source)
    database.batch(problems.noting(source, [Problem(str(APP), "blob", str(late), "blob_size")]))
    seal.seal(source)


def test_what_was_deleted_here_keeps_nothing_open(
    database: Database, source: int, seal: Sealing, old: OldRegistry
) -> None:
    """An index came whose child somebody had deleted here before: the child stays away, whatever the bucket has."""
    imported(database, source, APP, Image())
    gone = old.push_layer(str(APP), b"it was deleted here")
    query(database, "INSERT INTO sparse_references SELECT id, repository_id, :d FROM manifests", d=gone.to_bytes())
    query(database, "INSERT INTO import_deleted (repository, digest) VALUES ('team/app', :d)", d=gone.to_bytes())
    seal.seal(source)


def test_what_another_repository_has_keeps_nothing_open(
    database: Database, source: int, seal: Sealing, old: OldRegistry
) -> None:
    imported(database, source, APP, Image())
    other = Digest.of(b"of another")
    old.write(names.blob_name(other), b"of another")
    query(database, "INSERT INTO sparse_references SELECT id, repository_id, :d FROM manifests", d=other.to_bytes())
    seal.seal(source)


@pytest.mark.parametrize(
    ("module", "dies"),
    [(sealing, "begin"), (garbage, "queue_garbage"), (sealing, "end"), (garbage, "date_deletions"), (garbage, "drop")],
)
def test_wherever_it_dies_it_goes_on(
    database: Database, source: int, seal: Sealing, monkeypatch: pytest.MonkeyPatch, module: ModuleType, dies: str
) -> None:
    image, orphan = Image(), found(b"nobody links it")
    imported(database, source, APP, image)
    assert adoption.adopt(database, [orphan]) == []
    step = getattr(module, dies)

    def killed(*arguments: object) -> None:
        step(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, dies, killed)
        with pytest.raises(KeyboardInterrupt):
            seal.seal(source)
    seal.seal(source)
    found_source = sources.get(database, source)
    assert found_source is not None
    assert found_source.state == "sealed"
    assert value(database, "SELECT count(*) FROM import_repositories") == 0
    assert value(database, "SELECT count(*) FROM blob_reviews WHERE event = 'orphan'") == 1


def test_a_touch_that_is_under_way_is_waited_for(database: Database, database_url: str, source: int) -> None:
    listed(database, source, APP)
    query(database, "UPDATE import_repositories SET state = 'imported', due_at = NULL")
    with OpenTransaction(database_url) as touching:
        touching.run("INSERT INTO namespaces (name) VALUES ('team')")
        assert not transactions.wait_for_all(database, 0.2)
        touching.commit()
    assert transactions.wait_for_all(database, 10)


def test_a_prefix_is_that_of_the_source_alone(database: Database, source: int, seal: Sealing) -> None:
    """Objects of another registry, and of this one, are none of what the seal looks at."""
    query(database, "INSERT INTO blobs VALUES (:d, 1, 'blobs/ours')", d=Digest.of(b"ours").to_bytes())
    query(database, "INSERT INTO deletions VALUES (:n, 1, 'infinity')", n=f"other/{ROOT}blobs/x")
    seal.seal(source)
    assert value(database, "SELECT count(*) FROM blob_reviews") == 0
    assert value(database, "SELECT count(*) FROM deletions WHERE not_before = 'infinity'") == 1
