"""Manifests that name what is not here, where a registry accepts them."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from functions.registry.oci.digest import Digest
from functions.registry.wiring import Services
from tests.forgotten import made_services
from tests.gc.conftest import collect, execute, rows
from tests.support import Image, Registry, index_of


@pytest.fixture
def accepting(api_function: Client, services: Services, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry with `services`' database and bucket."""
    assert services.settings.sparse_manifests == "refuse"
    monkeypatch.setenv("SLIPWAY_SPARSE_MANIFESTS", "accept")
    return Registry(api_function, made_services())


def test_a_manifest_without_its_layers_is_accepted_with_a_warning(accepting: Registry) -> None:
    image = Image()
    accepting.push_blob("a/b", image.config)
    response = accepting.put_manifest("a/b", "v1", image.manifest)
    assert response.status_code == 201
    assert response.headers["Warning"] == '299 - "2 references of this manifest are not in the repository"'
    assert accepting.get("/v2/a/b/manifests/v1").data == image.manifest


def test_a_whole_manifest_gets_no_warning(accepting: Registry) -> None:
    image = accepting.push_image("a/b", "v1")
    assert "Warning" not in accepting.put_manifest("a/b", "v1", image.manifest).headers


def test_what_comes_later_is_kept_and_goes_with_its_manifest(accepting: Registry) -> None:
    execute(accepting, "UPDATE gc_settings SET grace = '0'")
    image = Image()
    index = index_of(image.manifest)
    assert accepting.put_manifest("a/b", "v1", index).status_code == 201
    accepting.put_manifest("a/b", image.digest, image.manifest)
    for blob in image.blobs:
        accepting.push_blob("a/b", blob)
    collect(accepting)
    assert accepting.get(f"/v2/a/b/manifests/{image.digest}").data == image.manifest
    for blob in image.blobs:
        assert accepting.pull_blob("a/b", Digest.of(blob)) == blob
    accepting.request("DELETE", "/v2/a/b/manifests/v1")
    collect(accepting)
    assert rows(accepting, "manifests") == 0
    assert rows(accepting, "blobs") == 0
