"""Bodies that trickle: a refused one holds a thread for seconds, an accepted one keeps a least rate, and one address
never holds more than a few threads.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import requests

from local.processes import Children
from tests.faults.conftest import Server, serve

_THREADS: Final = 8
_REFUSED: Final = b"POST /v2/UPPER/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na"


@pytest.fixture
def slow_server(environment: dict[str, str], tmp_path: Path, children: Children) -> Server:
    settings = {
        "SLIPWAY_BODY_IDLE_SECONDS": "4",
        "SLIPWAY_BODY_LEAST_BYTES": "4096",
        "SLIPWAY_BODY_DRAIN_SECONDS": "2",
        "SLIPWAY_SLOW_BODIES_PER_ADDRESS": "3",
    }
    return serve(environment, tmp_path, children, THREADS=str(_THREADS), **settings)


@contextmanager
def trickling(connections: list[socket.socket], piece: bytes = b"a", every: float = 0.3) -> Iterator[None]:
    """A piece of each now and then, until the end of the block."""
    is_over = threading.Event()

    def trickle() -> None:
        while not is_over.wait(every):
            for connection in list(connections):
                try:
                    connection.sendall(piece)
                except OSError:
                    continue

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def seconds_until_answered(connection: socket.socket, status: bytes, code: bytes) -> float:
    started = time.monotonic()
    connection.settimeout(20)
    answer = b"".join(iter(lambda: connection.recv(2000), b""))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert code in answer
    return time.monotonic() - started


def test_a_refused_body_that_trickles_is_answered_within_seconds(slow_server: Server) -> None:
    with slow_server.connect() as connection:
        connection.sendall(_REFUSED)
        with trickling([connection]):
            assert seconds_until_answered(connection, b"400", b"NAME_INVALID") < 5


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_an_accepted_body_that_trickles_is_cut_and_what_came_is_kept(slow_server: Server, framing: str) -> None:
    path = slow_server.start_upload()
    sent = bytes(10_000)
    with slow_server.connect() as connection:
        head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()
        is_chunked = framing.startswith("Transfer")
        connection.sendall(head + (b"%x\r\n%b\r\nfffff\r\n" % (len(sent), sent) if is_chunked else sent))
        with trickling([connection]):
            assert 2 < seconds_until_answered(connection, b"400", b"BLOB_UPLOAD_INVALID") < 12
    assert 8192 <= slow_server.uploaded(path) < 12_000


def test_a_body_that_is_slow_but_fast_enough_is_taken(slow_server: Server) -> None:
    path = slow_server.start_upload()

    def pieces() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.7)
            yield bytes(2048)

    answer = requests.patch(slow_server.url + path, data=pieces(), timeout=30)
    assert (answer.status_code, answer.headers["Range"]) == (202, f"0-{8 * 2048 - 1}")


@pytest.mark.parametrize("is_accepted", [False, True], ids=["refused", "accepted"])
def test_slow_bodies_of_one_address_leave_threads_for_others(slow_server: Server, is_accepted: bool) -> None:
    """Twice as many as there are threads, which come again as soon as they are cut."""
    path = slow_server.start_upload()
    accepted = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na".encode()
    connections: list[socket.socket] = []
    is_over = threading.Event()

    def come_again() -> None:
        while not is_over.is_set():
            with slow_server.connect() as connection, suppress(OSError):
                connections.append(connection)
                connection.sendall(accepted if is_accepted else _REFUSED)
                connection.settimeout(20)
                connection.recv(100_000)
            connections.remove(connection)

    crowd = [threading.Thread(target=come_again, daemon=True) for _ in range(2 * _THREADS)]
    with trickling(connections):
        for each in crowd:
            each.start()
        time.sleep(3)
        took = []
        for _ in range(20):
            started = time.monotonic()
            assert requests.get(f"{slow_server.url}/api/openapi.json", timeout=10).status_code == 200
            took.append(time.monotonic() - started)
            time.sleep(0.1)
        is_over.set()
        for each in crowd:
            each.join(20)
    # Were all threads held, each would wait for one to be cut; a single one may wait for a busy machine.
    assert statistics.median(took) < 1.5


def test_a_large_body_that_is_refused_is_heard_out(slow_server: Server) -> None:
    """Clients that send all before they read, as well as those that read at once, are told why."""
    answer = requests.put(f"{slow_server.url}/v2/UPPER/manifests/v1", data=bytes(30 << 20), timeout=30)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "NAME_INVALID")
