"""Requests to another registry, whose answers may be hostile: each has an end in time and in bytes.

Redirects are followed here, and never carry what was meant for the registry alone.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

from functions.migrate.imports.remote.errors import AnswerInvalid, RemoteRefused, RemoteUnavailable, TimeOver
from functions.migrate.imports.remote.origin import Origin
from functions.migrate.imports.remote.rate import Rate
from functions.registry import idle, outgoing

# One answer, from the request to its last byte. A blob's stream has what is left of the work's own time.
ANSWER_SECONDS: Final = 30.0
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PIECE_BYTES: Final = 64 << 10
_LONGEST_LENGTH: Final = 19  # digits
_FAILURES: Final = (OSError, http.client.HTTPException)


@dataclass(slots=True)
class Answer:
    """`origin` is who gave it; `is_whole` once the body came to the end that was announced."""

    status: int
    headers: http.client.HTTPMessage
    origin: Origin
    _response: http.client.HTTPResponse = field(repr=False)
    _is_over: threading.Event = field(repr=False)
    is_whole: bool = False

    @property
    def length(self) -> int | None:
        """Returns the length of the body, as announced."""
        text = self.headers.get("Content-Length") or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_LENGTH else None

    def read(self, most: int) -> bytes:
        """Returns the whole body. Raises AnswerInvalid if it has more than `most` bytes, RemoteUnavailable if it is
        cut.
        """
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > most:
                raise AnswerInvalid(f"{self.origin.host} sent more than {most} bytes")
        if not self.is_whole:
            raise RemoteUnavailable(f"{self.origin.host} stopped in the middle of an answer")
        return bytes(content)

    def pieces(self) -> Iterator[bytes]:
        """Yields what comes, to the end or the cut."""
        received = 0
        while True:
            try:
                piece = self._response.read(_PIECE_BYTES)
            except http.client.IncompleteRead as cut:
                if cut.partial:
                    yield cut.partial
                return
            except _FAILURES:
                return
            if not piece:
                break
            received += len(piece)
            yield piece
        self.is_whole = not self._is_over.is_set() and self.length in (None, received)


@dataclass(slots=True)
class _Exchange:
    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    is_over: threading.Event
    resources: ExitStack


class Wire:
    """Belongs to one thread. One connection for each host is kept, and opened anew when it was idle for long."""

    def __init__(self, private_hosts: Container[str]) -> None:
        self._private_hosts = private_hosts
        self._kept: dict[Origin, tuple[http.client.HTTPConnection, float]] = {}

    def close(self) -> None:
        for connection, _ in self._kept.values():
            connection.close()
        self._kept.clear()

    @contextmanager
    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        rate: Rate,
        until: float,
        seconds: float = ANSWER_SECONDS,
    ) -> Iterator[Answer]:
        """Returns the answer, whatever its status; its body is to be read in the block.

        After `until`, by the monotonic clock, nothing is asked any more and nothing comes; `seconds` is for one answer.
        Raises RemoteUnavailable, RemoteResting, RemoteRefused, AnswerInvalid.
        """
        first, path = Origin.parse(url)
        origin = first
        for _ in range(_MOST_REDIRECTS):
            if origin == first:
                rate.wait(until)
            sent = headers if origin == first else _for_others(headers)
            with self._exchange(method, origin, path, sent, min(seconds, until - time.monotonic())) as answer:
                if origin == first:
                    rate.heed(answer.status, answer.headers)
                target = answer.headers.get("Location")
                if answer.status not in _REDIRECTS or target is None:
                    yield answer
                    return
            then, path = Origin.parse(urljoin(f"{origin}{path}", target))
            if origin.scheme == "https" and then.scheme != "https":
                raise RemoteRefused(f"{origin.host} leads from https to {then.scheme}")
            origin = then
        raise AnswerInvalid(f"{first.host} redirects more than {_MOST_REDIRECTS} times")

    @contextmanager
    def _exchange(
        self, method: str, origin: Origin, path: str, headers: Mapping[str, str], seconds: float
    ) -> Iterator[Answer]:
        exchange = self._begin(method, origin, path, headers, seconds)
        response = exchange.response
        is_reusable = False
        try:
            yield Answer(response.status, response.headers, origin, response, exchange.is_over)
            is_reusable = not response.will_close and response.isclosed() and not exchange.is_over.is_set()
        finally:
            # Without the limit first: it may not cut what somebody else uses by then.
            with suppress(TimeoutError):
                exchange.resources.close()
            if is_reusable:
                self._kept[origin] = (exchange.connection, time.monotonic())
            else:
                response.close()
                exchange.connection.close()

    def _begin(self, method: str, origin: Origin, path: str, headers: Mapping[str, str], seconds: float) -> _Exchange:
        if seconds <= 0:
            raise TimeOver(f"no time is left to ask {origin.host}")
        sent = {"Host": origin.host_header, "User-Agent": "slipway", "Accept-Encoding": "identity", **headers}
        while True:
            connection, is_kept = self._take(origin)
            resources = ExitStack()
            try:
                handle = resources.enter_context(connection.sock.dup())
                is_over = resources.enter_context(outgoing.time_limit(handle, seconds))
                connection.request(method, path, headers=sent)
                return _Exchange(connection, connection.getresponse(), is_over, resources)
            except _FAILURES as error:
                with suppress(TimeoutError):
                    resources.close()
                connection.close()
                # One that was kept may have been ended by the other side at any time: a new one tells.
                if not is_kept or isinstance(error, TimeoutError):
                    raise _unavailable(origin, error) from error

    def _take(self, origin: Origin) -> tuple[http.client.HTTPConnection, bool]:
        kept, used_at = self._kept.pop(origin, (None, 0.0))
        if kept is not None and idle.is_trusted(used_at):
            return kept, True
        if kept is not None:
            kept.close()
        try:
            connection = origin.connect(self._private_hosts)
        except OSError as error:
            raise _unavailable(origin, error) from error
        connection.auto_open = 0
        return connection, False


def _for_others(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "authorization"}


def _unavailable(origin: Origin, error: Exception) -> RemoteUnavailable:
    said = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return RemoteUnavailable(f"{origin.host} doesn't answer: {said}")
