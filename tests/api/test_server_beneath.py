"""What the function sets otherwise in the server beneath."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker
from werkzeug.test import Client

from functions.api.web import beneath
from functions.registry.config import MEBIBYTE


def test_a_body_with_a_length_is_read_by_pieces(api_function: Client) -> None:
    """What is held of it is a piece or two, and not the mebibyte that the server would copy with each of them."""
    assert api_function is not None
    near, far = socket.socketpair()
    size, piece = 8 * MEBIBYTE, 64 << 10
    sender = threading.Thread(target=far.sendall, args=(bytes(size),))
    with near, far:
        sender.start()
        body = Body(LengthReader(SocketUnreader(near), size))
        tracemalloc.start()
        received = 0
        while data := body.read(piece):
            received += len(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sender.join()
    assert received == size
    assert peak < 6 * piece


class Worker(ThreadWorker):  # type: ignore[misc]  # the server has no types
    """The server's own, which counts how often a thread is given a connection."""

    handed_out = 0

    def enqueue_req(self, conn: Any) -> None:
        self.handed_out += 1
        super().enqueue_req(conn)


@contextmanager
def server(threads: int, serve: Callable[[], None]) -> Iterator[tuple[Worker, int]]:
    """Returns a worker at work, without the process around it, and its port."""

    def application(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        serve()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    settings = Config()
    settings.set("threads", threads)
    listener = socket.create_server(("127.0.0.1", 0))
    worker = Worker(1, os.getppid(), [listener], None, 30, settings, Logger(settings))
    worker.wsgi, worker.tpool = application, worker.get_thread_pool()
    worker.poller = selectors.DefaultSelector()
    worker.method_queue.init()
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        yield worker, listener.getsockname()[1]
    finally:
        worker.alive = False
        worker.method_queue.defer(lambda: None)  # it need not wait out its second
        running.join()
        worker.tmp.close()


GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def ask(port: int, times: int, request: bytes = GET) -> float:
    """Asks so often over one connection, without waiting for answers. Returns when the last one was there.

    The worker has closed the connection then: it would rightly give way to the next one, and be handed out once more.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request * times)
        received = b""
        while received.count(b"\r\n\r\nok") < times:
            piece = connection.recv(1 << 16)
            assert piece, received
            received += piece
        answered = time.monotonic()
        connection.shutdown(socket.SHUT_WR)
        assert not connection.recv(1)
    return answered


def test_a_thread_stays_with_a_connection_that_asks_again(
    api_function: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api_function is not None
    # For as long as this client may be kept from closing it.
    monkeypatch.setattr(beneath, "_MOMENT_MS", 10_000)
    with server(2, lambda: None) as (worker, port):
        ask(port, 20)
        assert worker.handed_out == 1
        ask(port, 20)
        assert worker.handed_out == 2


def test_a_connection_that_asks_without_end_leaves_the_thread_to_others(api_function: Client) -> None:
    assert api_function is not None
    with server(1, lambda: time.sleep(0.02)) as (_, port):
        ends: dict[str, float] = {}
        many = threading.Thread(target=lambda: ends.update(many=ask(port, 40)))
        many.start()
        time.sleep(0.1)
        ends["one"] = ask(port, 1)
        many.join()
        assert ends["one"] < ends["many"] - 0.3


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
def test_a_body_that_nobody_has_read_is_not_the_next_request(api_function: Client, body: bytes) -> None:
    assert api_function is not None
    with server(1, lambda: None) as (worker, port):
        ask(port, 10, b"POST / HTTP/1.1\r\nHost: here\r\n" + body)
        assert worker.handed_out == 1
