"""Gibibytes that cost next to nothing to make: one random block, stamped with a number each time it is used."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from typing import Final

BLOCK_BYTES: Final = 4 << 20
# Go's HTTP client copies a body of unknown length in pieces of this, each a chunk of the transfer encoding.
CHUNK_BYTES: Final = 32 << 10

_STAMP: Final = struct.Struct(">QQ")


class Content:
    """`size` bytes, a multiple of 4 MiB. Contents with different salts differ in every block."""

    def __init__(self, size: int, salt: int) -> None:
        if size % BLOCK_BYTES:
            raise ValueError(f"takes a multiple of {BLOCK_BYTES}")
        self.size = size
        self._salt = salt

    def blocks(self) -> Iterator[memoryview]:
        """Each is gone once the next is taken."""
        block = bytearray(_RANDOM)
        for number in range(self.size // BLOCK_BYTES):
            _STAMP.pack_into(block, 0, self._salt, number)
            yield memoryview(block)

    def chunked(self) -> Iterator[memoryview]:
        """The same in chunked transfer encoding, its end included: the encoding too is made only once."""
        head = b"%x\r\n" % CHUNK_BYTES
        pieces = [_RANDOM[first : first + CHUNK_BYTES] for first in range(0, BLOCK_BYTES, CHUNK_BYTES)]
        block = bytearray(b"".join(head + piece + b"\r\n" for piece in pieces))
        for number in range(self.size // BLOCK_BYTES):
            _STAMP.pack_into(block, len(head), self._salt, number)
            yield memoryview(block)
        yield memoryview(b"0\r\n\r\n")

    def digest(self) -> str:
        running = hashlib.sha256()
        for block in self.blocks():
            running.update(block)
        return f"sha256:{running.hexdigest()}"


class ContentFile:
    """As much of a file as the Google client reads an upload from."""

    def __init__(self, content: Content) -> None:
        self._blocks = content.blocks()
        self._rest = memoryview(b"")
        self._position = 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        missing = size
        while missing and (self._rest or self._next()):
            pieces.append(bytes(self._rest[:missing]))
            self._rest = self._rest[missing:]
            missing -= len(pieces[-1])
        self._position += size - missing
        return b"".join(pieces)

    def _next(self) -> bool:
        self._rest = next(self._blocks, memoryview(b""))
        return bool(self._rest)


_RANDOM: Final = os.urandom(BLOCK_BYTES)
