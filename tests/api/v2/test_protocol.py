"""What the specification asks for that is easy to miss; each of these has made some registry fail with some client."""

from __future__ import annotations

import json
from typing import Final

import pytest

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.support import Image, Registry, descriptor, encode, index_of

IMAGE: Final = Image(config=b"{}", layers=(b"a layer",))
LAYER: Final = Digest.of(IMAGE.layers[0])
MISSING: Final = encode({"schemaVersion": 2, "never": "pushed"})


@pytest.fixture
def stocked(registry: Registry) -> Registry:
    registry.push_image("a/b", "v1", IMAGE)
    return registry


# ---- pull


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["v1", IMAGE.digest])
def test_a_manifest_comes_with_its_digest_its_size_and_its_type(
    stocked: Registry, method: str, reference: object
) -> None:
    response = stocked.request(method, f"/v2/a/b/manifests/{reference}")
    assert response.headers["Docker-Content-Digest"] == str(IMAGE.digest)
    assert response.headers["Content-Length"] == str(len(IMAGE.manifest))
    assert response.headers["Content-Type"] == OCI_MANIFEST
    assert response.headers["ETag"] == f'"{IMAGE.digest}"'
    assert response.data == (IMAGE.manifest if method == "GET" else b"")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_comes_with_its_digest_and_head_with_its_size(registry: Registry, algorithm: str) -> None:
    digest = registry.push_blob("a/b", b"content", algorithm)
    assert registry.get(f"/v2/a/b/blobs/{digest}").headers["Docker-Content-Digest"] == str(digest)
    head = registry.request("HEAD", f"/v2/a/b/blobs/{digest}")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Docker-Content-Digest"] == str(digest)
    assert head.headers["Content-Length"] == "7"


def test_parameters_of_a_content_type_are_left_out(registry: Registry) -> None:
    manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST})
    registry.put_manifest("a/b", "v1", manifest, content_type=f"{OCI_MANIFEST}; charset=utf-8")
    assert registry.get("/v2/a/b/manifests/v1").headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize("accept", [[OCI_INDEX, OCI_MANIFEST], [OCI_INDEX], ["nonsense"], []])
def test_a_manifest_is_given_as_it_is_whatever_is_accepted(stocked: Registry, accept: list[str]) -> None:
    """Accept may come as several headers, too: there is one form of a manifest, and no other to choose."""
    response = stocked.get("/v2/a/b/manifests/v1", headers=[("Accept", media_type) for media_type in accept])
    assert (response.status_code, response.data) == (200, IMAGE.manifest)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"'])
def test_a_manifest_that_the_client_has_is_not_sent_again(stocked: Registry, method: str, form: str) -> None:
    headers = {"If-None-Match": form.format(IMAGE.digest)}
    response = stocked.request(method, "/v2/a/b/manifests/v1", headers=headers)
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["Docker-Content-Digest"] == str(IMAGE.digest)
    stocked.push_image("a/b", "v1")
    assert stocked.request(method, "/v2/a/b/manifests/v1", headers=headers).status_code == 200


# ---- push


def test_an_upload_names_no_least_length_of_a_chunk(registry: Registry) -> None:
    response = registry.request("POST", "/v2/a/b/blobs/uploads/", headers={"Content-Length": "0"})
    assert response.headers["Range"] == "0-0"
    assert "OCI-Chunk-Min-Length" not in response.headers


def test_an_upload_is_hashed_with_the_algorithm_that_was_announced(registry: Registry) -> None:
    location = registry.request("POST", "/v2/a/b/blobs/uploads/?digest-algorithm=sha512").headers["Location"]
    registry.request("PATCH", location, data=b"content")
    digest = Digest.of(b"content", "sha512")
    response = registry.request("PUT", f"{location}?digest={digest}")
    assert (response.status_code, response.headers["Docker-Content-Digest"]) == (201, str(digest))


def test_where_a_push_says_that_the_content_is_it_can_be_pulled(stocked: Registry) -> None:
    digest = Digest.of(b"whole")
    answers = [
        stocked.request("POST", f"/v2/a/b/blobs/uploads/?digest={digest}", data=b"whole"),
        stocked.request("PUT", f"{stocked.start_upload('a/b')}?digest={digest}", data=b"whole"),
        stocked.request("POST", f"/v2/c/blobs/uploads/?mount={LAYER}&from=a/b"),
        stocked.put_manifest("a/b", "v2", IMAGE.manifest),
        stocked.put_manifest("a/b", IMAGE.digest, IMAGE.manifest),
    ]
    assert [answer.status_code for answer in answers] == [201] * 5
    assert all(stocked.get(answer.headers["Location"]).status_code in (200, 307) for answer in answers)


