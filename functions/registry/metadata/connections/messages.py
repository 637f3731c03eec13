"""The messages of PostgreSQL's extended protocol that a batch is made of, and the rows that come back.

PostgreSQL's documentation, "Message Formats". Nothing here is sent: a batch is written at once, when all of it is
there, so a value that can't be written leaves nothing half sent. Values are not copied on their way, for a manifest
has megabytes.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, BinaryIO, Final

_HEADER: Final = Struct("!ci")
_SHORT: Final = Struct("!H")
_LENGTH: Final = Struct("!i")
_INT16: Final = _SHORT.pack
_INT32: Final = _LENGTH.pack
_NULL: Final = -1
_NO_VALUE: Final = _INT32(_NULL)
_BINARY: Final = _INT16(1)
_TEXT: Final = _INT16(0)
_AS_TEXT: Final = _INT16(0)
_ENCODING: Final = "utf-8"

READY: Final = b"Z"
# bytea, as text: after its sign each byte is two digits.
BYTEA: Final = 17
_HEX_SIGN: Final = 2

# A parameter as it is sent: None is NULL, bytes are a bytea as it is, text is what the type's input function reads.
Parameter = str | bytes | None


def _message(code: bytes, *parts: bytes) -> bytes:
    return b"".join((code, _INT32(4 + sum(map(len, parts))), *parts))


# The unnamed portal, all its rows.
EXECUTE: Final = _message(b"E", b"\0", _INT32(0))


def parse(name: bytes, sql: str) -> bytes:
    """Makes the server parse `sql` under `name`, empty for the statement that the next one replaces.

    The server finds the parameters' types.
    """
    return _message(b"P", name, b"\0", sql.encode(_ENCODING), b"\0", _INT16(0))


def describe(name: bytes) -> bytes:
    """Asks for the columns of a statement."""
    return _message(b"D", b"S", name, b"\0")


def close(name: bytes) -> bytes:
    """Makes the server forget a statement. One that it doesn't know is no error."""
    return _message(b"C", b"S", name, b"\0")


def bind(name: bytes, parameters: Sequence[Parameter]) -> list[bytes]:
    """Gives a statement its parameters, in pieces, for some are large. Columns come back as text.

    Raises UnicodeEncodeError for text that isn't Unicode.
    """
    count = _INT16(len(parameters))
    formats = b"".join(_BINARY if isinstance(value, bytes) else _TEXT for value in parameters)
    pieces = [b"\0", name, b"\0", count, formats, count]
    for value in parameters:
        if value is None:
            pieces.append(_NO_VALUE)
        else:
            written = value if isinstance(value, bytes) else value.encode(_ENCODING)
            pieces += (_INT32(len(written)), written)
    pieces.append(_AS_TEXT)
    return [b"B", _INT32(4 + sum(map(len, pieces))), *pieces]


def read_message(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Returns the next one's code and content. Raises OSError where the connection ends."""
    code, length = _HEADER.unpack(_read(stream, _HEADER.size))
    return code, _read(stream, length - _LENGTH.size)


def _read(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise ConnectionResetError("the server closed the connection")
    return content


def read_row(data: bytes, readers: Sequence[Callable[[str], Any] | None]) -> list[Any]:
    """Returns a row's values, each read from its text; one without a reader is of bytes."""
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
