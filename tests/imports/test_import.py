"""Real layouts, imported where they lie: what the old registry answered, this one answers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from functions.registry.metadata.usage import recount
from tests.imports.importing import add, files, problems, run, states, upload
from tests.imports.truth import Layout, unpack
from tests.metadata.build import query
from tests.support import Registry

KNOWN = {"debian-2.8.2": 0, "distribution-3.1.2": 0}


@pytest.fixture
def filled(layout: Layout, registry: Registry, storage_address: str, bucket_name: str) -> Layout:
    """The layout in the registry's own bucket."""
    upload(storage_address, bucket_name, files(layout.folder))
    return layout


def test_what_the_old_registry_served_is_served(filled: Layout, registry: Registry) -> None:
    add(registry.services)
    run(registry.services)
    assert set(states(registry.services).values()) <= {"imported", "refused"}
    for name, truth in filled.repositories.items():
        for reference, answer in {**truth["tags"], **truth["manifests"]}.items():
            if answer["status"] == 200 and answer["sha256"] == answer.get("digest", reference).partition(":")[2]:
                response = registry.get(f"/v2/{name}/manifests/{reference}")
                assert response.status_code == 200, (name, reference, response.text)
                assert hashlib.sha256(response.data).hexdigest() == answer["sha256"]
                assert response.content_type == answer["media_type"]
        for digest, status in truth["layers"].items():
            if status == 200:
                assert registry.request("HEAD", f"/v2/{name}/blobs/{digest}").status_code == 200, (name, digest)
