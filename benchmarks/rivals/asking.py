"""Any number of clients in one thread, as cheap as Python allows: they share the machine with what they measure.

What a client does is a job: a generator that yields requests and is sent the answers. So a push of many requests is
written as one function, and is driven in the same way as a single GET.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 120
_RECEIVED_AT_ONCE: Final = 1 << 18
_END_OF_HEAD: Final = b"\r\n\r\n"
_NO_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class Request:
    """`line` is the first of the head, `headers` are the others but for Host. `origin` is the host, where it is another
    than the registry's: there a redirect led.
    """

    line: bytes
    headers: bytes
    body: Iterable[bytes | memoryview] = ()
    origin: str = ""

    @property
    def is_head(self) -> bool:
        return self.line.startswith(b"HEAD")

    @property
    def only_reads(self) -> bool:
        return self.line.startswith((b"GET", b"HEAD"))

    def head(self, host: str) -> bytes:
        return b"%b\r\nHost: %b\r\n%b\r\n" % (self.line, host.encode(), self.headers)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Raises LookupError."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.strip().decode()
        raise LookupError(f"an answer without {name}: {self.head!r}")

    def require(self, status: int) -> Answer:
        """Raises ValueError for another status."""
        if self.status != status:
            raise ValueError(f"answered {self.status}, not {status}: {self.head[:500]!r} {self.body[:500]!r}")
        return self


Job = Generator[Request, Answer, None]


def request(method: str, target: str, body: bytes = b"", **headers: str) -> Request:
    """`target` is a path, or a URL that a registry gave. Headers are named as in Python: content_type."""
    url = urlsplit(target)
    path = f"{url.path}?{url.query}" if url.query else url.path
    if method in ("PUT", "POST", "PATCH") and "transfer_encoding" not in headers:
        headers["content_length"] = str(len(body))
    written = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return Request(f"{method} {path} HTTP/1.1".encode(), written.encode(), (body,) if body else (), url.netloc)


@dataclass(slots=True)
class _Connection:
    """Kept open from request to request."""

    host: str
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    has_answered: bool = False

    def take(self, *, is_head: bool) -> Answer | None:
        """Reads what has come. Returns the answer once it is whole. Raises ConnectionError."""
        piece = self.socket.recv(_RECEIVED_AT_ONCE)
        if not piece:
            raise ConnectionError(f"the registry closed the connection after {bytes(self.received[:500])!r}")
        self.received += piece
        end = self.received.find(_END_OF_HEAD)
        if end < 0:
            return None
        head, status = bytes(self.received[:end]), int(self.received[9:12])
        body = b"" if is_head or status in _NO_BODY else _body(head, self.received, end + len(_END_OF_HEAD))
        if body is None:
            return None
        self.received.clear()
        self.has_answered = True
        return Answer(status, head, body)


def _body(head: bytes, received: bytearray, start: int) -> bytes | None:
    """Returns the body, or None as long as some of it is missing."""
    lines = head.lower()
    if b"transfer-encoding: chunked" in lines:
        return _joined(received, start) if received.endswith(b"0\r\n\r\n") else None
    at = lines.find(b"content-length:")
    if at < 0:
        raise ValueError(f"an answer without a length: {head!r}")
    length = int(lines[at + 15 :].split(b"\r\n", 1)[0])
    return bytes(received[start : start + length]) if len(received) >= start + length else None


def _joined(received: bytearray, start: int) -> bytes:
    pieces: list[bytes] = []
    while True:
        line = received.index(b"\r\n", start)
        size = int(received[start:line], 16)
        if not size:
            return b"".join(pieces)
        pieces.append(bytes(received[line + 2 : line + 2 + size]))
        start = line + size + 4


class Client:
    """Does one job after the other, over one connection for each host."""

    def __init__(self, address: str, selector: selectors.BaseSelector) -> None:
        self._address = address
        self._selector = selector
        self._connections: dict[str, _Connection] = {}
        self._asked: Request | None = None
        self._awaited: _Connection | None = None
        self._job: Job | None = None
        self._started = 0.0
        self.seconds: list[float] = []

    def begin(self, job: Job, due_at: float | None = None) -> None:
        """Its time counts from when it was due, by the clock of perf_counter: now, if nothing is said."""
        self._job, self._started = job, time.perf_counter() if due_at is None else due_at
        self._send(next(job))

    def advance(self, connection: _Connection) -> bool:
        """Something has come. Returns whether the job is over."""
        if connection is not self._awaited:
            # One that nothing is asked of is closed after a while, and made anew when it is needed.
            self._close(self._connections.pop(connection.host))
            return False
        if self._asked is None or self._job is None:
            return False
        try:
            answer = connection.take(is_head=self._asked.is_head)
        except ConnectionError:
            # Both ends may give up an idle connection at the moment in which the other one uses it (RFC 9112, 9.3.1).
            if not self._asked.only_reads or not connection.has_answered or connection.received:
                raise
            self._close(self._connections.pop(connection.host))
            self._send(self._asked)
            return False
        if answer is None:
            return False
        try:
            following = self._job.send(answer)
        except StopIteration:
            self._job = self._awaited = None
            self.seconds.append(time.perf_counter() - self._started)
            return True
        self._send(following)
        return False

    def _send(self, asked: Request) -> None:
        host = asked.origin or self._address
        connection = self._awaited = self._connection(host)
        self._asked = asked
        # Small bodies go out with the head; a large one is not copied.
        pending = asked.head(host)
        for piece in asked.body:
            if len(piece) <= _RECEIVED_AT_ONCE:
                pending += piece
            else:
                connection.socket.sendall(pending)
                connection.socket.sendall(piece)
                pending = b""
        connection.socket.sendall(pending)

    def _connection(self, address: str) -> _Connection:
        if address not in self._connections:
            host, _, port = address.rpartition(":")
            opened = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._connections[address] = _Connection(address, opened)
            self._selector.register(opened, selectors.EVENT_READ, (self, connection))
        return self._connections[address]

    def close(self) -> None:
        """Ends what it does. The next job has new connections."""
        for connection in self._connections.values():
            self._close(connection)
        self._connections.clear()
        self._job = self._awaited = None

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()


def do(address: str, jobs: Iterable[Job], clients: int) -> list[float]:
    """Does all jobs, by so many clients at once. Returns the seconds of each.

    Raises TimeoutError where nothing comes, ConnectionError, and what a job raises.
    """
    waiting = iter(jobs)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as ending:
        crowd = [Client(address, selector) for _ in range(clients)]
        for client in crowd:
            ending.callback(client.close)
        busy = 0
        for client, job in zip(crowd, waiting, strict=False):
            client.begin(job)
            busy += 1
        while busy:
            ready = selector.select(TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer in {TIMEOUT_SECONDS} s")
            for key, _ in ready:
                client, connection = key.data
                if client.advance(connection):
                    following = next(waiting, None)
                    if following is None:
                        busy -= 1
                    else:
                        client.begin(following)
    return [seconds for client in crowd for seconds in client.seconds]
