"""Live answers of each endpoint, against what the description says of their statuses and headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.api import referrers
from functions.registry import wiring
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.api.description import OPERATIONS, Operation
from tests.support import Image, Registry, descriptor

IMAGE: Final = Image(config=b"{}", layers=(b"a layer of some bytes",))
LAYER: Final = Digest.of(IMAGE.layers[0])
LOOSE: Final = Digest.of(b"loose")
NEW: Final = b"new"
ATTACHED: Final = [
    Image(b"{}", (), {"subject": descriptor(IMAGE.manifest, OCI_MANIFEST), "annotations": {"n": n}}) for n in "12"
]
BLOB: Final = f"/v2/a/b/blobs/{LAYER}"
UPLOADS: Final = "/v2/a/b/blobs/uploads/"
REFERRERS: Final = f"/v2/a/b/referrers/{IMAGE.digest}"
MATCH: Final = {"If-None-Match": f'"{IMAGE.digest}"'}
STREAMING: Final = ("SLIPWAY_BLOB_DELIVERY", "streaming")
SPARSE: Final = ("SLIPWAY_SPARSE_MANIFESTS", "accept")
# Sent with every answer, or by HTTP itself.
EVERYWHERE: Final = {"Docker-Distribution-Api-Version", "Content-Type", "Content-Length", "Connection"}


@dataclass(frozen=True)
class Example:
    """`{upload}` in a path is an upload that is open."""

    status: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    setting: tuple[str, str] | None = None


EXAMPLES: Final = {
    "GET /v2/": [Example(200, "/v2/")],
    "GET /api/openapi.json": [Example(200, "/api/openapi.json")],
    "GET /api/v1/collection": [Example(200, "/api/v1/collection")],
    "GET /api/v1/repositories/{name}/collection": [Example(200, "/api/v1/repositories/a/b/collection")],
    "GET /v2/_catalog": [Example(200, "/v2/_catalog"), Example(200, "/v2/_catalog?n=1")],
    "GET /v2/{name}/tags/list": [Example(200, "/v2/a/b/tags/list"), Example(200, "/v2/a/b/tags/list?n=1")],
    "GET /v2/{name}/referrers/{digest}": [
        Example(200, REFERRERS),
        Example(200, f"{REFERRERS}?artifactType=application/x"),
    ],
    "GET /v2/{name}/manifests/{reference}": [
        Example(200, "/v2/a/b/manifests/v1"),
        Example(200, f"/v2/a/b/manifests/{IMAGE.digest}"),
        Example(304, "/v2/a/b/manifests/v1", MATCH),
    ],
    "PUT /v2/{name}/manifests/{reference}": [
        Example(201, "/v2/a/b/manifests/v3", body=IMAGE.manifest),
        Example(201, f"/v2/a/b/manifests/{ATTACHED[0].digest}?tag=x&tag=y", body=ATTACHED[0].manifest),
        Example(201, "/v2/a/b/manifests/sparse", body=Image(b"{}", (b"never sent",)).manifest, setting=SPARSE),
    ],
    "DELETE /v2/{name}/manifests/{reference}": [
        Example(202, "/v2/a/b/manifests/v2"),
        Example(202, f"/v2/a/b/manifests/{IMAGE.digest}"),
    ],
    "GET /v2/{name}/blobs/{digest}": [
        Example(307, BLOB),
        Example(200, BLOB, setting=STREAMING),
        Example(206, BLOB, {"Range": "bytes=1-3"}, setting=STREAMING),
    ],
    "HEAD /v2/{name}/blobs/{digest}": [Example(200, BLOB)],
    "DELETE /v2/{name}/blobs/{digest}": [Example(202, f"/v2/a/b/blobs/{LOOSE}")],
    "POST /v2/{name}/blobs/uploads/": [
        Example(202, UPLOADS),
        Example(202, f"{UPLOADS}?digest-algorithm=sha512"),
        Example(201, f"{UPLOADS}?digest={Digest.of(NEW)}", body=NEW),
        Example(201, f"/v2/c/blobs/uploads/?mount={LAYER}&from=a/b"),
    ],
    "GET /v2/{name}/blobs/uploads/{upload}": [Example(204, "{upload}")],
    "PATCH /v2/{name}/blobs/uploads/{upload}": [Example(202, "{upload}", body=NEW)],
    "PUT /v2/{name}/blobs/uploads/{upload}": [Example(201, f"{{upload}}?digest={Digest.of(NEW)}", body=NEW)],
    "DELETE /v2/{name}/blobs/uploads/{upload}": [Example(204, "{upload}")],
}
# (operation, header) → an example whose status the header makes.
HEADER_EFFECTS: Final = {
    ("GET /v2/{name}/manifests/{reference}", "If-None-Match"): Example(304, "/v2/a/b/manifests/v1", MATCH),
    ("HEAD /v2/{name}/manifests/{reference}", "If-None-Match"): Example(304, "/v2/a/b/manifests/v1", MATCH),
    ("GET /v2/{name}/blobs/{digest}", "Range"): Example(416, BLOB, {"Range": "bytes=999-"}),
    ("POST /v2/{name}/blobs/uploads/", "Content-Range"): Example(
        416, f"{UPLOADS}?digest={Digest.of(NEW)}", {"Content-Range": "5-7"}, NEW
    ),
    ("PATCH /v2/{name}/blobs/uploads/{upload}", "Content-Range"): Example(
        416, "{upload}", {"Content-Range": "5-7"}, NEW
    ),
    ("PUT /v2/{name}/blobs/uploads/{upload}", "Content-Range"): Example(
        416, f"{{upload}}?digest={Digest.of(NEW)}", {"Content-Range": "5-7"}, NEW
    ),
}


@pytest.fixture
def stocked(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(referrers, "PAGE_SIZE", 1)
    registry.push_image("z", "v1")
    registry.push_image("a/b", "v1", IMAGE)
    registry.put_manifest("a/b", "v2", IMAGE.manifest)
    registry.push_blob("a/b", b"loose")
    for attached in ATTACHED:
        registry.put_manifest("a/b", attached.digest, attached.manifest)
    return registry


def ask(registry: Registry, method: str, example: Example, monkeypatch: pytest.MonkeyPatch) -> TestResponse:
    upload = registry.start_upload("a/b") if "{upload}" in example.path else ""
    if example.setting is not None:
        monkeypatch.setenv(*example.setting)
        wiring.services().database.close()
        wiring.services.cache_clear()
    path = example.path.replace("{upload}", upload)
    response = registry.request(method, path, headers=example.headers, data=example.body)
    assert response.status_code == example.status, response.text
    return response


def examples_of(operation: Operation) -> list[Example]:
    """HEAD is answered as GET is, where it has no examples of its own."""
    return EXAMPLES.get(str(operation)) or EXAMPLES[f"GET {operation.path}"]


def has_content_as_told(response: TestResponse, method: str, told: dict[str, Any] | None) -> bool:
    """`*/*` is told of content that has the type it was pushed with."""
    content: bytes = response.data
    if method == "HEAD" or told is None:
        return content == b""
    return content != b"" and ("*/*" in told or response.content_type in told)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_endpoint_answers_with_the_statuses_and_headers_that_are_told(
    stocked: Registry, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[int, set[str]] = {status: set() for status in operation.successes}
    for example in examples_of(operation):
        response = ask(stocked, operation.method, example, monkeypatch)
        names = set(response.headers.keys())
        told = operation.headers(example.status)
        assert {name for name, header in told.items() if header.get("required")} <= names
        assert has_content_as_told(response, operation.method, operation.responses[example.status].get("content"))
        sent[example.status] |= names
    for status, names in sent.items():
        assert names, f"no example of {status}"
        assert names - EVERYWHERE == set(operation.headers(status)) - EVERYWHERE


@pytest.mark.parametrize(("operation", "header"), HEADER_EFFECTS)
def test_a_header_of_a_request_has_an_effect(
    stocked: Registry, operation: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = HEADER_EFFECTS[operation, header]
    method = operation.partition(" ")[0]
    assert set(example.headers) == {header}
    assert ask(stocked, method, example, monkeypatch).status_code == example.status
    without = stocked.request(method, example.path.replace("{upload}", stocked.start_upload("a/b")), data=example.body)
    assert without.status_code < 400
    assert without.status_code != example.status
