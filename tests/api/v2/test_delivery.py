"""How a blob leaves: by a redirect to a URL that the store verifies, or through the function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests
from werkzeug.test import Client

from functions.registry.blobs import gcs
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.oci.digest import Digest
from functions.registry.wiring import Services
from tests.forgotten import made_services
from tests.support import Registry

CONTENT = bytes(range(100))
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def streaming(
    api_function: Client, services: Services, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """A registry that streams. `services` has set the environment up."""
    assert environment["SLIPWAY_BUCKET"] == services.settings.bucket
    monkeypatch.setenv("SLIPWAY_BLOB_DELIVERY", "streaming")
    return Registry(api_function, made_services())


def test_a_redirect_carries_a_url_that_the_store_accepts(registry: Registry) -> None:
    registry.push_blob("a/b", CONTENT)
    response = registry.get(f"/v2/a/b/blobs/{DIGEST}")
    assert response.status_code == 307
    location = response.headers["Location"]
    assert requests.get(location, headers={"Range": "bytes=10-19"}, timeout=10).content == CONTENT[10:20]
    assert requests.get(location[:-6] + "000000", timeout=10).status_code == 403


def test_the_url_is_for_reading_this_object_alone(registry: Registry) -> None:
    registry.push_blob("a/b", CONTENT)
    location = registry.get(f"/v2/a/b/blobs/{DIGEST}").headers["Location"]
    assert requests.put(location, data=b"overwritten", timeout=10).status_code == 403
    other = location.replace("/blobs/", "/blobs/x")
    assert requests.get(other, timeout=10).status_code == 403


def test_streaming_gives_the_whole_blob(streaming: Registry) -> None:
    streaming.push_blob("a/b", CONTENT)
    response = streaming.get(f"/v2/a/b/blobs/{DIGEST}")
    assert (response.status_code, response.data) == (200, CONTENT)
    assert response.headers["Content-Length"] == "100"
    assert response.headers["Docker-Content-Digest"] == str(DIGEST)
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=50-999", 50, 99),
    ],
)
def test_streaming_gives_a_range(streaming: Registry, asked: str, first: int, last: int) -> None:
    streaming.push_blob("a/b", CONTENT)
    response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", headers={"Range": asked})
    assert (response.status_code, response.data) == (206, CONTENT[first : last + 1])
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/100"
    assert response.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=500-600", "bytes=20-10", "bytes=-0"])
def test_a_range_outside_the_blob(streaming: Registry, asked: str) -> None:
    streaming.push_blob("a/b", CONTENT)
    response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", headers={"Range": asked})
    assert (response.status_code, response.headers["Content-Range"]) == (416, "bytes */100")
    assert streaming.error_code(response) == "RANGE_INVALID"


@pytest.mark.parametrize("asked", ["lines=0-1", "bytes=0-1,5-6", "nonsense"])
def test_a_range_that_need_not_be_understood_gives_the_whole(streaming: Registry, asked: str) -> None:
    streaming.push_blob("a/b", CONTENT)
    response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", headers={"Range": asked})
    assert (response.status_code, response.data) == (200, CONTENT)


def plan(storage_address: str, **fault: object) -> None:
    requests.post(f"{storage_address}/_faults", json={"count": 1000, **fault}, timeout=10).raise_for_status()


@pytest.fixture
def faults(storage_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(gcs, "_RETRY_SECONDS", 0.5)
    yield storage_address
    requests.delete(f"{storage_address}/_faults", timeout=10)


@pytest.mark.parametrize(
    ("status", "answered", "code"), [(503, 503, "UNKNOWN"), (403, 503, "UNKNOWN"), (404, 404, "BLOB_UNKNOWN")]
)
def test_streaming_without_the_object_is_answered_as_everywhere(
    streaming: Registry, faults: str, capsys: pytest.CaptureFixture[str], status: int, answered: int, code: str
) -> None:
    streaming.push_blob("a/b", CONTENT)
    plan(faults, match="GET /(download|storage)/", action="status", status=status)
    for headers in ({}, {"Range": "bytes=10-19"}):
        capsys.readouterr()
        response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", headers=headers)
        assert (response.status_code, streaming.error_code(response)) == (answered, code)
        assert response.headers.get("Retry-After") == ("1" if answered == 503 else None)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [line] = [line for line in lines if line["message"] == "request"]
        assert (line["route"], line["status"]) == ("GetBlob", answered)
    # A lost object is known from then on, and the next push heals it; a store that is away says nothing of it.
    assert streaming.request("HEAD", f"/v2/a/b/blobs/{DIGEST}").status_code == (404 if answered == 404 else 200)


def test_a_stream_that_breaks_off_breaks_the_connection_and_is_told(
    streaming: Registry, faults: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second request of it fails: the answer's length has been told by then."""
    monkeypatch.setattr(gcs, "_READ_BYTES", 40)
    streaming.push_blob("a/b", CONTENT)
    response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", buffered=False)
    assert response.status_code == 200
    pieces = response.iter_encoded()
    assert next(pieces) == CONTENT[:40]
    plan(faults, match="GET /(download|storage)/", action="status", status=503)
    with pytest.raises(BlobStoreUnavailable):
        list(pieces)
    response.close()
    [line] = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["message"] != "request"]
    assert (line["message"], line["digest"], line["missing"]) == ("a blob broke off", str(DIGEST), 60)


