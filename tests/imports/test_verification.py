"""What was imported is compared with its source once more; what explains itself is no difference."""

from __future__ import annotations

from typing import Any

import pytest

from functions.registry.imports import names
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.oci.digest import Digest
from tests.imports.importing import add, problems, requests_counted, run
from tests.imports.old import OldRegistry
from tests.imports.truth import ROOT
from tests.metadata.build import query, value
from tests.support import Image, Registry, index_of

APP = "team/app"


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry, old: OldRegistry) -> int:
    """Imported, with an image under two tags, an index and one without a tag."""
    image = Image()
    old.push(APP, image, "v1", "v2")
    old.push(APP, Image())
    old.push_manifest(APP, index_of(image.manifest), "index")
    source = add(registry.services)
    run(registry.services)
    return source.id


def checked(registry: Registry, source: int, what: str) -> dict[str, Any]:
    pieces.add_whole(registry.services.database, source, [what])
    run(registry.services)
    found: dict[str, Any] = value(registry.services.database, "SELECT counts FROM import_sources")[what]
    assert found["ended_at"] is not None
    assert found["found"] == len(found["differences"])
    return found


def test_what_was_imported_has_no_difference_and_takes_no_read(registry: Registry, source: int) -> None:
    with requests_counted() as asked:
        found = checked(registry, source, "verification")
    assert (found["checked"], found["found"]) == (1, 0)
    assert not [name for name in asked if name.startswith(f"read {ROOT}")]


def test_what_was_changed_or_deleted_here_is_no_difference(registry: Registry, source: int) -> None:
    registry.push_image(APP, "v1")
    assert registry.request("DELETE", f"/v2/{APP}/manifests/v2").status_code == 202
    registry.push_image(APP, "of-here")
    assert checked(registry, source, "verification")["found"] == 0


def test_what_is_told_as_a_problem_is_no_difference(registry: Registry, source: int, old: OldRegistry) -> None:
    old.push_manifest(APP, b'{"schemaVersion": 1}', "old")
    old.push(APP, Image(), "cut")
    old.write(names.current_link_name(APP, "cut"), b"")
    pieces.add_whole(registry.services.database, source, ["repositories"])
    run(registry.services)
    assert {reason for *_, reason in problems(registry.services)} == {"schema1", "tag_repaired"}
    assert checked(registry, source, "verification")["found"] == 0


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM tags WHERE name = 'v1'", "tag v1: not here"),
        (
            "UPDATE tags SET manifest_id = (SELECT manifest_id FROM tags WHERE name = 'index') WHERE name = 'v1'",
            "tag v1: names another manifest than there",
        ),
        ("DELETE FROM manifests WHERE id NOT IN (SELECT manifest_id FROM tags)", ": not here"),
        (
            "UPDATE manifests SET payload = payload || ' ' WHERE id NOT IN (SELECT manifest_id FROM tags)",
            ": its bytes are not those of its digest",
        ),
        (
            """
            INSERT INTO sparse_references SELECT manifest_id, repository_id, digest FROM manifest_blobs LIMIT 1;
            DELETE FROM manifest_blobs USING sparse_references AS s WHERE manifest_blobs.digest = s.digest
            """,
            "here, and not kept by what names it",
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_found(registry: Registry, source: int, damage: str, told: str) -> None:
    for statement in (*damage.split(";"), "DELETE FROM import_deleted"):
        query(registry.services.database, statement)
    found = checked(registry, source, "verification")
    assert found["found"] == 1
    assert found["differences"][0].startswith(APP)
    assert told in found["differences"][0]


def test_what_was_not_imported_yet_is_found(registry: Registry, source: int, old: OldRegistry) -> None:
    digest = old.push(APP, Image(), "later")
    found = checked(registry, source, "verification")
    assert found["differences"] == [
        f"{APP} tag later: not here",
        f"{APP} manifest {digest}: not here",
    ]


def test_blobs_are_read_and_hashed(registry: Registry, source: int, old: OldRegistry) -> None:
    assert checked(registry, source, "rehash")["found"] == 0
    rows = query(registry.services.database, "SELECT digest FROM repository_blobs ORDER BY digest LIMIT 2")
    damaged, gone = (Digest.from_bytes(digest) for (digest,) in rows)
    old.write(names.blob_name(damaged), b"other bytes")
    old.remove(names.blob_name(gone))
    found = checked(registry, source, "rehash")
    assert found["checked"] == value(registry.services.database, "SELECT count(*) FROM blobs")
    assert sorted(each.rpartition(": ")[0] for each in found["differences"]) == sorted(
        f" blob {digest}" for digest in (damaged, gone)
    )
    assert {each[1:] for each in problems(registry.services)} == {
        ("blob", str(digest), "blob_digest") for digest in (damaged, gone)
    }
