"""The messages of PostgreSQL's extended protocol that a batch is made of, as bytes.

PostgreSQL's documentation, "Message Formats". Nothing here is sent: a batch is written at once, when all of it is
there, so a value that can't be written leaves nothing half sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

_INT16: Final = Struct("!H").pack
_INT32: Final = Struct("!i").pack
_NO_VALUE: Final = _INT32(-1)
_BINARY: Final = _INT16(1)
_TEXT: Final = _INT16(0)
_AS_TEXT: Final = _INT16(0)
_ENCODING: Final = "utf-8"

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
