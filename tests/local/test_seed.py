"""A seeded registry is one that pushes could have left, down to its figures; and it is there in no time."""

from __future__ import annotations

import threading

import pytest

from functions.registry.metadata import driver
from functions.registry.metadata.content import manifests, tags
from functions.registry.metadata.db import Database
from functions.registry.metadata.usage import trends, untagged
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import Page
from local.seed import Seeded, seed
from tests.metadata.build import OpenTransaction, push_image, query, value
from tests.metadata.usage.test_trends import as_kept, by_hand
from tests.metadata.usage.test_usage import assert_exact

TAGS, REPOSITORIES, LARGEST = 3000, 60, 1200

DESCRIBED = "SELECT id, kind, size, config_digest FROM manifests ORDER BY id"
NAMED = """
    SELECT count(*) FROM manifest_blobs AS named
     WHERE NOT EXISTS (SELECT FROM repository_blobs AS link
                        WHERE link.repository_id = named.repository_id AND link.digest = named.digest)
"""


@pytest.fixture
def seeded(database_url: str) -> Seeded:
    return seed(database_url, TAGS, REPOSITORIES, LARGEST, progress=lambda _: None)


def test_it_has_what_was_asked_for(database: Database, seeded: Seeded) -> None:
    assert (seeded.tags, seeded.repositories, seeded.namespaces) == (TAGS, REPOSITORIES, 2)
    assert value(database, "SELECT count(*) FROM tags") == TAGS
    assert value(database, "SELECT count(*) FROM manifests") == seeded.manifests
    largest = tags.list_names(database, RepositoryName.parse(seeded.largest), Page(10_000, ""))
    assert largest is not None
    assert len(largest) == LARGEST
    assert all(Tag.parse(name) for name in largest)
    assert value(database, "SELECT min(tags) FROM repository_usage") >= 1
    kinds = {kind for (kind,) in query(database, "SELECT DISTINCT kind FROM repository_kinds")}
    assert {"image", "index", "chart", "signature", "sbom", "attestation"} <= kinds


def test_it_waits_longer_for_the_database_than_a_request_does(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ANSWER_SECONDS", 1)
    with OpenTransaction(database_url) as other:
        other.run("LOCK TABLE repositories IN EXCLUSIVE MODE")
        ending = threading.Timer(1.5, other.commit)
        ending.start()
        seed(database_url, 3, 1, 3, progress=lambda _: None)
        ending.join()
    assert value(database, "SELECT count(*) FROM tags") == 3


@pytest.mark.usefixtures("seeded")
def test_its_figures_are_exact_and_stay_so(database: Database) -> None:
    assert_exact(database)
    repository = RepositoryName(value(database, "SELECT min(name) FROM repositories"))
    push_image(database, repository, "latest")
    manifest = manifests.get(database, repository, Tag("1.0.1"))
    if manifest is not None:
        tags.delete(database, repository, Tag("1.0.1"))
    assert_exact(database)


@pytest.mark.usefixtures("seeded")
def test_its_rows_are_what_pushes_would_have_made(database: Database) -> None:
    assert value(database, NAMED) == 0
    described = query(database, DESCRIBED)
    sizes = query(database, "SELECT repository_id, name, size FROM tags ORDER BY 1, 2")
    query(database, "UPDATE manifests SET kind = kind")
    query(database, "UPDATE tags SET manifest_id = manifest_id")
    assert query(database, DESCRIBED) == described
    assert query(database, "SELECT repository_id, name, size FROM tags ORDER BY 1, 2") == sizes
    for payload, media_type, artifact_type, subject in query(
        database, "SELECT payload, media_type, artifact_type, subject FROM manifests ORDER BY id LIMIT 300"
    ):
        parsed = parse_manifest(payload, media_type)
        assert parsed.artifact_type == artifact_type
        assert (parsed.subject.digest.to_bytes() if parsed.subject else None) == subject


@pytest.mark.usefixtures("seeded")
def test_nobody_looks_for_its_platforms(database: Database) -> None:
    assert value(database, "SELECT count(*) FROM platforms WHERE look_after IS NOT NULL") == 0
    query(database, "UPDATE manifests SET kind = kind")
    images = query(database, "SELECT id FROM manifests WHERE kind = 'image' AND config_digest IS NOT NULL ORDER BY id")
    assert query(database, "SELECT manifest_id FROM platforms WHERE os = 'linux' ORDER BY 1") == images


@pytest.mark.usefixtures("seeded")
def test_its_untagged_scans_find_what_it_says(database: Database) -> None:
    kept = query(database, "SELECT repository_id, untagged, untagged_bytes FROM repository_usage ORDER BY 1")
    assert sum(untagged for _, untagged, _ in kept) > 0
    assert untagged.due(database, 100) == []
    query(database, "UPDATE repository_usage SET untagged_scan_due = true, untagged_as_of = NULL, untagged = 0")
    for repository_id, _, _ in kept:
        untagged.scan(database, repository_id)
    assert query(database, "SELECT repository_id, untagged, untagged_bytes FROM repository_usage ORDER BY 1") == kept


@pytest.mark.usefixtures("seeded")
def test_every_repository_has_a_rank_once_garbage_collection_has_run(database: Database) -> None:
    assert as_kept(database) == {}
    assert trends.add_up(database, 2 * REPOSITORIES) == REPOSITORIES
    assert len(as_kept(database)) == REPOSITORIES
    assert as_kept(database) == by_hand(database)


def test_a_second_one_comes_beside_it(database: Database, database_url: str, seeded: Seeded) -> None:
    again = seed(database_url, 10, 2, 5, progress=lambda _: None)
    assert again.largest != seeded.largest
    assert value(database, "SELECT count(*) FROM tags") == TAGS + 10
    assert_exact(database)


@pytest.mark.parametrize(
    ("count", "repositories", "largest"), [(10, 11, 1), (10, 0, 1), (10, 2, 10), (10, 1, 9), (1, 1, 0)]
)
def test_numbers_that_do_not_fit_together_are_refused(
    database: Database, database_url: str, count: int, repositories: int, largest: int
) -> None:
    with pytest.raises(ValueError, match="every repository has a tag"):
        seed(database_url, count, repositories, largest, progress=lambda _: None)
    assert value(database, "SELECT count(*) FROM repositories") == 0


def test_one_repository_may_have_all(database: Database, database_url: str) -> None:
    assert seed(database_url, 20, 1, 20, progress=lambda _: None).repositories == 1
    assert_exact(database)
