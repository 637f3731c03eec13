"""From the simulated front to an instance: one request, over HTTP/2 or over HTTP/1.1."""

from __future__ import annotations

import http.client
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from tests.clients.http_stream import Head
from tests.rehearsal.http2 import Answer, Http2Connection, NoAnswer, Stream
from tests.rehearsal.service import Limits

# Of one connection only, or said in another way on the next one.
_NOT_PASSED_ON: Final = ("connection", "keep-alive", "transfer-encoding", "expect", "host", "upgrade")


class TooLarge(Exception):
    """More than the platform lets through."""


class TooLate(Exception):
    """The request has had its time."""


class Hop(ABC):
    """`begin`, `send` until it gives False or the body ends, `end`, `answer`. All raise NoAnswer, TooLarge, TooLate."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._is_late = False
        self._timer = threading.Timer(limits.seconds, self._end_late)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self.close()

    @abstractmethod
    def begin(self, head: Head) -> None: ...

    @abstractmethod
    def send(self, piece: bytes) -> bool:
        """False once the answer is there."""

    @abstractmethod
    def end(self) -> None: ...

    @abstractmethod
    def cut(self) -> None:
        """The client is gone."""

    @abstractmethod
    def answer(self) -> Answer: ...

    @abstractmethod
    def close(self) -> None: ...

    def _end_late(self) -> None:
        self._is_late = True
        self.cut()

    def _failed(self, error: Exception) -> Exception:
        return TooLate() if self._is_late else NoAnswer(str(error))


class Http2Hop(Hop):
    def __init__(self, connection: Http2Connection, limits: Limits) -> None:
        self._connection = connection
        self._stream: Stream | None = None
        super().__init__(limits)

    def begin(self, head: Head) -> None:
        method, target, _ = head.words
        has_body = head.is_chunked or (head.get("content-length") or "0") != "0"
        pairs = [(":authority", head.get("host") or ""), *_passed_on(head)]
        self._stream = self._connection.open(method, target, pairs, is_whole=not has_body)
        self._has_body = has_body

    def send(self, piece: bytes) -> bool:
        try:
            return self._opened.send(piece)
        except OSError as error:
            raise self._failed(error) from error

    def end(self) -> None:
        if self._has_body:
            self._opened.end()

    def cut(self) -> None:
        if self._stream is not None:
            self._stream.reset()

    def answer(self) -> Answer:
        try:
            return self._opened.answer(max(0.1, self._deadline - time.monotonic()))
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """The connection stays for others."""

    @property
    def _opened(self) -> Stream:
        assert self._stream is not None, "begin comes first"
        return self._stream


class Http1Hop(Hop):
    def __init__(self, port: int, limits: Limits) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limits.seconds)
        self._sent = 0
        super().__init__(limits)

    def begin(self, head: Head) -> None:
        method, target, _ = head.words
        self._method, self._is_chunked = method, head.is_chunked
        try:
            self._connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            self._connection.putheader("Host", head.get("host") or "")
            for name, value in _passed_on(head):
                self._connection.putheader(name, value)
            if self._is_chunked:
                self._connection.putheader("Transfer-Encoding", "chunked")
            self._connection.endheaders()
        except OSError as error:
            raise self._failed(error) from error

    def send(self, piece: bytes) -> bool:
        self._sent += len(piece)
        if self._limits.request_bytes is not None and self._sent > self._limits.request_bytes:
            self.cut()
            raise TooLarge
        if select.select([self._connection.sock], [], [], 0)[0]:
            return False
        try:
            self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece)
        except OSError as error:
            raise self._failed(error) from error
        return True

    def end(self) -> None:
        if self._is_chunked:
            self._connection.send(b"0\r\n\r\n")

    def cut(self) -> None:
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def answer(self) -> Answer:
        try:
            answer = self._connection.getresponse()
            pairs = [(name.lower(), value) for name, value in answer.getheaders()]
            headers = [(name, value) for name, value in pairs if name not in _NOT_PASSED_ON]
            return Answer(answer.status, headers, answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self._connection.close()


def _passed_on(head: Head) -> list[tuple[str, str]]:
    """Adds what the platform's front adds: one entry with the client's address."""
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in head.lines)]
    seen = [value for name, value in pairs if name == "x-forwarded-for"]
    kept = [(name, value) for name, value in pairs if name not in (*_NOT_PASSED_ON, "x-forwarded-for")]
    return [*kept, ("x-forwarded-for", ", ".join([*seen, "127.0.0.1"])), ("x-forwarded-proto", "http")]
