"""Connections that break, stall or lie: nothing half-sent can be pulled, and what arrived need not be sent again."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest
import requests

from functions.registry.oci.digest import Digest
from tests.faults.conftest import Server

CONTENT = os.urandom(3 << 20)
HALF = len(CONTENT) // 2


def head(method: str, path: str, framing: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()


def framing(kind: str) -> str:
    return "Transfer-Encoding: chunked" if kind == "chunked" else f"Content-Length: {len(CONTENT)}"


def body(kind: str, content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content) if kind == "chunked" else content


def settled(server: Server, path: str) -> int:
    """What the upload has once the server has noticed the cut."""
    deadline = time.monotonic() + 60
    while not (received := server.uploaded(path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return received


@pytest.mark.parametrize("kind", ["chunked", "length"])
def test_an_upload_that_was_cut_goes_on_from_what_arrived(server: Server, kind: str) -> None:
    path = server.start_upload()
    with server.connect() as connection:
        connection.sendall(head("PATCH", path, framing(kind)) + body(kind, CONTENT[:HALF]))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    received = settled(server, path)
    assert HALF - (256 << 10) <= received <= HALF
    digest = Digest.of(CONTENT)
    content_range = {"Content-Range": f"{received}-{len(CONTENT) - 1}"}
    rest = requests.patch(server.url + path, data=CONTENT[received:], headers=content_range, timeout=30)
    assert rest.status_code == 202
    assert requests.put(f"{server.url}{path}?digest={digest}", timeout=30).status_code == 201
    assert requests.get(f"{server.url}/v2/a/b/blobs/{digest}", timeout=30).content == CONTENT


@pytest.mark.parametrize("kind", ["chunked", "length"])
def test_a_client_that_vanishes_leaves_an_upload_that_can_go_on(server: Server, kind: str) -> None:
    path = server.start_upload()
    with server.connect() as connection:
        connection.sendall(head("PATCH", path, framing(kind)) + body(kind, CONTENT[:HALF]))
    assert HALF - (256 << 10) <= settled(server, path) <= HALF


@pytest.mark.parametrize("kind", ["chunked", "length"])
def test_a_body_that_stops_coming_is_given_up(server: Server, kind: str) -> None:
    path = server.start_upload()
    with server.connect() as connection:
        connection.sendall(head("PATCH", path, framing(kind)) + body(kind, CONTENT[:HALF]))
        started = time.monotonic()
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        assert 1 < time.monotonic() - started < 8
    assert HALF - (256 << 10) <= server.uploaded(path) <= HALF


def test_a_manifest_cut_short_is_not_stored(server: Server) -> None:
    manifest = b'{"schemaVersion": 2}'
    with server.connect() as connection:
        lengths = f"Content-Length: {len(manifest) + 10}"
        connection.sendall(head("PUT", "/v2/a/b/manifests/v1", lengths) + manifest)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(2000), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"SIZE_INVALID" in answer
    assert requests.get(f"{server.url}/v2/a/b/manifests/v1", timeout=10).status_code == 404


def test_a_whole_blob_cut_short_cannot_be_pulled(server: Server) -> None:
    digest = Digest.of(CONTENT)
    with server.connect() as connection:
        post = head("POST", f"/v2/a/b/blobs/uploads/?digest={digest}", framing("length"))
        connection.sendall(post + CONTENT[:HALF])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert requests.get(f"{server.url}/v2/a/b/blobs/{digest}", timeout=10).status_code == 404


def resident_bytes(pid: int) -> int:
    """Returns the memory of the process and its children, where the work is done."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if re.search(rf"^(P?Pid):\t{pid}$", text, re.MULTILINE) and (match := re.search(r"VmRSS:\s+(\d+)", text)):
            total += int(match[1]) << 10
    return total


def test_a_refused_body_is_not_read_into_memory(server: Server) -> None:
    """The framework would read it whole after the answer."""
    assert server.child.process is not None
    before = resident_bytes(server.child.process.pid)
    piece = bytes(1 << 20)
    answer = requests.put(f"{server.url}/v2/UPPER/manifests/v1", data=(piece for _ in range(30)), timeout=30)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "NAME_INVALID")
    with server.connect() as connection:
        connection.sendall(head("PUT", "/v2/UPPER/manifests/v1", f"Content-Length: {1 << 30}"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert resident_bytes(server.child.process.pid) - before < 16 << 20


def test_a_tls_greeting_is_answered_at_once(server: Server) -> None:
    """Clients try TLS first; a server that waits for more costs docker ten seconds a push."""
    with server.connect() as connection:
        connection.sendall(bytes.fromhex("16030100a5010000a10303") + b"\0" * 160)
        started = time.monotonic()
        connection.recv(1000)
        assert time.monotonic() - started < 5
