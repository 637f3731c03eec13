"""Just enough HTTP/1.1 to pass messages on unchanged and to count their bodies' bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

_PIECE: Final = 256 * 1024
_LONGEST_LINE: Final = 64 * 1024
_WITHOUT_BODY: Final = frozenset({204, 304})


class ConnectionEndedError(OSError):
    """The other side closed in the middle of a message."""


@dataclass(slots=True)
class Head:
    """A request's or an answer's first line and headers, kept as they came."""

    first_line: str
    lines: list[str]

    @property
    def words(self) -> list[str]:
        return self.first_line.split(" ", 2)

    def get(self, name: str) -> str | None:
        for line in self.lines:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    def put(self, name: str, value: str) -> None:
        """Changes the header's value; a header that isn't there stays away."""
        for number, line in enumerate(self.lines):
            key = line.partition(":")[0]
            if key.lower() == name:
                self.lines[number] = f"{key}: {value}"

    @property
    def is_chunked(self) -> bool:
        return "chunked" in (self.get("transfer-encoding") or "").lower()

    @property
    def ends_connection(self) -> bool:
        return (self.get("connection") or "").lower() == "close" or self.words[0] == "HTTP/1.0"

    def encode(self) -> bytes:
        return "\r\n".join((self.first_line, *self.lines, "", "")).encode("latin-1")


def read_head(stream: IO[bytes]) -> Head | None:
    """The next message's head, or None when the other side has closed."""
    lines: list[str] = []
    while line := stream.readline(_LONGEST_LINE):
        text = line.decode("latin-1").rstrip("\r\n")
        if text:
            lines.append(text)
        elif lines:
            return Head(lines[0], lines[1:])
    return None


def answer_has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in _WITHOUT_BODY and status >= 200


def pass_body(head: Head, source: IO[bytes], send: Callable[[bytes, int], None], *, until_closed: bool) -> None:
    """Hands the body on, framing included; `send` gets each piece with how many of its bytes are content."""
    length = head.get("content-length")
    if head.is_chunked:
        _pass_chunks(source, send)
    elif length is not None:
        _pass_bytes(source, int(length), send)
    elif until_closed:
        while piece := source.read(_PIECE):
            send(piece, len(piece))


def _pass_bytes(source: IO[bytes], left: int, send: Callable[[bytes, int], None]) -> None:
    while left:
        # read1 takes what is there: a slow sender's bytes are passed on as they come.
        piece: bytes = source.read1(min(left, _PIECE))  # type: ignore[attr-defined]
        if not piece:
            raise ConnectionEndedError("closed within a body")
        send(piece, len(piece))
        left -= len(piece)


def _pass_chunks(source: IO[bytes], send: Callable[[bytes, int], None]) -> None:
    while True:
        line = source.readline(_LONGEST_LINE)
        if not line:
            raise ConnectionEndedError("closed within a chunked body")
        send(line, 0)
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        _pass_bytes(source, size, send)
        send(source.readline(_LONGEST_LINE), 0)
    while (trailer := source.readline(_LONGEST_LINE)) not in {b"\r\n", b""}:
        send(trailer, 0)
    send(b"\r\n", 0)
