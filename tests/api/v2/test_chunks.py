"""The rules of chunked uploads: order, sizes, forms of Content-Range, and two clients at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

import pytest

from functions.registry.blobs.gcs import Bucket
from functions.registry.metadata.content import upload_parts, uploads
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import value
from tests.support import Registry

# What makes an object in the store, each with the object's name before all else.
_MAKING: Final = ("create_empty", "start_object", "compose")


def test_an_object_is_known_before_anything_is_written_to_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed in between leaves nothing in the store that nobody deletes."""
    known: dict[str, list[int]] = {name: [] for name in _MAKING}

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def making(bucket: Bucket, object_name: str, *rest: Any) -> Any:
            rows = "SELECT count(*) FROM upload_objects WHERE object_name = :name"
            known[name].append(value(registry.services.database, rows, name=object_name))
            return original(bucket, object_name, *rest)

        return making

    for name in _MAKING:
        monkeypatch.setattr(Bucket, name, watched(name, getattr(Bucket, name)))
    location = registry.start_upload("a/b")
    for chunk in (b"12345", b"67890"):
        registry.request("PATCH", location, data=chunk)
    assert registry.request("PUT", f"{location}?digest={Digest.of(b'1234567890')}").status_code == 201
    registry.push_blob("a/b", b"")
    assert known == {"create_empty": [1], "start_object": [1, 1], "compose": [1]}


def test_the_status_of_an_upload(registry: Registry) -> None:
    location = registry.start_upload("a/b")
    response = registry.get(location)
    assert (response.status_code, response.headers["Range"]) == (204, "0-0")
    assert response.headers["Location"] == location
    assert location == f"/v2/a/b/blobs/uploads/{response.headers['Docker-Upload-UUID']}?_state="
    registry.request("PATCH", location, data=b"12345")
    assert registry.get(location).headers["Range"] == "0-4"


@pytest.mark.parametrize("received", [b"", b"1"])
def test_a_client_tells_an_empty_upload_from_one_of_a_byte_by_going_on_at_0(
    registry: Registry, received: bytes
) -> None:
    """The header itself is the same for both, in every answer: docs/api.md says so."""
    location, content = registry.start_upload("a/b"), b"1234567890"
    if received:
        assert registry.request("PATCH", location, data=received).headers["Range"] == "0-0"
    assert registry.get(location).headers["Range"] == "0-0"
    answer = registry.request("PATCH", location, data=content, headers={"Content-Range": "0-9"})
    if received:
        assert (answer.status_code, answer.headers["Range"]) == (416, "0-0")
        answer = registry.request("PATCH", location, data=content[1:], headers={"Content-Range": "1-9"})
    else:
        early = registry.start_upload("a/b")
        refused = registry.request("PATCH", early, data=content[1:], headers={"Content-Range": "1-9"})
        assert (refused.status_code, refused.headers["Range"]) == (416, "0-0")
    assert (answer.status_code, answer.headers["Range"]) == (202, "0-9")
    assert registry.request("PUT", f"{location}?digest={Digest.of(content)}").status_code == 201


@pytest.mark.parametrize("form", ["0-4", "bytes 0-4/*", "bytes=0-4", "0-4/*", "0-4/5"])
def test_forms_of_content_range_that_clients_send(registry: Registry, form: str) -> None:
    location = registry.start_upload("a/b")
    assert registry.request("PATCH", location, data=b"12345", headers={"Content-Range": form}).status_code == 202


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("content_range", ["0-4", "4-8", "6-10"])
def test_a_chunk_out_of_order_is_told_where_the_upload_stands(
    registry: Registry, method: str, content_range: str
) -> None:
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=b"12345")
    query = f"?digest={Digest.of(b'1234567890')}" if method == "PUT" else ""
    response = registry.request(method, location + query, data=b"67890", headers={"Content-Range": content_range})
    assert (response.status_code, registry.error_code(response)) == (416, "BLOB_UPLOAD_INVALID")
    assert response.headers["Range"] == "0-4"
    assert response.headers["Location"] == location
    assert registry.get(location).headers["Range"] == "0-4"


@pytest.mark.parametrize(
    ("content_range", "code"),
    [("nonsense", "BLOB_UPLOAD_INVALID"), ("4-0", "BLOB_UPLOAD_INVALID"), ("0-9", "SIZE_INVALID")],
)
def test_a_chunk_that_contradicts_itself_adds_nothing(registry: Registry, content_range: str, code: str) -> None:
    location = registry.start_upload("a/b")
    response = registry.request("PATCH", location, data=b"12345", headers={"Content-Range": content_range})
    assert (response.status_code, registry.error_code(response)) == (400, code)
    assert registry.get(location).headers["Range"] == "0-0"


def test_the_second_of_two_writers_at_once_is_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another request adds a chunk while this one's body is under way."""
    location = registry.start_upload("a/b")
    overtaking = iter([True])
    original = upload_parts.advance

    def advance(*arguments: object) -> object:
        if next(overtaking, False):
            assert registry.request("PATCH", location, data=b"first").status_code == 202
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(upload_parts, "advance", advance)
    response = registry.request("PATCH", location, data=b"second")
    assert (response.status_code, response.headers["Range"]) == (416, "0-4")
    digest = Digest.of(b"first")
    assert registry.request("PUT", f"{location}?digest={digest}").status_code == 201
    assert registry.pull_blob("a/b", digest) == b"first"


def test_an_upload_is_closed_once(registry: Registry) -> None:
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=b"content")
    digest = Digest.of(b"content")
    assert registry.request("PUT", f"{location}?digest={digest}").status_code == 201
    assert registry.get(location).status_code == 404
    assert registry.request("PATCH", location, data=b"more").status_code == 404
    assert registry.request("PUT", f"{location}?digest={Digest.of(b'other')}").status_code == 404


def test_an_expired_upload_is_unknown(registry: Registry) -> None:
    expired = uploads.start(registry.services.database, RepositoryName("a/b"), "sha256", seconds=0)
    assert isinstance(expired, uuid.UUID)
    assert registry.get(f"/v2/a/b/blobs/uploads/{expired}").status_code == 404
