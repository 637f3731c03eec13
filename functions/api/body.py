"""A request's body, read in pieces and counted.

Two traps of the server beneath are met here: a body cut short looks complete, so what arrived is compared with what was
announced; and a body that nobody reads would be read into memory whole after the answer, so what is left is thrown
away in pieces first. And one of the platform: it cuts what is longer than it likes, and says nothing useful.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

PIECE_BYTES: Final = 256 << 10
# A client still sending more than this gets its answer at once, and the connection is closed.
_MOST_DRAINED: Final = 32 << 20


class Body:
    """`received` bytes so far; `is_cut` if the client went away, stopped sending before the end, or `is_too_large`:
    more than `most` bytes, which is what the platform lets through; 0 is no limit. Without a length that is said of an
    eighth less, of which all is handed out: the platform has counted what is still under way.
    """

    def __init__(self, request: Request, idle_seconds: int, most: int = 0) -> None:
        self._stream = request.stream
        self.announced = request.content_length
        self.received = 0
        self.is_cut = False
        self._most_read = most if self.announced is not None else most - most // 8
        self.is_too_large = 0 < most < (self.announced or 0)
        self._is_read = False
        self._is_gone = False
        socket = request.environ.get("gunicorn.socket")
        if socket is not None:
            socket.settimeout(idle_seconds)

    def pieces(self) -> Iterator[bytes]:
        """What comes, until the end or the cut."""
        while piece := self._read():
            yield piece

    def read(self, limit: int) -> bytes | None:
        """The whole body, or None if it has more than `limit` bytes."""
        if self.announced is not None and self.announced > limit:
            return None
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > limit:
                return None
        return bytes(content)

    def drain(self) -> bool:
        """Throws away what was not read; False if it did not come to the end: cut, or too much to wait for."""
        is_too_long = self.is_too_large or (
            self.announced is not None and self.announced - self.received > _MOST_DRAINED
        )
        drained = 0
        while not self._is_read and not is_too_long:
            drained += len(self._read())
            is_too_long = self.is_too_large or drained > _MOST_DRAINED
        return self._is_read and not self.is_cut

    def linger(self, answer: bytes) -> Iterator[bytes]:
        """The answer, and then what the client still sends is thrown away, up to a cap: closing a connection on which
        something is still coming would take the answer from the client as well.
        """
        yield answer
        drained = 0
        while (piece := self._take()) and drained < _MOST_DRAINED:
            drained += len(piece)

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
        """Nothing at the end, and nothing once the client is gone."""
        if self._is_gone:
            return b""
        try:
            piece: bytes = self._stream.read(PIECE_BYTES)
        except (OSError, HTTPException, ParseException):  # the last: chunks that are none
            piece, self.is_cut = b"", True
        self._is_gone = not piece
        return piece
