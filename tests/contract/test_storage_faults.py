"""Planned faults, under both servers the fake runs on."""

import time
from typing import Any

import pytest
import requests

from tests.contract.storage_support import QUANTUM, Api, md5_of


def plan(api: Api, action: str, match: str = "", **options: Any) -> None:
    answer = api.call("POST", "/_faults", json={"action": action, "match": match, **options})
    assert answer.status_code == 204, answer.text


def size_of(api: Api, name: str) -> str | None:
    answer = api.call("GET", api.object_path(name))
    return str(answer.json()["size"]) if answer.status_code == 200 else None


def test_the_next_calls_fail_with_a_status_and_store_nothing(faulty_api: Api) -> None:
    plan(faulty_api, "status", "POST /upload", count=2, status=429)
    assert [faulty_api.upload("x", b"1").status_code for _ in range(2)] == [429, 429]
    assert size_of(faulty_api, "x") is None
    assert faulty_api.upload("x", b"1").status_code == 200


def test_other_calls_are_left_alone(faulty_api: Api) -> None:
    plan(faulty_api, "status", "^DELETE /storage/v1/b/[^/]+/o/y")
    assert faulty_api.upload("x", b"1").status_code == 200
    assert faulty_api.call("DELETE", faulty_api.object_path("x")).status_code == 204
    assert faulty_api.call("DELETE", faulty_api.object_path("y")).status_code == 503


def test_a_fault_may_wait_for_a_later_call(faulty_api: Api) -> None:
    plan(faulty_api, "status", "POST /upload", skip=1)
    assert [faulty_api.upload("x", b"1").status_code for _ in range(3)] == [200, 503, 200]


def test_a_status_query_is_not_a_chunk(faulty_api: Api) -> None:
    upload = faulty_api.session("x")
    plan(faulty_api, "status", "PUT /upload", only_with_body=True)
    assert upload.stored() is None
    assert upload.put(b"x").status_code == 503
    assert upload.put(b"x").status_code == 200


def test_a_call_stalls_and_then_goes_on(faulty_api: Api) -> None:
    plan(faulty_api, "stall", "POST /upload", seconds=0.3)
    started = time.monotonic()
    assert faulty_api.upload("x", b"1").status_code == 200
    assert time.monotonic() - started >= 0.3


def test_an_answer_is_cut_in_its_middle(faulty_api: Api) -> None:
    assert faulty_api.upload("x", b"whole" * 1000).status_code == 200
    plan(faulty_api, "cut_answer", "alt=media")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        faulty_api.call("GET", f"{faulty_api.object_path('x')}?alt=media")
    assert faulty_api.call("GET", f"{faulty_api.object_path('x')}?alt=media").content == b"whole" * 1000


def test_a_connection_breaks_before_anything_is_done(faulty_api: Api) -> None:
    plan(faulty_api, "break", "POST /upload")
    with pytest.raises(requests.ConnectionError):
        faulty_api.upload("x", b"1")
    assert size_of(faulty_api, "x") is None


def test_an_answer_is_lost_but_the_work_is_done(faulty_api: Api) -> None:
    plan(faulty_api, "lose_answer", "POST /upload")
    with pytest.raises(requests.ConnectionError):
        faulty_api.upload("x", b"123")
    assert size_of(faulty_api, "x") == "3"


def test_a_chunk_is_cut_in_half(faulty_api: Api) -> None:
    content = bytes(range(256)) * (4 * QUANTUM // 256)
    upload = faulty_api.session("x")
    plan(faulty_api, "cut", "PUT /upload")
    with pytest.raises(requests.ConnectionError):
        upload.put_from(0, content)
    assert upload.stored() == f"bytes=0-{2 * QUANTUM - 1}"
    last = upload.put_from(2 * QUANTUM, content[2 * QUANTUM :], str(len(content)))
    assert last.json()["md5Hash"] == md5_of(content)


def test_what_is_cut_off_within_a_quantum_is_not_kept(faulty_api: Api) -> None:
    content = bytes(range(256)) * (3 * QUANTUM // 256)
    upload = faulty_api.session("x")
    plan(faulty_api, "cut", "PUT /upload")
    with pytest.raises(requests.ConnectionError):
        upload.put(content)
    assert upload.stored() == f"bytes=0-{QUANTUM - 1}"
    last = upload.put_from(QUANTUM, content[QUANTUM:], str(len(content)))
    assert last.json()["md5Hash"] == md5_of(content)


def test_a_simple_upload_that_is_cut_stores_nothing(faulty_api: Api) -> None:
    plan(faulty_api, "cut", "POST /upload")
    with pytest.raises(requests.ConnectionError):
        faulty_api.upload("x", b"x" * QUANTUM)
    assert size_of(faulty_api, "x") is None


def test_the_plan_can_be_read_and_cleared(faulty_api: Api) -> None:
    plan(faulty_api, "status", "POST /upload", count=3)
    faulty_api.upload("x", b"1")
    [left] = faulty_api.call("GET", "/_faults").json()
    assert (left["action"], left["match"], left["count"]) == ("status", "POST /upload", 2)
    assert faulty_api.call("DELETE", "/_faults").status_code == 204
    assert faulty_api.call("GET", "/_faults").json() == []
    assert faulty_api.upload("x", b"1").status_code == 200


@pytest.mark.parametrize("fault", [{}, {"action": "explode"}, {"action": "cut", "match": "("}])
def test_a_plan_that_makes_no_sense_is_refused(faulty_api: Api, fault: dict[str, str]) -> None:
    assert faulty_api.call("POST", "/_faults", json=fault).status_code == 400