def test_an_object_that_is_too_short_breaks_off_as_well(
    streaming: Registry, storage_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    streaming.push_blob("a/b", CONTENT)
    bucket = streaming.services.settings.bucket
    [stored] = requests.get(f"{storage_address}/storage/v1/b/{bucket}/o", timeout=10).json()["items"]
    path = f"{storage_address}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(stored['name'], safe='')}"
    requests.post(path, data=CONTENT[:30], timeout=10).raise_for_status()
    with pytest.raises(BlobStoreUnavailable):
        list(streaming.get(f"/v2/a/b/blobs/{DIGEST}", buffered=False).iter_encoded())
    assert '"missing":70' in capsys.readouterr().out


@pytest.fixture(params=["streaming", "redirect"])
def either(request: pytest.FixtureRequest) -> Registry:
    """However it delivers blobs."""
    registry: Registry = request.getfixturevalue("streaming" if request.param == "streaming" else "registry")
    registry.push_blob("a/b", CONTENT)
    return registry


@pytest.mark.parametrize("named", [f'"{DIGEST}"', f'W/"{DIGEST}"', f'"other", "{DIGEST}"', "*"])
def test_a_blob_that_the_client_has_is_not_sent_again(either: Registry, named: str) -> None:
    for method in ("GET", "HEAD"):
        for asked in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=500-"}):
            response = either.request(method, f"/v2/a/b/blobs/{DIGEST}", headers={"If-None-Match": named, **asked})
            assert (response.status_code, response.data) == (304, b"")
            assert response.headers["ETag"] == f'"{DIGEST}"'


@pytest.mark.parametrize("named", ['"other"', f'"{DIGEST}x"', "", str(DIGEST)[:-1]])
def test_a_blob_that_the_client_has_not_is_sent(either: Registry, named: str) -> None:
    response = either.get(f"/v2/a/b/blobs/{DIGEST}", headers={"If-None-Match": named})
    assert response.status_code in {200, 307}


@pytest.mark.parametrize("named", ['"other"', f'W/"{DIGEST}"', "Sun, 06 Nov 1994 08:49:37 GMT", str(DIGEST), ""])
def test_a_range_of_something_else_is_not_heeded(streaming: Registry, named: str) -> None:
    streaming.push_blob("a/b", CONTENT)
    for asked in ("bytes=0-9", "bytes=500-"):
        response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", headers={"Range": asked, "If-Range": named})
        assert (response.status_code, response.data) == (200, CONTENT)
        assert "Content-Range" not in response.headers


def test_a_range_of_the_same_blob_is_heeded(streaming: Registry) -> None:
    streaming.push_blob("a/b", CONTENT)
    headers = {"Range": "bytes=0-9", "If-Range": f'"{DIGEST}"'}
    response = streaming.get(f"/v2/a/b/blobs/{DIGEST}", headers=headers)
    assert (response.status_code, response.data) == (206, CONTENT[:10])


@pytest.mark.parametrize("asked", [None, "bytes=0-", "bytes=-5", "bytes=0-0", "bytes=7-", "bytes=-0"])
def test_an_empty_blob_is_the_same_whatever_the_range(either: Registry, asked: str | None) -> None:
    """A store would refuse all of them."""
    empty = either.push_blob("a/b", b"")
    response = either.get(f"/v2/a/b/blobs/{empty}", headers={"Range": asked} if asked else {})
    assert (response.status_code, response.data, response.headers["Content-Length"]) == (200, b"", "0")
    assert response.headers["Docker-Content-Digest"] == str(empty)
