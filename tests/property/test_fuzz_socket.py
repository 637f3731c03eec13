"""Bytes that are no proper HTTP, on a real socket: the server refuses them and goes on answering everyone else."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import requests

from local.processes import Children
from tests.faults.conftest import Server, serve

HOST: Final = b"Host: x\r\n"
CHUNKED: Final = HOST + b"Transfer-Encoding: chunked\r\n"
PATCH: Final = b"PATCH {upload} HTTP/1.1\r\n"
MALFORMED: Final = {
    "nothing": b"",
    "an empty line": b"\r\n\r\n",
    "no version": b"GET /v2/\r\n\r\n",
    "an unknown version": b"GET /v2/ HTTP/9.9\r\n" + HOST + b"\r\n",
    "no method": b" /v2/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of odd bytes": b"G\x00T /v2/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes that are no text": bytes(range(256)) * 4,
    "a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a path with spaces": b"GET /v2/a b/tags/list HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that is no path": b"GET nonsense HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that is an address": b"GET http://[::1/v2/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path of bytes that are no text": b"GET /v2/\xff\xfe/tags/list HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path with half an escape": b"GET /v2/%/tags/list?n=%&last=%e HTTP/1.1\r\n" + HOST + b"\r\n",
    "a huge path": b"GET /v2/" + b"a" * 100_000 + b"/tags/list HTTP/1.1\r\n" + HOST + b"\r\n",
    "a huge header": b"GET /v2/ HTTP/1.1\r\n" + HOST + b"X-Huge: " + b"a" * 200_000 + b"\r\n\r\n",
    "a header without end": b"GET /v2/ HTTP/1.1\r\nX-Huge: " + b"a" * 200_000,
    "many headers": b"GET /v2/ HTTP/1.1\r\n" + b"X-Many: a\r\n" * 5000 + b"\r\n",
    "a header without a colon": b"GET /v2/ HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "a header without a name": b"GET /v2/ HTTP/1.1\r\n" + HOST + b": value\r\n\r\n",
    "a header with a NUL": b"GET /v2/ HTTP/1.1\r\n" + HOST + b"X-Nul: a\x00b\r\n\r\n",
    "a header in two lines": b"GET /v2/ HTTP/1.1\r\n" + HOST + b"X-Long: a\r\n b\r\n\r\n",
    "no host": b"GET /v2/ HTTP/1.1\r\n\r\n",
    "an odd host": b"GET /v2/ HTTP/1.1\r\nHost: a b/@[\r\n\r\n",
    "lengths that differ": PATCH + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length that is no number": PATCH + HOST + b"Content-Length: many\r\n\r\nabc",
    "a length below zero": PATCH + HOST + b"Content-Length: -1\r\n\r\nabc",
    "a length beyond all bounds": PATCH + HOST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nabc",
    "a length and chunks": PATCH + CHUNKED + b"Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "an unknown encoding": PATCH + HOST + b"Transfer-Encoding: odd\r\n\r\nabc",
    "a chunk size that is no number": PATCH + CHUNKED + b"\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "a chunk size below zero": PATCH + CHUNKED + b"\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a huge chunk size": PATCH + CHUNKED + b"\r\n" + b"f" * 40 + b"\r\nabc",
    "a chunk size without end": PATCH + CHUNKED + b"\r\n" + b"1" * 100_000,
    "an empty chunk size": PATCH + CHUNKED + b"\r\n\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": PATCH + CHUNKED + b"\r\n2\r\nabcdef\r\n0\r\n\r\n",
    "a chunk without its end": PATCH + CHUNKED + b"\r\n5\r\nab",
    "trailers that are none": PATCH + CHUNKED + b"\r\n3\r\nabc\r\n0\r\nnonsense\r\n\r\n",
    "an expectation": PATCH + HOST + b"Expect: nonsense\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    children.stop()


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path, children: Children) -> Server:
    return serve(environment, tmp_path, children, SLIPWAY_BODY_IDLE_SECONDS="1")


def send(server: Server, content: bytes) -> bytes:
    """What comes back until the server has no more to say, or nothing if it hangs up."""
    answer = b""
    with suppress(ConnectionError), server.connect() as connection:
        connection.sendall(content)
        with suppress(OSError):  # it may have hung up by now; what it said can still be read
            connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            answer += piece
    return answer


def statuses(answer: bytes) -> set[int]:
    return {int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")}


def is_in_json(answer: bytes) -> bool:
    """Says whether the last answer is an OCI error, if it is a refusal; also one by the server beneath."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    if not head or max(statuses(head[head.rfind(b"HTTP/1.1 ") :]), default=0) < 400:
        return True
    try:
        [error] = json.loads(body)["errors"]
    except ValueError:
        return False
    return b"Content-Type: application/json" in head and bool(error["code"] and error["message"])


def is_well(server: Server) -> bool:
    return bool(requests.get(f"{server.url}/v2/", timeout=10).status_code == 200)


@pytest.mark.timeout(120)
def test_no_malformed_request_keeps_the_server_from_answering_the_next(server: Server) -> None:
    faults = {}
    for name, content in MALFORMED.items():
        upload = server.start_upload().encode()
        answer = send(server, content.replace(b"{upload}", upload))
        # 501 is HTTP's own for a transfer encoding that is not known.
        wrong = {status for status in statuses(answer) if status >= 500} - {501}
        if wrong or not is_in_json(answer) or not is_well(server):
            faults[name] = answer
    assert faults == {}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(2))
def test_requests_with_bytes_exchanged_at_random_do_no_harm(server: Server, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
    upload = server.start_upload().encode()
    for number in range(100):
        content = bytearray(chance.choice(list(MALFORMED.values()))[:2000].replace(b"{upload}", upload))
        for _ in range(chance.randrange(1, 5)):
            position = chance.randrange(len(content) + 1)
            content[position : position + chance.randrange(3)] = chance.choice(
                [b"", b"\r\n", b"\0", b"\xff", b":", b" "]
            )
        answer = send(server, bytes(content))
        assert not {status for status in statuses(answer) if status >= 500} - {501}, (seed, number, content, answer)
    assert is_well(server)
