"""A host that has several addresses is reached at any that answers."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from functions.registry import outgoing
from functions.registry.outgoing import OutgoingFailed


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # as the library calls it
        body = b'{"here": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def _listening() -> Iterator[int]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _has_addresses(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Localhost has these from now on: which ones, and in which order, differs from machine to machine."""

    def found(_: str, port: int, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_the_next_address_is_asked_where_nobody_listens_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with _listening() as port:
        connect = socket.create_connection
        asked: list[str] = []

        def noted(address: tuple[str, int], **more: Any) -> socket.socket:
            asked.append(address[0])
            if address[0] != "127.0.0.1":
                raise ConnectionRefusedError
            monkeypatch.undo()
            return connect(address, **more)

        _has_addresses(monkeypatch, "::1", "127.0.0.2", "127.0.0.1", "::1")
        monkeypatch.setattr(socket, "create_connection", noted)
        answer = outgoing.ask(f"http://localhost:{port}/", may_be_loopback=True)
    assert answer.document == {"here": True}
    assert asked == ["::1", "127.0.0.2", "127.0.0.1"]


def test_one_address_among_good_ones_that_may_not_be_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    _has_addresses(monkeypatch, "127.0.0.1", "169.254.169.254")
    with pytest.raises(OutgoingFailed, match="not public"):
        outgoing.ask("http://localhost:9/", may_be_loopback=True)


def test_all_of_them_together_have_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def stands_still(_: tuple[str, int], timeout: float) -> socket.socket:
        time.sleep(timeout)
        raise TimeoutError

    _has_addresses(monkeypatch, *(f"127.0.0.{number}" for number in range(2, 12)))
    monkeypatch.setattr(socket, "create_connection", stands_still)
    started = time.monotonic()
    with pytest.raises(OutgoingFailed):
        outgoing.ask("http://localhost:9/", seconds=0.2, may_be_loopback=True)
    assert time.monotonic() - started < 1
