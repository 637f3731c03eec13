"""The client of `make bench`: answers of every form are read whole, whatever pieces they come in, and each job begins
when it is due.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from benchmarks.rivals.asking import Answer, Client, Job, do, request
from benchmarks.rivals.drawing import bars
from benchmarks.rivals.goals import goals_table
from benchmarks.rivals.measuring import Measured, Measurements
from benchmarks.rivals.registries import DEBIAN, SLIPWAY
from benchmarks.rivals.tables import alone
from benchmarks.steady import Kind, run_for


@contextmanager
def server(*connections: Sequence[Sequence[bytes]]) -> Iterator[str]:
    """Answers the requests of one connection after the other, each in these pieces."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answers in connections:
                connection, _ = listener.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for pieces in answers:
                        connection.recv(1 << 16)
                        for piece in pieces:
                            connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)
        assert not thread.is_alive()


CHUNKED = [b"HTTP/1.1 200 OK\r\nTransfer-En", b"coding: chunked\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"]
LONG = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"ab", b"cde"]
EMPTY = [b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"]


def collect(found: list[Answer], *methods: str) -> Job:
    for method in methods:
        answer = yield request(method, "/v2/")
        found += [answer]


@pytest.mark.parametrize(
    ("pieces", "method", "body"), [(CHUNKED, "GET", b"abcde"), (LONG, "GET", b"abcde"), (EMPTY, "GET", b"")]
)
def test_an_answer_is_read_whole(pieces: list[bytes], method: str, body: bytes) -> None:
    found: list[Answer] = []
    with server([pieces, LONG]) as address:
        seconds = do(address, [collect(found, method, "GET")], 1)
    assert [answer.body for answer in found] == [body, b"abcde"]
    assert len(seconds) == 1


def test_a_head_has_no_body_whatever_its_length_says() -> None:
    found: list[Answer] = []
    with server([LONG[:1], LONG]) as address:
        do(address, [collect(found, "HEAD", "GET")], 1)
    assert [answer.body for answer in found] == [b"", b"abcde"]


def test_a_job_goes_where_a_redirect_leads() -> None:
    def follow() -> Job:
        answer = yield request("GET", "/v2/a/blobs/x")
        answer = yield request("GET", answer.header("location"))
        found.append(answer.require(200))

    found: list[Answer] = []
    with server([LONG]) as elsewhere:
        redirect = f"HTTP/1.1 307 T\r\nLocation: http://{elsewhere}/x\r\nContent-Length: 0\r\n\r\n".encode()
        with server([[redirect]]) as address:
            do(address, [follow()], 1)
    assert found[0].body == b"abcde"


def test_a_client_that_gave_up_connects_anew() -> None:
    found: list[Answer] = []
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(f"127.0.0.1:{listener.getsockname()[1]}", selector)
        client.begin(collect(found, "GET"))
        client.close()
        client.begin(collect(found, "GET"))
        listener.accept()[0].close()
        second, _ = listener.accept()
        with second:
            second.recv(1 << 16)
            second.sendall(b"".join(LONG))
            ((key, _),) = selector.select(5)
            assert client.advance(key.data[1])
        client.close()
    assert [answer.body for answer in found] == [b"abcde"]


def test_a_read_that_an_idle_connection_loses_is_asked_again() -> None:
    found: list[Answer] = []
    with server([LONG, []], [LONG]) as address:
        do(address, [collect(found, "GET", "GET")], 1)
    assert [answer.body for answer in found] == [b"abcde", b"abcde"]


@pytest.mark.parametrize(
    ("answers", "methods"), [([LONG, []], ["GET", "POST"]), ([[]], ["GET"]), ([LONG[:2]], ["GET"])]
)
def test_what_may_have_been_done_or_was_answered_in_part_is_not_asked_again(
    answers: list[list[bytes]], methods: list[str]
) -> None:
    with server(answers) as address, pytest.raises(ConnectionError, match="closed the connection"):
        do(address, [collect([], *methods)], 1)


def test_in_a_steady_load_each_kind_has_its_own_rate() -> None:
    kinds = [Kind(name, rate, lambda _: collect([], "GET")) for name, rate in (("seldom", 10), ("often", 40))]
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def answer(connection: socket.socket) -> None:
            with connection:
                while connection.recv(1 << 16):
                    connection.sendall(b"".join(LONG))

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # the test is over
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        run_for(f"127.0.0.1:{listener.getsockname()[1]}", kinds, 0.51)
        listener.shutdown(socket.SHUT_RDWR)
    assert [(kind.done, kind.failed, len(kind.seconds)) for kind in kinds] == [(6, [], 6), (21, [], 21)]


def test_a_status_that_is_not_expected_ends_the_run() -> None:
    with pytest.raises(ValueError, match="answered 500, not 200"):
        Answer(500, b"HTTP/1.1 500 No", b"").require(200)


def test_goals_tell_what_was_reached() -> None:
    measurements = Measurements()
    for name, seconds in ((SLIPWAY, 0.001), (DEBIAN, 0.002)):
        measured = Measured("blob HEAD", 1, name, [seconds], [1 / seconds])
        measured.cpu["api"].append(seconds)
        measurements.add(measured)
    rows = [line for line in goals_table(measurements).splitlines() if "blob HEAD" in line]
    assert [row.split("|")[-2].strip() for row in rows] == ["yes", "yes"]
    assert "0.50" in alone(measurements, [SLIPWAY, DEBIAN])
    assert bars("p50", measurements, 1, [SLIPWAY, DEBIAN], lambda each: each.p50_ms).count("<rect") == 4
