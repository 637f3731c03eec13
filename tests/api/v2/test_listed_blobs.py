"""An index that lists blobs, as BuildKit's caches and containerd's checkpoints do; and layers that come later."""

from __future__ import annotations

from typing import Any, Final

import pytest
from werkzeug.test import Client

from functions.registry.metadata.content import blobs as metadata
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST
from functions.registry.wiring import Services
from tests.forgotten import made_services
from tests.gc.conftest import collect, execute, rows
from tests.support import LAYER_TYPE, Image, Registry, descriptor, encode, index_of

LAYER: Final = b"a layer of a build that is kept"
CONFIG: Final = b'{"layers": [{"parent": -1}]}'
CACHE: Final = (LAYER, CONFIG)
CACHE_TYPE: Final = "application/vnd.buildkit.cacheconfig.v0"
ENTRIES: Final = [descriptor(LAYER, f"{LAYER_TYPE}+gzip"), descriptor(CONFIG, CACHE_TYPE)]
FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def listing(*entries: dict[str, Any], media_type: str = OCI_INDEX) -> bytes:
    return encode({"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)})


CACHE_INDEX: Final = listing(*ENTRIES)


@pytest.fixture
def stocked(hasty: Registry) -> Registry:
    """Gives a registry with the blobs of a cache, and no grace for anything."""
    for content in CACHE:
        hasty.push_blob("a/b", content)
    return hasty


@pytest.fixture
def hasty(registry: Registry) -> Registry:
    execute(registry, "UPDATE gc_settings SET grace = '0'")
    return registry


def assert_kept(registry: Registry, *contents: bytes) -> None:
    for content in contents:
        assert registry.pull_blob("a/b", Digest.of(content)) == content


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_a_cache_is_pushed_kept_and_goes_with_its_index(stocked: Registry, media_type: str) -> None:
    index = listing(*ENTRIES, media_type=media_type)
    response = stocked.put_manifest("a/b", "cache", index)
    assert (response.status_code, response.headers.get("Warning")) == (201, None)
    assert collect(stocked).get("blob", 0) == 0
    assert_kept(stocked, *CACHE)
    assert stocked.get("/v2/a/b/manifests/cache").data == index
    stocked.request("DELETE", "/v2/a/b/manifests/cache")
    collect(stocked)
    assert [rows(stocked, table) for table in ("manifests", "blobs", "manifest_blobs")] == [0, 0, 0]


def test_a_cache_as_an_image_is_kept_as_well(stocked: Registry) -> None:
    image = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": ENTRIES[1], "layers": ENTRIES[:1]}
    assert stocked.put_manifest("a/b", "cache", encode(image)).status_code == 201
    collect(stocked)
    assert_kept(stocked, *CACHE)


def test_a_checkpoint_lists_a_manifest_and_blobs(stocked: Registry) -> None:
    """Containerd makes it so: the image, then the archive and the configuration of a container."""
    base = stocked.push_image("a/b")
    entries = [
        descriptor(base.manifest, OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
        descriptor(LAYER, "application/vnd.containerd.container.criu.checkpoint.criu.tar"),
        descriptor(CONFIG, "application/vnd.containerd.container.checkpoint.config.v1+proto"),
    ]
    assert stocked.put_manifest("a/b", "checkpoint", listing(*entries)).status_code == 201
    collect(stocked)
    assert_kept(stocked, *CACHE, *base.blobs)
    assert stocked.get(f"/v2/a/b/manifests/{base.digest}").data == base.manifest
    shown = stocked.get("/api/v1/repositories/a/b/-/tags/checkpoint").get_json()
    assert [child["digest"] for child in shown["children"]] == [str(base.digest)]
    assert [layer["digest"] for layer in shown["layers"]] == [str(Digest.of(content)) for content in CACHE]
    assert shown["platforms"] == ["linux/amd64"]


@pytest.mark.parametrize(
    "media_type", ["application/vnd.example.manifest.v9+json", LAYER_TYPE, "", OCI_MANIFEST.upper()]
)
def test_a_manifest_that_is_here_is_a_child_whatever_its_entry_says(hasty: Registry, media_type: str) -> None:
    child = hasty.push_image("a/b")
    index = listing(descriptor(child.manifest, media_type))
    assert hasty.put_manifest("a/b", "v1", index).status_code == 201
    collect(hasty)
    assert hasty.get(f"/v2/a/b/manifests/{child.digest}").data == child.manifest
    refused = hasty.request("DELETE", f"/v2/a/b/manifests/{child.digest}")
    assert refused.status_code == 405


def test_a_manifest_that_is_here_and_a_blob_with_its_bytes_is_a_child(hasty: Registry) -> None:
    child = hasty.push_image("a/b")
    hasty.push_blob("a/b", child.manifest)
    hasty.put_manifest("a/b", "v1", listing(descriptor(child.manifest, CACHE_TYPE)))
    assert (rows(hasty, "manifest_children"), rows(hasty, "manifest_blobs")) == (1, len(child.blobs))


@pytest.mark.parametrize(
    "entry",
    [descriptor(b"nowhere", CACHE_TYPE), descriptor(b"nowhere", OCI_MANIFEST), descriptor(LAYER, OCI_MANIFEST)],
    ids=["a blob", "a manifest", "a blob that is called a manifest"],
)
def test_what_is_not_here_is_missing(stocked: Registry, entry: dict[str, Any]) -> None:
    response = stocked.put_manifest("a/b", "v1", listing(*ENTRIES, entry))
    assert (response.status_code, stocked.error_code(response)) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert response.get_json()["errors"][0]["detail"] == {"missing": [entry["digest"]]}
    assert stocked.get("/v2/a/b/manifests/v1").status_code == 404


def test_a_blob_of_another_repository_is_not_here(stocked: Registry) -> None:
    response = stocked.put_manifest("c/d", "v1", CACHE_INDEX)
    assert sorted(response.get_json()["errors"][0]["detail"]["missing"]) == sorted(entry["digest"] for entry in ENTRIES)


def test_a_cache_is_counted_shown_and_previewed_as_what_it_is(stocked: Registry) -> None:
    stocked.put_manifest("a/b", "cache", CACHE_INDEX)
    size = len(CACHE_INDEX) + len(LAYER) + len(CONFIG)
    [tag] = stocked.get("/api/v1/repositories/a/b/-/tags").get_json()["tags"]
    assert (tag["kind"], tag["size"]) == ("index", size)
    shown = stocked.get("/api/v1/repositories/a/b/-/tags/cache").get_json()
    assert (shown["children"], shown["platforms"], shown["size"]) == ([], [], size)
    assert shown["layers"] == [
        {"digest": entry["digest"], "media_type": entry["mediaType"], "bytes": entry["size"]} for entry in ENTRIES
    ]
    [listed] = stocked.get("/gitlab/v1/repositories/a/b/tags/list/").get_json()
    assert listed["size_bytes"] == size
    detail = stocked.get("/gitlab/v1/repositories/a/b/tags/detail/cache/").get_json()
    assert (detail["image"]["size_bytes"], detail["image"]["manifest"]["references"]) == (size, [])
    of_gitlab = stocked.get("/gitlab/v1/repositories/a/b/", query_string={"size": "self"}).get_json()
    assert of_gitlab["size_bytes"] == len(LAYER) + len(CONFIG)
    assert stocked.get("/api/v1/repositories/a/b/-/gc").get_json()["bytes_freed_in_repository"] == 0
    stocked.request("DELETE", "/v2/a/b/manifests/cache")
    preview = stocked.get("/api/v1/repositories/a/b/-/gc").get_json()
    assert preview["bytes_freed_in_repository"] == len(LAYER) + len(CONFIG)


def test_pushed_again_with_a_blob_that_has_become_a_manifest_it_keeps_both(stocked: Registry) -> None:
    child = Image(b"{}", ())
    stocked.push_blob("a/b", b"{}")
    stocked.push_blob("a/b", child.manifest)
    index = listing(descriptor(child.manifest, CACHE_TYPE))
    assert stocked.put_manifest("a/b", "v1", index).status_code == 201
    assert stocked.put_manifest("a/b", child.digest, child.manifest).status_code == 201
    assert stocked.put_manifest("a/b", "v1", index).status_code == 201
    collect(stocked)
    assert_kept(stocked, child.manifest)
    assert stocked.get(f"/v2/a/b/manifests/{child.digest}").status_code == 200


# ---- what holds what is told where it is to be deleted


def refusal(registry: Registry, path: str) -> dict[str, Any]:
    response = registry.request("DELETE", path)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    assert registry.error_code(response) == "UNSUPPORTED"
    [error] = response.get_json()["errors"]
    found: dict[str, Any] = error
    assert found["detail"]["manifests"][0] in found["message"]
    assert "first" in found["message"]
    return found


def test_a_blob_in_use_is_told_by_which_manifests(stocked: Registry) -> None:
    path = f"/v2/a/b/blobs/{Digest.of(LAYER)}"
    expected = set()
    for number in range(12):
        index = listing(*ENTRIES, descriptor(LAYER, CACHE_TYPE, annotations={"n": str(number)}))
        stocked.put_manifest("a/b", f"t{number}", index)
        expected.add(str(Digest.of(index)))
        named = refusal(stocked, path)["detail"]["manifests"]
        assert len(named) == min(number + 1, 10)
        assert set(named) <= expected
    assert_kept(stocked, LAYER)
    assert stocked.request("OPTIONS", path).headers["Allow"] == "DELETE, GET, HEAD"
    for number in range(12):
        stocked.request("DELETE", f"/v2/a/b/manifests/t{number}")
    for digest in expected:
        assert stocked.request("DELETE", f"/v2/a/b/manifests/{digest}").status_code == 202
    assert stocked.request("DELETE", path).status_code == 202
    assert stocked.request("DELETE", path).status_code == 404


def test_a_child_is_told_by_which_indexes(registry: Registry) -> None:
    child = registry.push_image("a/b", "child")
    path = f"/v2/a/b/manifests/{child.digest}"
    indexes = [index_of(child.manifest, annotations={"n": str(number)}) for number in range(12)]
    for index in indexes:
        registry.put_manifest("a/b", Digest.of(index), index)
    named = refusal(registry, path)["detail"]["manifests"]
    assert len(named) == 10
    assert set(named) <= {str(Digest.of(index)) for index in indexes}
    assert registry.get("/v2/a/b/manifests/child").status_code == 200, "its tags stay"
    assert registry.request("DELETE", "/v2/a/b/manifests/child").status_code == 202, "a tag alone holds nothing"


def test_a_deletion_asks_no_more_than_it_did(stocked: Registry) -> None:
    stocked.put_manifest("a/b", "cache", CACHE_INDEX)
    statements = stocked.statements("DELETE", f"/v2/a/b/blobs/{Digest.of(LAYER)}")
    assert statements == ["set_rank", "rules_unless_kept", "blobs_delete_link"]


# ---- layers that may live elsewhere


def test_a_foreign_layer_that_comes_later_is_kept(hasty: Registry) -> None:
    layers = [descriptor(content, FOREIGN, urls=["https://example.org/layer"]) for content in CACHE]
    image = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(b"{}"), "layers": layers})
    hasty.push_blob("a/b", b"{}")
    response = hasty.put_manifest("a/b", "v1", image)
    assert (response.status_code, response.headers.get("Warning")) == (201, None)
    collect(hasty)
    for content in CACHE:
        hasty.push_blob("a/b", content)
    assert hasty.get("/api/v1/repositories/a/b/-/gc").get_json()["bytes_freed_in_repository"] == 0
    collect(hasty)
    assert_kept(hasty, *CACHE)
    assert refusal(hasty, f"/v2/a/b/blobs/{Digest.of(LAYER)}")["detail"] == {"manifests": [str(Digest.of(image))]}
    hasty.request("DELETE", "/v2/a/b/manifests/v1")
    collect(hasty)
    assert rows(hasty, "blobs") == 0


def test_a_foreign_layer_that_never_comes_is_missed_by_nobody(hasty: Registry) -> None:
    image = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [descriptor(LAYER, FOREIGN)]})
    assert hasty.put_manifest("a/b", "v1", image).status_code == 201
    collect(hasty)
    assert hasty.get("/v2/a/b/manifests/v1").data == image


