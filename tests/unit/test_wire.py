"""The connection over which bytes go to the store: kept while it lives, and made anew where the store has closed it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from functions.registry.blobs.wire import ask

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def store(answers_of_connections: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Answers so many requests on each connection and closes it; notes of each how many bytes came."""
    received: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answers in answers_of_connections:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as lines:
                    for _ in range(answers):
                        length = 0
                        while (line := lines.readline()) != b"\r\n":
                            if line.lower().startswith(b"content-length:"):
                                length = int(line.partition(b":")[2])
                        received.append(len(lines.read(length)))
                        connection.sendall(ANSWER)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/upload?name=x", received
        thread.join(5)
        assert not thread.is_alive()


def test_a_connection_is_kept_and_one_that_was_closed_is_made_anew() -> None:
    with store([2, 1]) as (url, received):
        for size in (10, 20):
            assert ask("POST", url, {}, (bytes(size),), 5).body == b"ok"
        time.sleep(0.1)
        assert ask("POST", url, {}, (b"abc", memoryview(b"de")), 5).status == 200
    assert received == [10, 20, 5]


def test_a_failure_is_told_and_the_next_request_has_a_new_connection() -> None:
    with store([1, 0, 1]) as (url, received):
        ask("POST", url, {}, (b"x",), 5)
        time.sleep(0.1)
        with pytest.raises((OSError, http.client.HTTPException)):
            ask("POST", url, {}, (b"x",), 5)
        assert ask("PUT", url, {"Content-Range": "bytes 0-0/1"}, (b"y",), 5).body == b"ok"
    assert received == [1, 1]
