"""Requests that are wrong, and what the specification answers: (request) → (status, code)."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.support import CONFIG_TYPE, Image, Registry, descriptor, encode, index_of

ABSENT = Digest.of(b"nobody pushed this")
UPLOAD = uuid.UUID(int=7)


@dataclass(frozen=True)
class Case:
    method: str
    path: str
    status: int
    code: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path[:60]} -> {self.status} {self.code}"


def manifest_case(body: bytes, code: str, status: int = 400, content_type: str | None = OCI_MANIFEST) -> Case:
    headers = {"Content-Type": content_type} if content_type else {}
    return Case("PUT", "/v2/a/b/manifests/v1", status, code, {"data": body, "headers": headers})


URLS = [
    Case("GET", "/", 404, "UNSUPPORTED"),
    Case("GET", "/v1/search", 404, "UNSUPPORTED"),
    Case("GET", "/v2/a/b", 404, "UNSUPPORTED"),
    Case("GET", "/v2/A/manifests/v1", 400, "NAME_INVALID"),
    Case("GET", "/v2/a..b/manifests/v1", 400, "NAME_INVALID"),
    Case("GET", "/v2/-a/manifests/v1", 400, "NAME_INVALID"),
    Case("GET", "/v2/a/_b/tags/list", 400, "NAME_INVALID"),
    Case("GET", f"/v2/{'a' * 256}/tags/list", 400, "NAME_INVALID"),
    Case("GET", "/v2/a%00b/tags/list", 400, "NAME_INVALID"),
    Case("GET", "/v2/é/tags/list", 400, "NAME_INVALID"),
    Case("GET", "/v2/..%2f..%2fetc/tags/list", 400, "NAME_INVALID"),
    *(
        Case(method, f"/v2/a/b/manifests/{tag}", status, code)
        for tag in ("", ".v1", "v" * 129, "latest%2b1", "a%20b", "%00")
        for method, status, code in (
            ("GET", 404, "MANIFEST_UNKNOWN"),
            ("HEAD", 404, ""),
            ("PUT", 400, "MANIFEST_INVALID"),
            ("DELETE", 400, "MANIFEST_INVALID"),
        )
    ),
    Case("GET", "/v2/a/b/manifests/sha256:xyz", 400, "DIGEST_INVALID"),
    Case("GET", f"/v2/a/b/manifests/sha256:{'A' * 64}", 400, "DIGEST_INVALID"),
    Case("GET", f"/v2/a/b/blobs/md5:{'0' * 32}", 400, "DIGEST_INVALID"),
    Case("HEAD", "/v2/a/b/blobs/nonsense", 400, ""),
    Case("GET", "/v2/a/b/referrers/nonsense", 400, "DIGEST_INVALID"),
    Case("GET", f"/v2/a/b/referrers/{ABSENT}?last=nonsense", 400, "DIGEST_INVALID"),
    Case("GET", "/v2/a/b/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
    Case("GET", "/v2/a/b/tags/list?n=many", 400, "PAGINATION_NUMBER_INVALID"),
    Case("GET", "/v2/_catalog?n=1.5", 400, "PAGINATION_NUMBER_INVALID"),
]
METHODS = [
    Case("POST", "/v2/", 405, "UNSUPPORTED"),
    Case("PUT", "/v2/_catalog", 405, "UNSUPPORTED"),
    Case("DELETE", "/v2/a/b/tags/list", 405, "UNSUPPORTED"),
    Case("POST", "/v2/a/b/manifests/v1", 405, "UNSUPPORTED"),
    Case("PATCH", f"/v2/a/b/blobs/{ABSENT}", 405, "UNSUPPORTED"),
    Case("GET", "/v2/a/b/blobs/uploads/", 405, "UNSUPPORTED"),
    Case("BREW", "/v2/a/b/manifests/v1", 405, "UNSUPPORTED"),
    Case("TRACE", "/v2/", 405, "UNSUPPORTED"),
    Case("PROPFIND", "/v2/", 405, "UNSUPPORTED"),
]
ABSENCES = [
    Case("GET", "/v2/not/there/tags/list", 404, "NAME_UNKNOWN"),
    Case("GET", "/v2/not/there/manifests/v1", 404, "NAME_UNKNOWN"),
    Case("GET", "/v2/a/b/manifests/v1", 404, "MANIFEST_UNKNOWN"),
    Case("GET", f"/v2/a/b/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
    Case("HEAD", "/v2/a/b/manifests/v1", 404, ""),
    Case("DELETE", "/v2/a/b/manifests/v1", 404, "MANIFEST_UNKNOWN"),
    Case("DELETE", f"/v2/a/b/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
    Case("GET", f"/v2/a/b/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
    Case("HEAD", f"/v2/a/b/blobs/{ABSENT}", 404, ""),
    Case("DELETE", f"/v2/a/b/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
    Case("GET", f"/v2/a/b/blobs/uploads/{UPLOAD}", 404, "BLOB_UPLOAD_UNKNOWN"),
    Case("GET", "/v2/a/b/blobs/uploads/not-an-id", 404, "BLOB_UPLOAD_UNKNOWN"),
    Case("PATCH", f"/v2/a/b/blobs/uploads/{UPLOAD}", 404, "BLOB_UPLOAD_UNKNOWN", {"data": b"x" * 1000}),
    Case("PUT", f"/v2/a/b/blobs/uploads/{UPLOAD}?digest={ABSENT}", 404, "BLOB_UPLOAD_UNKNOWN", {"data": b"x"}),
    Case("DELETE", f"/v2/a/b/blobs/uploads/{UPLOAD}", 404, "BLOB_UPLOAD_UNKNOWN"),
]
UPLOADS = [
    Case("PUT", f"/v2/a/b/blobs/uploads/{UPLOAD}", 400, "DIGEST_INVALID"),
    Case("PUT", f"/v2/a/b/blobs/uploads/{UPLOAD}?digest=sha256:short", 400, "DIGEST_INVALID"),
    Case("POST", "/v2/a/b/blobs/uploads/?digest=nonsense", 400, "DIGEST_INVALID", {"data": b"x"}),
    Case("POST", f"/v2/a/b/blobs/uploads/?digest={ABSENT}", 400, "DIGEST_INVALID", {"data": b"other"}),
    Case("POST", "/v2/a/b/blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID"),
    Case("POST", "/v2/A/blobs/uploads/", 400, "NAME_INVALID"),
]
DEEP = b'{"schemaVersion":2,"layers":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
MANIFESTS = [
    manifest_case(b"", "MANIFEST_INVALID"),
    manifest_case(b"not json", "MANIFEST_INVALID"),
    manifest_case(b"[]", "MANIFEST_INVALID"),
    manifest_case(b'{"layers": "none"}', "MANIFEST_INVALID"),
    manifest_case(b'{"layers": [1]}', "MANIFEST_INVALID"),
    manifest_case(b'{"layers": [{"digest": "sha256:x", "size": 1}]}', "MANIFEST_INVALID"),
    manifest_case(encode({"layers": [{"digest": str(ABSENT), "size": -1}]}), "MANIFEST_INVALID"),
    manifest_case(encode({"layers": [{"digest": str(ABSENT), "size": True}]}), "MANIFEST_INVALID"),
    manifest_case(
        b'{"layers": [{"digest": "%s", "size": %s}]}' % (str(ABSENT).encode(), b"9" * 5000), "MANIFEST_INVALID"
    ),
    manifest_case(DEEP, "MANIFEST_INVALID"),
    manifest_case(b'{"annotations": {"a": "\\u0000"}}', "MANIFEST_INVALID"),
    manifest_case(b'{"annotations": {"a": "\\ud800"}}', "MANIFEST_INVALID"),
    manifest_case(b'{"annotations": {"a": 1}}', "MANIFEST_INVALID"),
    manifest_case(b"\xff\xfe{}", "MANIFEST_INVALID"),
    manifest_case(b'{"schemaVersion": 1}', "MANIFEST_INVALID"),
    manifest_case(b'{"manifests": [], "layers": []}', "MANIFEST_INVALID"),
    manifest_case(encode({"mediaType": OCI_INDEX, "manifests": []}), "MANIFEST_INVALID"),
    manifest_case(b"{}", "MANIFEST_INVALID", content_type="nonsense"),
    manifest_case(Image().manifest, "MANIFEST_BLOB_UNKNOWN", 404),
    manifest_case(index_of(Image().manifest), "MANIFEST_BLOB_UNKNOWN", 404, OCI_INDEX),
    manifest_case(b" " * (4 << 20) + b"{}", "SIZE_INVALID", 413),
    Case("PUT", f"/v2/a/b/manifests/{ABSENT}", 400, "DIGEST_INVALID", {"data": b"{}"}),
    Case("PUT", "/v2/a/b/manifests/sha256:xyz", 400, "DIGEST_INVALID", {"data": b"{}"}),
    Case("PUT", "/v2/a/b/manifests/-v1", 400, "MANIFEST_INVALID", {"data": b"{}"}),
    Case("PUT", f"/v2/a/b/manifests/{Digest.of(b'{}')}?tag=.x", 400, "MANIFEST_INVALID", {"data": b"{}"}),
]


@pytest.mark.parametrize("case", URLS + METHODS + ABSENCES + UPLOADS + MANIFESTS, ids=str)
def test_wrong_requests_get_the_code_of_the_specification(registry: Registry, case: Case) -> None:
    registry.start_upload("a/b")
    response = registry.request(case.method, case.path, **case.options)
    assert response.status_code == case.status, response.text
    if case.method == "HEAD":
        assert response.data == b""
    else:
        assert registry.error_code(response) == case.code
    if case.status == 405:
        assert response.headers["Allow"]


def test_a_missing_blob_is_named(registry: Registry) -> None:
    image = Image()
    registry.push_blob("a/b", image.config)
    response = registry.put_manifest("a/b", "v1", image.manifest)
    missing = json.loads(response.data)["errors"][0]["detail"]["missing"]
    assert sorted(missing) == sorted(str(Digest.of(layer)) for layer in image.layers)
    assert registry.get("/v2/a/b/manifests/v1").status_code == 404


def test_a_manifest_at_the_limit_is_accepted(registry: Registry) -> None:
    manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST})
    padded = manifest[:-1] + b" " * ((4 << 20) - len(manifest)) + b"}"
    assert registry.put_manifest("a/b", "big", padded).status_code == 201
    assert registry.get("/v2/a/b/manifests/big").data == padded


def test_content_that_is_not_what_its_digest_says_cannot_be_pulled(registry: Registry) -> None:
    digest = Digest.of(b"promised")
    location = registry.start_upload("a/b")
    response = registry.request("PUT", f"{location}?digest={digest}", data=b"delivered")
    assert (response.status_code, registry.error_code(response)) == (400, "DIGEST_INVALID")
    assert registry.get(f"/v2/a/b/blobs/{digest}").status_code == 404
    assert registry.get(location).status_code == 404


def test_another_repository_cannot_touch_an_upload(registry: Registry) -> None:
    location = registry.start_upload("a/b")
    registry.start_upload("c/d")
    foreign = location.replace("/v2/a/b/", "/v2/c/d/")
    for method in ("GET", "PATCH", "DELETE"):
        assert registry.request(method, foreign, data=b"x").status_code == 404
    assert registry.get(location).headers["Range"] == "0-0"


def test_another_repository_does_not_serve_what_it_was_not_given(registry: Registry) -> None:
    image = registry.push_image("team/private", "v1")
    registry.push_image("other/app", "v1")
    digest = Digest.of(image.layers[0])
    assert registry.get(f"/v2/other/app/blobs/{digest}").status_code == 404
    assert registry.get(f"/v2/other/app/manifests/{image.digest}").status_code == 404
    assert registry.put_manifest("other/app", "stolen", image.manifest).status_code == 404


def test_a_config_with_any_type_of_descriptor_field_is_kept(registry: Registry) -> None:
    registry.push_blob("a/b", b"{}")
    config = descriptor(b"{}", CONFIG_TYPE, data="e30=", annotations={"x": "y"}, urls=["https://example.com"])
    manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "unknown": {"deep": [1]}})
    assert registry.put_manifest("a/b", "v1", manifest).status_code == 201
    assert registry.get("/v2/a/b/manifests/v1").data == manifest


def test_layers_that_may_live_elsewhere_need_not_be_here(registry: Registry) -> None:
    foreign = descriptor(os.urandom(9), "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    registry.push_blob("a/b", b"{}")
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(b"{}", CONFIG_TYPE),
            "layers": [foreign],
        }
    )
    assert registry.put_manifest("a/b", "v1", manifest).status_code == 201
