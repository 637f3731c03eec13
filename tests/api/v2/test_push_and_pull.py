"""The flows that clients take, whole."""

from __future__ import annotations

import os

import pytest

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX
from tests.support import CONFIG_TYPE, Image, Registry, descriptor, encode, index_of


def test_an_image_comes_back_byte_for_byte_by_tag_and_by_digest(registry: Registry) -> None:
    image = registry.push_image("library/app", "v1")
    for reference in ("v1", image.digest):
        response = registry.get(f"/v2/library/app/manifests/{reference}")
        assert response.data == image.manifest
        assert response.headers["Docker-Content-Digest"] == str(image.digest)
    for blob in image.blobs:
        assert registry.pull_blob("library/app", Digest.of(blob)) == blob


def test_a_blob_in_one_request(registry: Registry) -> None:
    content = os.urandom(5000)
    digest = Digest.of(content)
    response = registry.request("POST", f"/v2/a/b/blobs/uploads/?digest={digest}", data=content)
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v2/a/b/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == str(digest)
    assert registry.pull_blob("a/b", digest) == content


def test_a_blob_in_two_requests_the_second_without_a_body(registry: Registry) -> None:
    content = os.urandom(5000)
    digest = Digest.of(content)
    location = registry.start_upload("a/b")
    response = registry.request("PATCH", location, data=content)
    assert (response.status_code, response.headers["Range"]) == (202, "0-4999")
    response = registry.request("PUT", f"{response.headers['Location']}?digest={digest}")
    assert response.status_code == 201
    assert registry.pull_blob("a/b", digest) == content


@pytest.mark.parametrize("parts", [2, 33, 70])
def test_a_blob_in_many_chunks(registry: Registry, parts: int) -> None:
    chunks = [os.urandom(700) for _ in range(parts)]
    content = b"".join(chunks)
    location = registry.start_upload("a/b")
    sent = 0
    for chunk in chunks:
        content_range = f"{sent}-{sent + len(chunk) - 1}"
        response = registry.request("PATCH", location, data=chunk, headers={"Content-Range": content_range})
        assert response.status_code == 202
        sent += len(chunk)
        assert response.headers["Range"] == f"0-{sent - 1}"
        location = response.headers["Location"]
    digest = Digest.of(content)
    assert registry.request("PUT", f"{location}?digest={digest}").status_code == 201
    assert registry.pull_blob("a/b", digest) == content


def test_the_closing_request_may_bring_the_last_chunk(registry: Registry) -> None:
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=b"first ")
    digest = Digest.of(b"first last")
    response = registry.request("PUT", f"{location}?digest={digest}", data=b"last", headers={"Content-Range": "6-9"})
    assert response.status_code == 201
    assert registry.pull_blob("a/b", digest) == b"first last"


def test_an_empty_blob(registry: Registry) -> None:
    digest = registry.push_blob("a/b", b"")
    assert registry.pull_blob("a/b", digest) == b""
    assert registry.request("HEAD", f"/v2/a/b/blobs/{digest}").headers["Content-Length"] == "0"


def test_pushing_a_blob_again_keeps_the_first_object(registry: Registry) -> None:
    content = os.urandom(100)
    first, second = registry.push_blob("a/b", content), registry.push_blob("a/b", content)
    assert first == second
    assert registry.pull_blob("a/b", first) == content


@pytest.mark.parametrize("is_resumable", [True, False], ids=["resumable hash", "hash without a state"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digests_of_both_algorithms_in_chunks(
    registry: Registry, algorithm: str, is_resumable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client names its algorithm only at the end; there are machines where a hash can't be taken up again."""
    if not is_resumable:
        monkeypatch.setattr("functions.registry.blobs.hashing._library", lambda: None)
    chunks = [os.urandom(1000), os.urandom(1001)]
    location = registry.start_upload("a/b")
    for chunk in chunks:
        assert registry.request("PATCH", location, data=chunk).status_code == 202
    digest = Digest.of(b"".join(chunks), algorithm)
    assert registry.request("PUT", f"{location}?digest={digest}").status_code == 201
    assert registry.pull_blob("a/b", digest) == b"".join(chunks)


def test_a_mount_links_the_blob_without_an_upload(registry: Registry) -> None:
    digest = registry.push_blob("team/base", b"shared")
    response = registry.request("POST", f"/v2/other/app/blobs/uploads/?mount={digest}&from=team%2Fbase")
    assert (response.status_code, response.headers["Location"]) == (201, f"/v2/other/app/blobs/{digest}")
    assert registry.pull_blob("other/app", digest) == b"shared"


@pytest.mark.parametrize("query", ["", "&from=not/there", "&from=team/empty"])
def test_a_mount_that_cannot_be_made_starts_an_upload(registry: Registry, query: str) -> None:
    digest = registry.push_blob("team/base", b"not for everyone")
    registry.start_upload("team/empty")
    response = registry.request("POST", f"/v2/other/app/blobs/uploads/?mount={digest}{query}")
    assert response.status_code == 202
    assert registry.request("HEAD", f"/v2/other/app/blobs/{digest}").status_code == 404


def test_a_multi_arch_index_with_its_children(registry: Registry) -> None:
    children = [registry.push_image("a/b") for _ in range(3)]
    index = index_of(*(child.manifest for child in children))
    assert registry.put_manifest("a/b", "latest", index).status_code == 201
    response = registry.get("/v2/a/b/manifests/latest")
    assert (response.data, response.content_type) == (index, OCI_INDEX)


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, "application/vnd.example.thing+json"])
def test_any_media_type_comes_back_as_it_was_sent(registry: Registry, media_type: str) -> None:
    config, layer = b"{}", b"layer"
    for blob in (config, layer):
        registry.push_blob("a/b", blob)
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor(config, CONFIG_TYPE),
            "layers": [descriptor(layer)],
        }
    )
    assert registry.put_manifest("a/b", "v1", manifest).status_code == 201
    assert registry.get("/v2/a/b/manifests/v1").headers["Content-Type"] == media_type


