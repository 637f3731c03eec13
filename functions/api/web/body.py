"""A request's body, read in pieces and counted.

Two traps of the server beneath are met here: a body cut short looks complete, so what arrived is compared with what was
announced; and a body that nobody reads would be read into memory whole after the answer, so what is left is thrown
away in pieces first. And one of the platform: it cuts what is longer than it likes, and says nothing useful.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from functions.api.web.waiting import WAITING, end
from functions.registry.config import Settings
from functions.registry.patience import wait_at_most

# A client still sending more than this gets its answer at once, and the connection is closed.
_MOST_DRAINED: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a body has to come: `least_bytes` in each `seconds`. What nobody has a use for: in `drain_seconds` in
    all. `most_slow` bodies from one address may be slow at the same time.
    """

    seconds: int
    least_bytes: int
    drain_seconds: int
    most_slow: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.body_idle_seconds,
            settings.body_least_bytes,
            settings.body_drain_seconds,
            settings.slow_bodies_per_address,
        )


class Body:
    """A body, of which `received` bytes have come.

    It `is_announced` if any are to come; `announced` is how many, if that is known. It `is_cut` if the client went
    away, was too slow, stopped before the end, or if it `is_too_large`: more than `most` bytes, which is what the
    platform lets through; 0 is no limit. Without a length that is said of an eighth less, of which all is handed out:
    the platform has counted what is still under way.
    """

    def __init__(self, request: Request, address: str, pace: Pace, most: int = 0) -> None:
        self._request = request
        self._address = address
        self._pace = pace
        self.announced = request.content_length
        self.is_announced = bool(self.announced) or "Transfer-Encoding" in request.headers
        self.received = 0
        self.is_cut = False
        self._most_read = most if self.announced is not None else most - most // 8
        self.is_too_large = 0 < most < (self.announced or 0)
        self._is_read = not self.is_announced
        self._is_gone = False
        self._until: float | None = None
        self._socket = request.environ.get("gunicorn.socket")
        if self._socket is not None:
            # Of one read or write each: so of an answer that nobody takes, too.
            wait_at_most(self._socket, pace.seconds)

    def pieces(self) -> Iterator[bytes]:
        """Yields what comes, until the end or the cut."""
        while piece := self._read():
            yield piece

    def read(self, limit: int) -> bytes | None:
        """Returns the whole body, or None if it has more than `limit` bytes."""
        if self.announced is not None and self.announced > limit:
            return None
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > limit:
                return None
        return bytes(content)

    def finish_within(self, seconds: float) -> None:
        """From now on no piece has a time of its own: what has not come in so long is cut."""
        self._until = time.monotonic() + seconds

    def drain(self) -> bool:
        """Throws away what was not read; False if it did not come to the end: cut, too slow, or too much."""
        self.finish_within(self._pace.drain_seconds)
        is_too_long = self.is_too_large or (
            self.announced is not None and self.announced - self.received > _MOST_DRAINED
        )
        drained = 0
        while not self._is_read and not is_too_long:
            drained += len(self._read())
            is_too_long = self.is_too_large or drained > _MOST_DRAINED
        return self._is_read and not self.is_cut

    def linger(self, answer: bytes) -> Iterator[bytes]:
        """Sends the answer, and then what the client still sends is thrown away, up to a cap: closing a connection on
        which something is still coming would take the answer from the client as well.
        """
        yield answer
        drained = 0
        while (piece := self._take()) and drained < _MOST_DRAINED:
            drained += len(piece)
        if self._socket is not None:
            end(self._socket)

    def _read(self) -> bytes:
        if self._is_read:
            return b""
        piece = self._take()
        if 0 < self._most_read < self.received + len(piece):
            piece = piece[: self._most_read - self.received]
            self.is_too_large = self.is_cut = self._is_read = True
        self.received += len(piece)
        if not piece:
            self._is_read = True
            # A connection that closes early looks like an end to some servers.
            self.is_cut |= self.announced is not None and self.received < self.announced
        return piece

    def _take(self) -> bytes:
        """Returns nothing at the end, and nothing once the client is gone or its time is over."""
        if self._is_gone:
            return b""
        try:
            piece = self._within_time()
        except (OSError, HTTPException, ParseException):  # the last: chunks that are none
            piece, self.is_cut = b"", True
        self._is_gone = not piece
        return piece

    def _within_time(self) -> bytes:
        """Returns one piece, which is what has to come within the time of one."""
        size = self._pace.least_bytes
        if self._socket is None:
            return self._request.stream.read(size)
        until = self._until or time.monotonic() + self._pace.seconds
        with WAITING.until(until, self._socket, self._address, self._pace.most_slow) as is_let_in:
            if not is_let_in:
                self.is_cut = True
                return b""
            return self._request.stream.read(size)
