"""PostgreSQL's messages that carry values, written and read without copies: a manifest has megabytes, and so has what
is made of it.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, BinaryIO, Final

READY: Final = b"Z"
_FLUSH: Final = b"H\x00\x00\x00\x04"
_TEXT, _BINARY = 0, 1
_NULL: Final = -1
_HEADER: Final = Struct("!ci")
_SHORT: Final = Struct("!H")
_LENGTH: Final = Struct("!i")
# bytea, as text: after its sign each byte is two digits.
BYTEA: Final = 17
_HEX_SIGN: Final = 2


def write_bind(stream: BinaryIO, values: Sequence[str | bytes | None]) -> None:
    """Binds the unnamed statement to `values`: bytes go as they are, all else as text; every result is text."""
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    formats = b"".join(_SHORT.pack(_BINARY if isinstance(value, bytes) else _TEXT) for value in values)
    count = _SHORT.pack(len(values))
    size = sum(_LENGTH.size + len(value or b"") for value in encoded)
    # Its own length; the names of portal and statement; both counts; and none of the results' formats.
    length = _LENGTH.size + 2 + 2 * len(count) + len(formats) + size + _SHORT.size
    stream.write(_HEADER.pack(b"B", length) + b"\0\0" + count + formats + count)
    for value in encoded:
        stream.write(_LENGTH.pack(_NULL if value is None else len(value)))
        if value:
            stream.write(value)
    stream.write(_SHORT.pack(0) + _FLUSH)


def read_message(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The next one's code and content. Raises OSError where the connection ends."""
    code, length = _HEADER.unpack(_read(stream, _HEADER.size))
    return code, _read(stream, length - _LENGTH.size)


def _read(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise ConnectionResetError("the server closed the connection")
    return content


def read_row(data: bytes, readers: Sequence[Callable[[str], Any] | None]) -> list[Any]:
    """A row's values, each read from its text; one without a reader is of bytes."""
    row: list[Any] = []
    view, at = memoryview(data), _SHORT.size
    for reader in readers:
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length == _NULL:
            row.append(None)
            continue
        value = view[at : at + length]
        row.append(unhexlify(value[_HEX_SIGN:]) if reader is None else reader(str(value, "utf-8")))
        at += length
    return row