def test_a_docker_manifest_list(registry: Registry) -> None:
    child = registry.push_image("a/b")
    listing = index_of(child.manifest, mediaType=DOCKER_LIST)
    assert registry.put_manifest("a/b", "v1", listing).status_code == 201
    assert registry.get("/v2/a/b/manifests/v1").content_type == DOCKER_LIST


def test_a_tag_moves_and_the_old_manifest_stays_by_digest(registry: Registry) -> None:
    old, new = registry.push_image("a/b", "latest"), registry.push_image("a/b", "latest")
    assert registry.get("/v2/a/b/manifests/latest").data == new.manifest
    assert registry.get(f"/v2/a/b/manifests/{old.digest}").data == old.manifest


def test_deleting_a_tag_leaves_the_manifest_and_its_other_tags(registry: Registry) -> None:
    image = registry.push_image("a/b", "v1")
    registry.put_manifest("a/b", "v2", image.manifest)
    assert registry.request("DELETE", "/v2/a/b/manifests/v1").status_code == 202
    assert registry.get("/v2/a/b/manifests/v1").status_code == 404
    assert registry.get("/v2/a/b/manifests/v2").data == image.manifest


def test_deleting_a_manifest_takes_its_tags(registry: Registry) -> None:
    image = registry.push_image("a/b", "v1")
    assert registry.request("DELETE", f"/v2/a/b/manifests/{image.digest}").status_code == 202
    assert registry.get("/v2/a/b/tags/list").get_json() == {"name": "a/b", "tags": []}
    assert registry.get(f"/v2/a/b/manifests/{image.digest}").status_code == 404


def test_a_blob_goes_once_no_manifest_names_it(registry: Registry) -> None:
    image = registry.push_image("a/b", "v1")
    path = f"/v2/a/b/blobs/{Digest.of(image.layers[0])}"
    refused = registry.request("DELETE", path)
    assert (refused.status_code, registry.error_code(refused)) == (405, "UNSUPPORTED")
    registry.request("DELETE", f"/v2/a/b/manifests/{image.digest}")
    assert registry.request("DELETE", path).status_code == 202
    assert registry.get(path).status_code == 404


def test_a_child_can_be_deleted_only_after_its_index(registry: Registry) -> None:
    child = registry.push_image("a/b")
    index = index_of(child.manifest)
    registry.put_manifest("a/b", "v1", index)
    refused = registry.request("DELETE", f"/v2/a/b/manifests/{child.digest}")
    assert (refused.status_code, registry.error_code(refused)) == (405, "UNSUPPORTED")
    assert registry.request("DELETE", f"/v2/a/b/manifests/{Digest.of(index)}").status_code == 202
    assert registry.request("DELETE", f"/v2/a/b/manifests/{child.digest}").status_code == 202


def test_an_upload_can_be_cancelled(registry: Registry) -> None:
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=b"some")
    assert registry.request("DELETE", location).status_code == 204
    gone = registry.get(location)
    assert (gone.status_code, registry.error_code(gone)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_repository_with_the_words_of_the_api_in_its_name(registry: Registry) -> None:
    name = "blobs/uploads/manifests/tags/list"
    image: Image = registry.push_image(name, "list")
    assert registry.get(f"/v2/{name}/manifests/list").data == image.manifest
    assert registry.get(f"/v2/{name}/tags/list").get_json()["tags"] == ["list"]
