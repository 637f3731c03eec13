"""Resumable uploads: offsets, status, the end, and what can go wrong in between."""

import io
import os
from typing import Any

import pytest

from tests.contract.storage_support import QUANTUM, Api, crc32c_of, md5_of


def test_a_file_goes_up_in_chunks(bucket: Any) -> None:
    content = os.urandom(5 * QUANTUM + 77)
    blob = bucket.blob("chunked", chunk_size=QUANTUM)
    blob.upload_from_file(io.BytesIO(content), size=len(content), checksum="crc32c", retry=None)
    assert (blob.size, blob.crc32c, blob.md5_hash) == (len(content), crc32c_of(content), md5_of(content))
    assert bucket.blob("chunked").download_as_bytes(retry=None) == content


def test_the_status_of_an_upload_can_be_asked_at_any_time(api: Api) -> None:
    upload = api.session("status")
    content = os.urandom(2 * QUANTUM)
    assert upload.stored() is None
    first = upload.put_from(0, content[:QUANTUM])
    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")
    assert upload.stored() == f"bytes=0-{QUANTUM - 1}"
    last = upload.put_from(QUANTUM, content[QUANTUM:], str(len(content)))
    assert last.status_code == 200
    assert last.json()["md5Hash"] == md5_of(content)


def test_a_finished_upload_answers_again_with_its_object(api: Api) -> None:
    upload = api.session("again")
    generation = upload.put(b"content").json()["generation"]
    again = upload.query()
    assert again.status_code == 200
    assert again.json()["generation"] == generation


def test_an_upload_can_be_ended_by_telling_its_size(api: Api) -> None:
    upload = api.session("told")
    upload.put_from(0, os.urandom(QUANTUM))
    last = upload.put(b"", f"bytes */{QUANTUM}")
    assert (last.status_code, last.json()["size"]) == (200, str(QUANTUM))


def test_an_upload_of_nothing_makes_an_empty_object(api: Api, bucket: Any) -> None:
    assert api.session("nothing").put(b"", "bytes */0").status_code == 200
    assert bucket.get_blob("nothing", retry=None).size == 0


def test_a_body_without_a_range_is_the_whole_object(api: Api) -> None:
    answer = api.session("whole").put(b"x" * 1000)
    assert (answer.status_code, answer.json()["size"]) == (200, "1000")


def test_a_body_of_unknown_length_may_be_the_whole_object(api: Api) -> None:
    answer = api.session("unknown").put(b"y" * 100_000 for _ in range(10))
    assert (answer.status_code, answer.json()["size"]) == (200, "1000000")


def test_less_than_a_quantum_is_not_kept(api: Api) -> None:
    upload = api.session("small")
    answer = upload.put_from(0, b"z" * 1000)
    assert (answer.status_code, answer.headers.get("Range")) == (308, None)
    assert upload.stored() is None


def test_only_whole_quanta_of_a_chunk_are_kept(api: Api) -> None:
    upload = api.session("uneven")
    content = os.urandom(2 * QUANTUM)
    answer = upload.put_from(0, content[: QUANTUM + 5])
    assert answer.headers["Range"] == f"bytes=0-{QUANTUM - 1}"
    last = upload.put_from(QUANTUM, content[QUANTUM:], str(len(content)))
    assert last.json()["md5Hash"] == md5_of(content)


def test_bytes_beyond_a_gap_are_refused(api: Api) -> None:
    upload = api.session("gap")
    assert upload.put_from(QUANTUM, b"z" * QUANTUM).status_code == 503
    assert upload.stored() is None


def test_bytes_that_are_stored_already_are_skipped(api: Api, bucket: Any) -> None:
    upload = api.session("overlap")
    content = os.urandom(3 * QUANTUM)
    upload.put_from(0, content[: 2 * QUANTUM])
    last = upload.put_from(QUANTUM, content[QUANTUM:], str(len(content)))
    assert last.json()["md5Hash"] == md5_of(content)
    assert bucket.blob("overlap").download_as_bytes(retry=None) == content


@pytest.mark.parametrize("content_range", ["bytes 5", "octets 0-1/2", "bytes 0-5/6", "bytes 0-1/*/2"])
def test_a_range_that_makes_no_sense_is_refused(api: Api, content_range: str) -> None:
    assert api.session("nonsense").put(b"xx", content_range).status_code == 400


def test_more_bytes_than_announced_are_refused(api: Api, bucket: Any) -> None:
    upload = api.session("too-much")
    assert upload.put_from(0, b"x" * QUANTUM, "5").status_code == 400
    assert not bucket.blob("too-much").exists(retry=None)


def test_a_cancelled_upload_is_gone(api: Api) -> None:
    upload = api.session("cancelled")
    assert api.call("DELETE", upload.location).status_code == 499
    assert upload.query().status_code == 404
    assert api.call("DELETE", upload.location).status_code == 404


def test_the_condition_is_checked_when_the_upload_starts(api: Api) -> None:
    api.upload("taken", b"first")
    assert api.start("taken", ifGenerationMatch="0").status_code == 412


def test_the_condition_is_checked_again_when_the_upload_ends(api: Api, bucket: Any) -> None:
    upload = api.session("late", ifGenerationMatch="0")
    api.upload("late", b"first")
    assert upload.put(b"second").status_code == 412
    assert bucket.blob("late").download_as_bytes(retry=None) == b"first"


@pytest.mark.parametrize(
    "metadata", [{"md5Hash": md5_of(b"other")}, {"crc32c": crc32c_of(b"other")}], ids=["md5", "crc32c"]
)
def test_a_wrong_checksum_is_refused_at_the_end(api: Api, bucket: Any, metadata: dict[str, str]) -> None:
    assert api.session("wrong", metadata).put(b"x" * 10).status_code == 400
    assert not bucket.blob("wrong").exists(retry=None)


def test_the_metadata_of_the_start_is_the_objects(api: Api) -> None:
    upload = api.session("described", {"contentType": "text/x", "cacheControl": "no-store"})
    resource = upload.put(b"x").json()
    assert (resource["contentType"], resource["cacheControl"]) == ("text/x", "no-store")
