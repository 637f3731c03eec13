"""The simulated platform front: takes HTTP/1.1 from clients, as docker speaks it, and passes it on to an instance.

To a service that speaks HTTP/2 it goes over one connection for each instance, without TLS, with no limit to a body; to
a function over HTTP/1.1, where 32 MiB is all that passes. It says what the platform says: nothing that helps.
"""

from __future__ import annotations

import http
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import IO, Final, Self

from tests.clients.http_stream import ConnectionEndedError, Head, pass_body, read_head
from tests.rehearsal.hops import Hop, Http1Hop, Http2Hop, TooLarge, TooLate
from tests.rehearsal.http2 import Answer, Http2Connection, NoAnswer
from tests.rehearsal.instance import Instance
from tests.rehearsal.service import Service

_BUFFER: Final = 256 << 10
_TLS_HANDSHAKE: Final = b"\x16"
_LINGER_SECONDS: Final = 2
_WITHOUT_BODY: Final = (204, 304)


class Front:
    """`address` is the service's, as clients know it. What it answered itself is counted by status in `own_answers`;
    `layers` has the sizes of the bodies that the service took for an upload.

    Set `kill_after` to a number of bytes: the instance that has taken so much of one body is killed, once.
    """

    def __init__(self, service: Service, port: int) -> None:
        self._service = service
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.own_answers: dict[int, int] = {}
        self.layers: list[int] = []
        self.kill_after: int | None = None
        self.kills = 0
        self._connections: set[socket.socket] = set()
        self._instances: dict[int, Http2Connection] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for connection in (self._listener, *self._connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for onward in self._instances.values():
                onward.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
        with suppress(OSError), connection, connection.makefile("rb") as source:
            # Clients try TLS first on any port but those they know.
            if connection.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
                while (head := read_head(source)) and self._pass(head, source, connection):
                    pass
        with self._lock:
            self._connections.discard(connection)

    def _pass(self, head: Head, source: IO[bytes], client: socket.socket) -> bool:
        """Says whether the connection can take another request."""
        method = head.words[0]
        announced = int(head.get("content-length") or 0)
        limit = self._service.limits.request_bytes
        if limit is not None and announced > limit:
            return self._refuse(client, method, 413)
        try:
            with self._service.instance() as instance, self._hop(instance) as hop:
                answer, is_read = self._exchange(instance, hop, head, source, client)
        except ConnectionEndedError:
            return False
        except TooLarge:
            return self._refuse(client, method, 413)
        except (TooLate, TimeoutError):
            return self._refuse(client, method, 504)
        except (NoAnswer, OSError):
            return self._refuse(client, method, 503)
        client.sendall(_encode(answer, method, is_last=not is_read))
        if not is_read:
            _linger(client)
        return is_read and not head.ends_connection

    def _exchange(
        self, instance: Instance, hop: Hop, head: Head, source: IO[bytes], client: socket.socket
    ) -> tuple[Answer, bool]:
        """The answer, and whether the whole body was read first."""
        if (head.get("expect") or "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        hop.begin(head)
        sent = 0

        class Answered(Exception):
            """Before the body was over."""

        def send(piece: bytes, content: int) -> None:
            nonlocal sent
            sent += content
            if content and not hop.send(piece):
                raise Answered
            if self.kill_after is not None and sent > self.kill_after:
                self.kill_after, self.kills = None, self.kills + 1
                self._service.kill(instance)

        is_read = True
        try:
            pass_body(head, source, send, until_closed=False)
            hop.end()
        except Answered:
            is_read = False
        except ConnectionEndedError:
            hop.cut()
            raise
        answer = hop.answer()
        if is_read and sent and "/blobs/uploads/" in head.words[1] and answer.status < http.HTTPStatus.BAD_REQUEST:
            self.layers.append(sent)
        return answer, is_read

    def _hop(self, instance: Instance) -> Hop:
        limits = self._service.limits
        if not self._service.speaks_http2:
            return Http1Hop(instance.port, limits)
        with self._lock:
            connection = self._instances.get(id(instance))
            if connection is None or connection.is_closed or connection.is_leaving:
                connection = self._instances[id(instance)] = Http2Connection(instance.port)
        return Http2Hop(connection, limits)

    def _refuse(self, client: socket.socket, method: str, status: int) -> bool:
        self.own_answers[status] = self.own_answers.get(status, 0) + 1
        page = Answer(status, [("content-type", "text/html")], b"<title>Error</title>")
        client.sendall(_encode(page, method, is_last=True))
        _linger(client)
        return False


def _encode(answer: Answer, method: str, *, is_last: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} Answer"]
    lines += [f"{name}: {value}" for name, value in answer.headers if name != "content-length" or method == "HEAD"]
    if method != "HEAD" and answer.status not in _WITHOUT_BODY:
        lines.append(f"content-length: {len(answer.body)}")
    if is_last:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + answer.body


def _linger(client: socket.socket) -> None:
    """Closing while something still comes would take the answer from the client."""
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(_LINGER_SECONDS)
        while client.recv(_BUFFER):
            pass
