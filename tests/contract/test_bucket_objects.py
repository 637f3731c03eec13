"""The bucket: objects are made once, joined, read and deleted, through the real Google client."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests

from functions.registry.blobs import gcs
from functions.registry.blobs.errors import BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.gcs import MOST_COMPOSED, Bucket, new_object_name
from functions.registry.config import Settings
from tests.contract.storage_support import Api, crc32c_of

MEBIBYTE: Final = 1 << 20
CHUNK: Final = 4 * MEBIBYTE
CONTENT: Final = random.Random(5).randbytes(3 * MEBIBYTE + 17)  # noqa: S311  # the same at every run
RANGES: Final = [
    (0, 0),
    (0, 99),
    (1, 1),
    (MEBIBYTE - 1, MEBIBYTE),
    (100, 2 * MEBIBYTE + 100),
    (len(CONTENT) - 1, len(CONTENT) - 1),
    (0, len(CONTENT) - 1),
]


def bucket_of(address: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    return Bucket(
        Settings.from_environment(
            {"SLIPWAY_DATABASE": "none", "SLIPWAY_BUCKET": name, "SLIPWAY_STORAGE_TIMEOUT_SECONDS": "20"}
        )
    )


@pytest.fixture
def ours(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Our bucket; `api` sees the same objects from outside."""
    bucket = bucket_of(api.endpoint, api.bucket, monkeypatch)
    yield bucket
    bucket._bucket.client.close()


def resource(api: Api, name: str) -> Any:
    answer = api.call("GET", api.object_path(name))
    assert answer.status_code == 200, answer.text
    return answer.json()


def content(api: Api, name: str) -> bytes:
    return bytes(api.call("GET", api.media_path(name)).content)


# ---- making


def test_an_object_is_written_through_a_session_of_the_google_client(ours: Bucket, api: Api) -> None:
    writer = ours.start_object("blobs/x/1")
    writer.write(CONTENT)
    writer.close()
    assert content(api, "blobs/x/1") == CONTENT
    made = resource(api, "blobs/x/1")
    assert (made["contentType"], made["crc32c"]) == ("application/octet-stream", crc32c_of(CONTENT))


def write(bucket: Bucket, name: str, content: bytes) -> None:
    writer = bucket.start_object(name)
    writer.write(content)
    writer.close()


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1])
def test_a_name_that_exists_is_refused(ours: Bucket, api: Api, size: int) -> None:
    api.upload("x", b"first")
    with pytest.raises(BlobStoreUnavailable):
        write(ours, "x", bytes(size))
    assert content(api, "x") == b"first"


@pytest.mark.usefixtures("only_ours")
@pytest.mark.parametrize(("size", "calls"), [(1, 1), (CHUNK, 1), (CHUNK + 1, 3)])
def test_what_fits_a_chunk_is_one_request(api: Api, monkeypatch: pytest.MonkeyPatch, size: int, calls: int) -> None:
    bucket = bucket_of(api.endpoint, api.bucket, monkeypatch)
    plan_nothing = {"action": "stall", "seconds": 0, "match": "/upload/", "count": 100}
    requests.post(f"{api.endpoint}/_faults", json=plan_nothing, timeout=10).raise_for_status()
    try:
        write(bucket, "x", bytes(size))
        (left,) = requests.get(f"{api.endpoint}/_faults", timeout=10).json()
        assert 100 - left["count"] == calls
    finally:
        requests.delete(f"{api.endpoint}/_faults", timeout=10)
        bucket._bucket.client.close()


