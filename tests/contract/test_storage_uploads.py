"""Uploads in one request: simple, multipart, and as the client's writer makes them."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from google.api_core import exceptions
from google.cloud.storage import transfer_manager

from tests.contract.storage_support import MEBIBYTE, QUANTUM, Api, crc32c_of, md5_of

_MOMENT: Final = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_simple_upload_keeps_its_content_type_and_tells_its_checksums(api: Api) -> None:
    path = f"/upload/storage/v1/b/{api.bucket}/o?uploadType=media&name=raw.bin"
    answer = api.call("POST", path, data=b"abc", headers={"Content-Type": "application/x-example"})
    assert answer.status_code == 200
    resource = answer.json()
    assert resource["contentType"] == "application/x-example"
    assert resource["crc32c"] == crc32c_of(b"abc")
    assert resource["md5Hash"] == md5_of(b"abc")
    assert resource["size"] == "3"


def test_a_multipart_upload_is_read_back_whole(bucket: Any) -> None:
    blob = bucket.blob("hello.txt")
    blob.upload_from_string(b"hello", content_type="text/plain", checksum="crc32c", retry=None)
    assert (blob.size, blob.content_type) == (5, "text/plain")
    assert blob.generation > 0
    assert bucket.blob("hello.txt").download_as_bytes(retry=None) == b"hello"


def test_a_multipart_upload_may_contain_what_looks_like_a_boundary(bucket: Any) -> None:
    content = b"\r\n--" + b"\r\n\r\n--==" * 1000 + b"\r\n"
    bucket.blob("dashes").upload_from_string(content, retry=None)
    assert bucket.blob("dashes").download_as_bytes(retry=None) == content


def test_a_multipart_upload_without_its_last_boundary_is_refused(api: Api, bucket: Any) -> None:
    body = b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "x"}\r\n--b\r\n\r\ncontent'
    path = f"/upload/storage/v1/b/{api.bucket}/o?uploadType=multipart"
    headers = {"Content-Type": "multipart/related; boundary=b"}
    assert api.call("POST", path, data=body, headers=headers).status_code == 400
    assert not bucket.blob("x").exists(retry=None)


def test_an_empty_object_has_size_zero(bucket: Any) -> None:
    bucket.blob("empty").upload_from_string(b"", retry=None)
    blob = bucket.get_blob("empty", retry=None)
    assert blob.size == 0
    assert blob.download_as_bytes(retry=None) == b""


@pytest.mark.parametrize(
    "name",
    [
        "library/x/blobs/sha256:ab",
        "a b+c%20d",
        "é/ü",
        "x?y=1&z",
        "q#r",
        "dir//two",
        "a%2Fb",
        "tag'()*!",
        "trail/",
        "_manifests/.hidden",
        "a/b/c/d/e",
    ],
)
def test_any_name_can_be_written_read_listed_and_deleted(bucket: Any, name: str) -> None:
    bucket.blob(name).upload_from_string(name.encode(), retry=None)
    assert bucket.blob(name).download_as_bytes(retry=None) == name.encode()
    assert [blob.name for blob in bucket.list_blobs(retry=None)] == [name]
    bucket.blob(name).delete(retry=None)
    assert not bucket.blob(name).exists(retry=None)


def test_a_name_may_also_be_the_folder_of_another(bucket: Any) -> None:
    for name in ("a", "a/b"):
        bucket.blob(name).upload_from_string(name, retry=None)
    for name in ("a", "a/b"):
        assert bucket.blob(name).download_as_bytes(retry=None) == name.encode()


def test_metadata_and_custom_time_can_come_with_the_upload(bucket: Any) -> None:
    blob = bucket.blob("described")
    blob.metadata = {"digest": "sha256:x"}
    blob.custom_time = _MOMENT
    blob.upload_from_string(b"d", retry=None)
    found = bucket.get_blob("described", retry=None)
    assert found.metadata == {"digest": "sha256:x"}
    assert found.custom_time == _MOMENT


def test_a_wrong_md5_is_refused_and_nothing_is_stored(bucket: Any) -> None:
    blob = bucket.blob("wrong")
    blob.md5_hash = md5_of(b"other")
    with pytest.raises(exceptions.BadRequest):
        blob.upload_from_string(b"data", retry=None, checksum=None)
    assert not bucket.blob("wrong").exists(retry=None)


def test_an_upload_into_a_bucket_that_is_not_there_is_404(api: Api) -> None:
    path = "/upload/storage/v1/b/no-such-bucket/o?uploadType=media&name=x"
    assert api.call("POST", path, data=b"x" * MEBIBYTE).status_code == 404


def test_an_upload_without_a_name_is_refused(api: Api) -> None:
    path = f"/upload/storage/v1/b/{api.bucket}/o?uploadType=media"
    assert api.call("POST", path, data=b"x").status_code == 400


def test_a_body_sent_in_chunks_is_stored_whole(api: Api, bucket: Any) -> None:
    answer = api.upload("chunked", (b"y" * 100_000 for _ in range(10)))
    assert answer.json()["size"] == "1000000"
    assert bucket.blob("chunked").download_as_bytes(retry=None) == b"y" * 1_000_000


def test_the_writer_of_the_client_streams_an_object_of_unknown_size(bucket: Any) -> None:
    content = os.urandom(3 * MEBIBYTE + 12345)
    with bucket.blob("stream", chunk_size=MEBIBYTE).open("wb", retry=None) as file:
        for start in range(0, len(content), 64 * 1024):
            file.write(content[start : start + 64 * 1024])
    assert bucket.blob("stream").download_as_bytes(retry=None) == content


def test_the_writer_may_end_exactly_on_a_chunk(bucket: Any) -> None:
    content = os.urandom(4 * QUANTUM)
    with bucket.blob("even", chunk_size=QUANTUM).open("wb", ignore_flush=True, retry=None) as file:
        for start in range(0, len(content), 100_000):
            file.write(content[start : start + 100_000])
    found = bucket.get_blob("even", retry=None)
    assert found.size == len(content)
    assert found.download_as_bytes(retry=None) == content


def test_the_transfer_manager_downloads_ranges_side_by_side(bucket: Any, tmp_path: Path) -> None:
    content = os.urandom(6 * MEBIBYTE)
    bucket.blob("large").upload_from_string(content, retry=None)
    target = tmp_path / "large"
    transfer_manager.download_chunks_concurrently(
        bucket.get_blob("large", retry=None),
        str(target),
        chunk_size=2 * MEBIBYTE,
        worker_type="thread",
        max_workers=2,
    )
    assert target.read_bytes() == content
