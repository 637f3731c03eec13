"""MessagePack as Terraform's values use it: with a mark for what is not known yet.

https://github.com/msgpack/msgpack/blob/master/spec.md and `cty/msgpack` of Terraform's type system.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final


class Unknown:
    """What will be known after the apply. There is one: UNKNOWN."""

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN: Final = Unknown()
# The last is an extension of type 0 with one byte.
_MARKS: Final = {None: b"\xc0", False: b"\xc2", True: b"\xc3", UNKNOWN: b"\xd4\x00\x00"}
# Length and kind of what follows, by its first byte.
_NUMBERS: Final = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}
_TEXTS: Final = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BINARIES: Final = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_ARRAYS: Final = {0xDC: ">H", 0xDD: ">I"}
_MAPS: Final = {0xDE: ">H", 0xDF: ">I"}
_EXTENSIONS: Final = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
_FIXED_EXTENSIONS: Final = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def pack(value: Any) -> bytes:
    """Always in the longest form, which every reader takes."""
    match value:
        case Unknown() | None | bool():
            return _MARKS[value]
        case int():
            return b"\xd3" + struct.pack(">q", value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            text = value.encode()
            return b"\xdb" + struct.pack(">I", len(text)) + text
        case list():
            return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
        case dict():
            entries = (pack(name) + pack(item) for name, item in value.items())
            return b"\xdf" + struct.pack(">I", len(value)) + b"".join(entries)
        case _:
            raise TypeError(f"not a value of Terraform's: {type(value).__name__}")


def unpack(data: bytes) -> Any:
    return _Reader(data).value()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self) -> Any:
        first = self._number(">B")
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            return self._number(_NUMBERS[first])
        return self._sized(first)

    def _sized(self, first: int) -> Any:
        if first <= 0x8F:
            return self._map(first & 0x0F)
        if first <= 0x9F:
            return self._array(first & 0x0F)
        if first <= 0xBF:
            return self._take(first & 0x1F).decode()
        if first in _FIXED_EXTENSIONS:
            return self._extension(_FIXED_EXTENSIONS[first])
        readers: tuple[tuple[dict[int, str], Callable[[int], Any]], ...] = (
            (_TEXTS, lambda size: self._take(size).decode()),
            (_BINARIES, self._take),
            (_ARRAYS, self._array),
            (_MAPS, self._map),
            (_EXTENSIONS, self._extension),
        )
        for sizes, read in readers:
            if first in sizes:
                return read(int(self._number(sizes[first])))
        raise ValueError(f"no MessagePack: {first:#x}")

    def _map(self, count: int) -> dict[Any, Any]:
        return {self.value(): self.value() for _ in range(count)}

    def _array(self, count: int) -> list[Any]:
        return [self.value() for _ in range(count)]

    def _extension(self, size: int) -> Unknown:
        """Terraform has two: unknown, and unknown with hints about what it will be."""
        self._take(1 + size)
        return UNKNOWN

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("the value ends too soon")
        self._at += count
        return taken
