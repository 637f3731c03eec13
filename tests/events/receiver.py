"""A receiver of webhooks on this machine, in whatever mood a test wants it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What a receiver does: it may wait, send this status, headers and text, or close without a word."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    wait_seconds: float = 0.0
    is_silent: bool = False


Mood = Callable[[Received], Answer]


class Receiver:
    """`received` has what came, in order; what was refused as well. `busiest` is how many were there at once."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.mood: Mood = lambda _: Answer()
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        self.address = ""

    def take(self, received: Received) -> Answer:
        with self._lock:
            self.received.append(received)
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        answer = self.mood(received)
        if answer.wait_seconds:
            time.sleep(answer.wait_seconds)
        with self._lock:
            self._busy -= 1
        return answer

    @property
    def documents(self) -> list[Any]:
        return [each.document for each in self.received]

    def kinds(self) -> list[str]:
        """Returns the types of CloudEvents: `tag.moved`, …"""
        return [each["type"].removeprefix("dev.slipway.").removesuffix(".v1") for each in self.documents]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                # The sender died in the middle: nothing has come.
                self.close_connection = True
                return
            answer = receiver.take(Received(dict(self.headers.items()), body))
            if answer.is_silent:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.text)))
            self.end_headers()
            self.wfile.write(answer.text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Says nothing: a test reads what was received."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Says nothing of senders that are gone."""

    server = Server((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.address = f"http://{HOST}:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
