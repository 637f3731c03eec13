"""Bodies of type multipart/related: a JSON document, then the object, streamed."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Final

from werkzeug.http import parse_options_header

from local.storage.calls import Call, Document, parse_document
from local.storage.errors import invalid

_HEAD_LIMIT: Final = 1 << 20
"""How long part headers and the metadata document may be; the object itself has no limit."""


@dataclass(frozen=True)
class Related:
    """An upload in one body. `blocks` must be read before the call is answered."""

    metadata: Document
    content_type: str
    blocks: Iterator[bytes]


def boundary_of(content_type: str) -> str:
    """Returns the boundary a multipart content type names; 400 without one."""
    boundary = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise invalid("A multipart body needs a boundary.")
    return boundary


def read(call: Call) -> Related:
    """Read up to where the object begins."""
    delimiter = f"\r\n--{boundary_of(call.content_type)}".encode()
    body = _Scanner(call.blocks())
    body.head(delimiter)
    body.head(b"\r\n\r\n")
    metadata = parse_document(body.head(delimiter))
    headers = HeaderParser().parsestr(body.head(b"\r\n\r\n").decode(errors="replace").lstrip())
    content_type = headers.get("Content-Type", "application/octet-stream")
    return Related(metadata, content_type, body.until(delimiter))


class _Scanner:
    """A stream of blocks, taken apart at marks that may lie across blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        # The first delimiter may come without the line end that belongs to all others.
        self._buffer = b"\r\n"

    def until(self, mark: bytes) -> Iterator[bytes]:
        """Returns what comes before the mark; afterwards the stream continues behind it."""
        held_back = len(mark) - 1
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > held_back:
                yield self._buffer[:-held_back]
                self._buffer = self._buffer[-held_back:]
            block = next(self._blocks, None)
            if block is None:
                raise invalid("The multipart body ends before its last boundary.")
            self._buffer += block
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        yield found

    def head(self, mark: bytes) -> bytes:
        """Does the same in one piece, for what is short."""
        collected = bytearray()
        for piece in self.until(mark):
            collected += piece
            if len(collected) > _HEAD_LIMIT:
                raise invalid("The metadata of a multipart upload is too long.")
        return bytes(collected)