def test_a_mount_without_a_source_asks_the_repository_itself(stocked: Registry) -> None:
    statuses = [
        stocked.request("POST", f"/v2/{name}/blobs/uploads/?mount={LAYER}").status_code for name in ("a/b", "c")
    ]
    assert statuses == [201, 202]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_push_by_digest_may_bring_tags(stocked: Registry, algorithm: str) -> None:
    tags = [f"t{number:02}" for number in range(20)]
    digest = Digest.of(IMAGE.manifest, algorithm)
    path = f"{digest}?" + "&".join(f"tag={tag}" for tag in tags)
    response = stocked.put_manifest("a/b", path, IMAGE.manifest)
    assert (response.status_code, response.headers.getlist("OCI-Tag")) == (201, tags)
    assert response.headers["Docker-Content-Digest"] == str(digest)
    for tag in tags:
        assert stocked.get(f"/v2/a/b/manifests/{tag}").headers["Docker-Content-Digest"] == str(digest)


@pytest.mark.parametrize("count", [1, 50, 51, 99, 100])
def test_tags_of_a_push_come_back_in_lines_that_clients_take(stocked: Registry, count: int) -> None:
    tags = [f"t{number:02}" for number in range(count)]
    path = f"{IMAGE.digest}?" + "&".join(f"tag={tag}" for tag in tags)
    response = stocked.put_manifest("a/b", path, IMAGE.manifest)
    lines = response.headers.getlist("OCI-Tag")
    assert len(lines) <= 50
    assert [tag for line in lines for tag in line.split(", ")] == tags


@pytest.mark.parametrize("is_there", [True, False], ids=["subject is there", "subject is not there"])
@pytest.mark.parametrize("by_tag", [True, False], ids=["by tag", "by digest"])
@pytest.mark.parametrize("kind", ["image", "index"])
def test_a_push_with_a_subject_says_that_it_was_understood(
    stocked: Registry, kind: str, by_tag: bool, is_there: bool
) -> None:
    subject = descriptor(IMAGE.manifest if is_there else MISSING, OCI_MANIFEST)
    manifest = index_of(subject=subject) if kind == "index" else Image(b"{}", (), {"subject": subject}).manifest
    response = stocked.put_manifest("a/b", "sbom" if by_tag else Digest.of(manifest), manifest)
    assert (response.status_code, response.headers["OCI-Subject"]) == (201, subject["digest"])


def test_a_push_without_a_subject_says_nothing_of_one(stocked: Registry) -> None:
    assert "OCI-Subject" not in stocked.put_manifest("a/b", "v2", IMAGE.manifest).headers


# ---- errors


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v2/", "GET, HEAD"),
        ("PUT", "/v2/a/b/tags/list", "GET, HEAD"),
        ("PATCH", "/v2/a/b/manifests/v1", "DELETE, GET, HEAD, PUT"),
        ("HEAD", "/v2/a/b/blobs/uploads/", "POST"),
    ],
)
def test_a_method_that_is_not_allowed_is_told_those_that_are(
    registry: Registry, method: str, path: str, allow: str
) -> None:
    response = registry.request(method, path)
    assert (response.status_code, response.headers["Allow"]) == (405, allow)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/robots.txt", 404, "UNSUPPORTED"),
        ("/favicon.ico", 404, "UNSUPPORTED"),
        ("/v2/a//b/tags/list", 400, "NAME_INVALID"),
        ("/v2/a/b/manifests/v1%0a", 404, "MANIFEST_UNKNOWN"),
        ("/v2/a%0ab/tags/list", 404, "UNSUPPORTED"),
    ],
)
def test_a_path_that_the_server_beneath_would_answer_is_answered_by_the_registry(
    registry: Registry, path: str, status: int, code: str
) -> None:
    response = registry.get(path)
    assert (response.status_code, registry.error_code(response)) == (status, code)


def test_an_error_says_what_was_wrong_with_what(registry: Registry) -> None:
    [error] = json.loads(registry.get("/v2/a/b/manifests/v1").data)["errors"]
    assert error == {
        "code": "NAME_UNKNOWN",
        "message": "repository name not known to registry",
        "detail": {"name": "a/b"},
    }