# ---- where what is missing is accepted


@pytest.fixture
def accepting(api_function: Client, services: Services, monkeypatch: pytest.MonkeyPatch) -> Registry:
    assert services.settings.sparse_manifests == "refuse"
    monkeypatch.setenv("SLIPWAY_SPARSE_MANIFESTS", "accept")
    registry = Registry(api_function, made_services())
    execute(registry, "UPDATE gc_settings SET grace = '0'")
    return registry


def test_a_cache_that_is_here_gets_no_warning(accepting: Registry) -> None:
    for content in CACHE:
        accepting.push_blob("a/b", content)
    response = accepting.put_manifest("a/b", "cache", CACHE_INDEX)
    assert (response.status_code, response.headers.get("Warning")) == (201, None)
    assert rows(accepting, "sparse_references") == 0
    assert rows(accepting, "manifest_blobs") == len(CACHE)


def test_blobs_of_a_cache_that_come_later_are_kept_and_previewed_as_kept(accepting: Registry) -> None:
    response = accepting.put_manifest("a/b", "cache", CACHE_INDEX)
    assert response.headers["Warning"] == '299 - "2 references of this manifest are not in the repository"'
    for content in CACHE:
        accepting.push_blob("a/b", content)
    preview = accepting.get("/api/v1/repositories/a/b/-/gc").get_json()
    assert preview["bytes_freed_in_repository"] == preview["bytes_freed_in_registry"] == 0
    collect(accepting)
    assert_kept(accepting, *CACHE)
    [tag] = accepting.get("/api/v1/repositories/a/b/-/tags").get_json()["tags"]
    assert tag["size"] == len(CACHE_INDEX) + len(LAYER) + len(CONFIG)
    accepting.request("DELETE", "/v2/a/b/manifests/cache")
    preview = accepting.get("/api/v1/repositories/a/b/-/gc").get_json()
    assert preview["bytes_freed_in_repository"] == len(LAYER) + len(CONFIG)
    collect(accepting)
    assert rows(accepting, "blobs") == 0
    assert metadata.get(accepting.services.database, "a/b", Digest.of(LAYER)) is None  # type: ignore[arg-type]
