"""Reads: whole objects, ranges, and the headers that come with them."""

import os
from typing import Any

import pytest

from tests.contract.storage_support import MEBIBYTE, QUANTUM, Api, crc32c_of, md5_of

CONTENT = b"0123456789"


@pytest.fixture
def path(api: Api) -> str:
    """Where the ten digits can be read."""
    api.upload("digits", CONTENT)
    return api.media_path("digits")


def test_the_client_reads_a_range(api: Api, path: str, bucket: Any) -> None:
    assert api.call("GET", path).content == CONTENT
    assert bucket.blob("digits").download_as_bytes(start=2, end=5, retry=None) == b"2345"


def test_the_reader_of_the_client_seeks(bucket: Any) -> None:
    content = os.urandom(2 * MEBIBYTE)
    bucket.blob("stream").upload_from_string(content, retry=None)
    with bucket.blob("stream", chunk_size=QUANTUM).open("rb", retry=None) as file:
        assert file.read(1000) == content[:1000]
        file.seek(MEBIBYTE)
        assert file.read(10) == content[MEBIBYTE : MEBIBYTE + 10]


@pytest.mark.parametrize(
    ("wanted", "given", "content"),
    [
        ("bytes=0-3", "bytes 0-3/10", b"0123"),
        ("bytes=7-", "bytes 7-9/10", b"789"),
        ("bytes=-3", "bytes 7-9/10", b"789"),
        ("bytes=5-100", "bytes 5-9/10", b"56789"),
        ("bytes=-100", "bytes 0-9/10", CONTENT),
    ],
)
def test_a_range_is_cut_to_what_is_there(api: Api, path: str, wanted: str, given: str, content: bytes) -> None:
    answer = api.call("GET", path, headers={"Range": wanted})
    assert (answer.status_code, answer.headers["Content-Range"]) == (206, given)
    assert answer.content == content


def test_a_range_beyond_the_end_is_416(api: Api, path: str) -> None:
    answer = api.call("GET", path, headers={"Range": "bytes=20-30"})
    assert answer.status_code == 416


@pytest.mark.parametrize("wanted", ["bytes=5-2", "lines=1-2", "nonsense"])
def test_a_range_that_makes_no_sense_is_ignored(api: Api, path: str, wanted: str) -> None:
    answer = api.call("GET", path, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_download_says_what_it_is(api: Api, path: str) -> None:
    headers = api.call("GET", path).headers
    assert headers["x-goog-hash"] == f"crc32c={crc32c_of(CONTENT)},md5={md5_of(CONTENT)}"
    assert headers["x-goog-stored-content-length"] == "10"
    assert headers["x-goog-metageneration"] == "1"
    assert headers["x-goog-storage-class"] == "STANDARD"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Accept-Ranges"] == "bytes"
    for name in ("x-goog-generation", "ETag", "Last-Modified", "Content-Length"):
        assert name in headers


def test_a_download_that_did_not_change_is_304(api: Api, path: str) -> None:
    etag = api.call("GET", path).headers["ETag"]
    answer = api.call("GET", path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_the_metadata_path_gives_the_content_when_asked(api: Api, path: str) -> None:
    assert path
    assert api.call("GET", f"{api.object_path('digits')}?alt=media").content == CONTENT


def test_a_reader_keeps_what_it_reads_while_it_is_replaced(api: Api, bucket: Any) -> None:
    content = os.urandom(8 * MEBIBYTE)
    api.upload("replaced", content)
    path = api.media_path("replaced")
    with api.call("GET", path, stream=True) as answer:
        start = answer.raw.read(10)
        api.upload("replaced", b"new")
        assert start + answer.raw.read() == content
    assert bucket.blob("replaced").download_as_bytes(retry=None) == b"new"
