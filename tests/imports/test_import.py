"""Real layouts, imported where they lie: what the old registry answered, this one answers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import pytest
import requests

from functions.registry.metadata.usage import recount
from tests.imports.importing import add, files, problems, requests_counted, run, states, upload
from tests.imports.truth import Layout
from tests.metadata.build import query
from tests.scenes import Scenes
from tests.support import Registry

# What is expected of each breakage, as the files beside the layouts word it.
REASONS: Final = {
    "repaired from the tag's history if that has one entry, and reported": ("tag", "tag_repaired"),
    "refused: manifest is empty": ("manifest", "manifest_empty"),
    "refused: digest mismatch": ("manifest", "manifest_digest"),
    "imported, and reported: blob missing": ("blob", "blob_missing"),
    "imported, and reported: size differs": ("blob", "blob_size"),
    "imported; the link made, and reported as a repair": ("layer", "link_repaired"),
    "imported, and reported: child missing": ("manifest", "child_missing"),
    "refused: name; imported with --rename": ("repository", "name"),
    "refused: schema 1": ("manifest", "schema1"),
    "reported as not understood": ("object", "stray"),
}

# What an import asks of the store about its guard, once in each run of a worker.
GUARDING: Final = 4


@pytest.fixture(scope="module")
def bucket(layout: Layout, storage_address: str) -> str:
    """A bucket with the layout in it, from which no test takes anything."""
    name = f"layout-{layout.name}"
    answer = requests.post(f"{storage_address}/storage/v1/b?project=test", json={"name": name}, timeout=10)
    answer.raise_for_status()
    upload(storage_address, name, files(layout.folder))
    return name


@pytest.fixture
def bucket_name(bucket: str, storage_address: str) -> Iterator[str]:
    """Instead of an empty one: the registry's own bucket is that of the layout. The next test's registry is another."""
    yield bucket
    for name in ("slipway.json", "lockfiles/database-in-use"):
        mark = quote(f"docker/registry/{name}", safe="")
        requests.delete(f"{storage_address}/storage/v1/b/{bucket}/o/{mark}", timeout=10)


@pytest.fixture
def imported(layout: Layout, registry: Registry, scenes: Scenes) -> Registry:
    """A registry into which the layout was imported."""

    def build() -> None:
        add(registry.services)
        run(registry.services)

    scenes.set(re.sub(r"\W", "_", f"imported_{layout.name}"), build)
    return registry


def test_what_the_old_registry_served_is_served(layout: Layout, imported: Registry) -> None:
    for name, truth in layout.repositories.items():
        for reference, answer in {**truth["tags"], **truth["manifests"]}.items():
            if answer["status"] == 200 and answer["sha256"] == answer.get("digest", reference).partition(":")[2]:
                response = imported.get(f"/v2/{name}/manifests/{reference}")
                assert response.status_code == 200, (name, reference, response.text)
                assert hashlib.sha256(response.data).hexdigest() == answer["sha256"]
                assert response.content_type == answer["media_type"]
        for digest, status in truth["layers"].items():
            if status == 200:
                assert imported.request("HEAD", f"/v2/{name}/blobs/{digest}").status_code == 200, (name, digest)


def test_nothing_else_is_told_than_what_is_wrong(layout: Layout, imported: Registry) -> None:
    expected = {(each["repository"], *REASONS[each["expect"]]) for each in layout.expected}
    if layout.expected:
        expected.add(("", "object", "stray"))  # beside all repositories
    told = [(repository, kind, reason) for repository, kind, _, reason in problems(imported.services)]
    assert sorted(told) == sorted(expected)
    refused = {each["repository"] for each in layout.expected if "name" in each["expect"]}
    assert states(imported.services) == {
        name: "refused" if name in refused else "imported" for name in layout.repositories
    }


def test_the_figures_are_exact(imported: Registry) -> None:
    assert recount.recount(imported.services.database).differences == []


def test_nothing_is_waited_for_any_more(imported: Registry) -> None:
    database = imported.services.database
    assert query(database, "SELECT * FROM import_ranges") == []
    assert query(database, "SELECT path FROM import_repositories WHERE due_at IS NOT NULL OR lease_until > now()") == []
    assert query(database, "SELECT state, listed_at IS NULL FROM import_sources") == [["open", False]]
    assert query(database, "SELECT number FROM import_places WHERE lease_until > now()") == []
    assert query(database, "SELECT name FROM import_tags WHERE state = 'overruled'") == []


def test_nothing_is_read_that_need_not_be(layout: Layout, registry: Registry) -> None:
    add(registry.services)
    with requests_counted() as asked:
        run(registry.services)
    objects = sum(1 for _ in files(layout.folder))
    repositories = len(layout.repositories)
    manifests = len({digest for truth in layout.repositories.values() for digest in truth["manifests"]})
    assert len(asked) <= 1.05 * (objects / 1000 + 2 * repositories + manifests) + GUARDING
    links = [name for name in asked if name.startswith("read") and name.endswith("/link")]
    # One that was cut: in the listing, and in the import.
    assert len(links) == (2 if layout.expected else 0)
    read = [name for name in asked if name.startswith("read") and name.endswith("/data")]
    assert len(read) == len(set(read))