@pytest.mark.usefixtures("only_ours")
@pytest.mark.parametrize("action", ["status", "break", "lose_answer"])
def test_one_request_is_tried_again_and_may_meet_its_own_object(
    api: Api, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    bucket = bucket_of(api.endpoint, api.bucket, monkeypatch)
    fault = {"action": action, "status": 503, "match": "POST /upload/", "count": 1}
    requests.post(f"{api.endpoint}/_faults", json=fault, timeout=10).raise_for_status()
    try:
        write(bucket, "x", CONTENT)
        assert content(api, "x") == CONTENT
    finally:
        requests.delete(f"{api.endpoint}/_faults", timeout=10)
        bucket._bucket.client.close()


def test_the_store_hears_of_a_part_only_when_it_is_closed(ours: Bucket, api: Api) -> None:
    writer = ours.start_object("x")
    writer.write(CONTENT)
    assert api.call("GET", api.object_path("x")).status_code == 404
    writer.cancel()


def test_an_empty_object_is_made_once(ours: Bucket, api: Api) -> None:
    ours.create_empty("x")
    assert (resource(api, "x")["size"], content(api, "x")) == ("0", b"")
    assert resource(api, "x")["contentType"] == "application/octet-stream"
    with pytest.raises(BlobStoreUnavailable):
        ours.create_empty("x")


def test_object_names_never_repeat_and_begin_with_their_uploads_id() -> None:
    upload = uuid.uuid4()
    names = {new_object_name(upload) for _ in range(1000)}
    assert len(names) == 1000
    assert all(name.startswith(f"blobs/{upload}/") for name in names)


def test_a_bucket_that_does_not_exist_is_a_missing_object(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = bucket_of(api.endpoint, "no-such-bucket", monkeypatch)
    for size in (1, CHUNK + 1):
        with pytest.raises(ObjectMissing):
            write(bucket, "x", bytes(size))
    bucket._bucket.client.close()


# ---- joining


@pytest.mark.parametrize("count", [1, 2, 3, MOST_COMPOSED])
def test_objects_are_joined_in_order(ours: Bucket, api: Api, count: int) -> None:
    pieces = [CONTENT[number * 1000 : number * 1000 + 500 + number] for number in range(count)]
    names = [f"part{number}" for number in range(count)]
    for name, piece in zip(names, pieces, strict=True):
        api.upload(name, piece)
    ours.compose("whole", names)
    whole = b"".join(pieces)
    assert content(api, "whole") == whole
    made = resource(api, "whole")
    assert (made["crc32c"], made["contentType"]) == (crc32c_of(whole), "application/octet-stream")
    assert [content(api, name) for name in names] == pieces


def test_the_same_object_may_be_joined_with_itself(ours: Bucket, api: Api) -> None:
    api.upload("x", b"ab")
    ours.compose("xx", ["x", "x"])
    assert content(api, "xx") == b"abab"


def test_more_objects_than_the_store_joins_are_refused(ours: Bucket, api: Api) -> None:
    api.upload("x", b"ab")
    with pytest.raises(BlobStoreUnavailable):
        ours.compose("whole", ["x"] * (MOST_COMPOSED + 1))


def test_joining_an_object_that_is_missing_makes_nothing(ours: Bucket, api: Api) -> None:
    api.upload("x", b"ab")
    with pytest.raises(ObjectMissing):
        ours.compose("whole", ["x", "missing"])
    assert api.call("GET", api.object_path("whole")).status_code == 404


def test_joining_never_replaces_an_object(ours: Bucket, api: Api) -> None:
    api.upload("x", b"ab")
    api.upload("whole", b"first")
    with pytest.raises(BlobStoreUnavailable):
        ours.compose("whole", ["x", "x"])
    assert content(api, "whole") == b"first"


# ---- reading


def test_an_object_is_read_whole_in_pieces(ours: Bucket, api: Api) -> None:
    api.upload("x", CONTENT)
    pieces = list(ours.read("x"))
    assert b"".join(pieces) == CONTENT
    assert all(0 < len(piece) <= gcs._READ_BYTES for piece in pieces)


@pytest.mark.parametrize(("first", "last"), RANGES)
def test_a_range_of_an_object_is_read(ours: Bucket, api: Api, first: int, last: int) -> None:
    api.upload("x", CONTENT)
    assert b"".join(ours.read("x", first, last)) == CONTENT[first : last + 1]


def test_a_range_without_an_end_goes_to_the_end(ours: Bucket, api: Api) -> None:
    api.upload("x", CONTENT)
    assert b"".join(ours.read("x", MEBIBYTE)) == CONTENT[MEBIBYTE:]
    assert b"".join(ours.read("x", MEBIBYTE, 100 * MEBIBYTE)) == CONTENT[MEBIBYTE:]
    assert list(ours.read("x", len(CONTENT))) == []


def test_reading_goes_on_from_one_request_to_the_next(ours: Bucket, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "_READ_BYTES", 100_000)
    api.upload("x", CONTENT[:MEBIBYTE])
    assert b"".join(ours.read("x")) == CONTENT[:MEBIBYTE]
    assert b"".join(ours.read("x", 99_999, 300_000)) == CONTENT[99_999:300_001]


def test_an_empty_object_is_read_as_nothing(ours: Bucket) -> None:
    ours.create_empty("x")
    assert list(ours.read("x")) == []


def test_an_object_that_is_missing_can_not_be_read(ours: Bucket) -> None:
    with pytest.raises(ObjectMissing):
        next(ours.read("missing"))
    with pytest.raises(ObjectMissing):
        next(ours.read("missing", 1, 2))


def test_a_read_that_is_left_off_is_closed(ours: Bucket, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "_READ_BYTES", MEBIBYTE)
    api.upload("x", CONTENT)
    pieces = ours.read("x")
    assert next(pieces) == CONTENT[:MEBIBYTE]
    assert isinstance(pieces, Iterator)
    pieces.close()  # type: ignore[attr-defined]
    assert list(pieces) == []


# ---- deleting


def test_a_deleted_object_is_gone(ours: Bucket, api: Api) -> None:
    api.upload("x", b"1")
    assert ours.delete_all(["x"]) == {}
    assert api.call("GET", api.object_path("x")).status_code == 404


def test_deleting_what_is_not_there_is_fine(ours: Bucket) -> None:
    assert ours.delete_all(["missing", "neither"]) == {}


def test_a_name_is_taken_literally(ours: Bucket, api: Api) -> None:
    for name in ("a b/c+d", "ä/🐳", "100%/%2F?x=1#y", "a//b", "a&b=c"):
        ours.create_empty(name)
        assert resource(api, name)["name"] == name
        assert list(ours.read(name)) == []
        assert ours.delete_all([name]) == {}
        assert api.call("GET", api.object_path(name)).status_code == 404


# ---- a store in trouble


@pytest.mark.usefixtures("only_ours")
def test_a_refused_access_is_no_missing_object(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = bucket_of(api.endpoint, api.bucket, monkeypatch)
    api.upload("x", b"1")
    requests.post(
        f"{api.endpoint}/_faults", json={"action": "status", "status": 403, "match": "/b/", "count": 5}, timeout=10
    )
    try:
        with pytest.raises(BlobStoreUnavailable):
            write(bucket, "y", b"content")
        with pytest.raises(BlobStoreUnavailable):
            bucket.create_empty("y")
        with pytest.raises(BlobStoreUnavailable):
            bucket.compose("y", ["x"])
        with pytest.raises(BlobStoreUnavailable):
            next(bucket.read("x"))
        assert bucket.delete_all(["x"])["x"].startswith("403: ")
    finally:
        requests.delete(f"{api.endpoint}/_faults", timeout=10)
        bucket._bucket.client.close()


def test_without_credentials_the_store_is_unavailable(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked first: the client is made then."""
    bucket = bucket_of(api.endpoint, api.bucket, monkeypatch)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(BlobStoreUnavailable):
        write(bucket, "x", b"content")
    with pytest.raises(BlobStoreUnavailable):
        bucket.create_empty("x")
    with pytest.raises(BlobStoreUnavailable):
        bucket.compose("x", ["y"])
    with pytest.raises(BlobStoreUnavailable):
        next(bucket.read("x"))
    with pytest.raises(BlobStoreUnavailable):
        bucket.delete_all(["x"])
