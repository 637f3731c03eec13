"""A running hash whose state can be kept in the database and taken up by another process.

Python's own hash objects can't be saved. The same libcrypto that they use exports SHA-256 and SHA-512 with a plain
struct as their state; it is used through ctypes, which also lets go of the interpreter lock. Where that library can't
be found (a statically linked Python), hashes run all the same, but have no state to keep: the finished object is then
read once more (docs/adr/0004-resumable-hash.md).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import struct
from functools import cache
from typing import Any, Final


class _Sha256(ctypes.Structure):
    _fields_ = (
        ("words", ctypes.c_uint32 * 8),
        ("bits", ctypes.c_uint64),
        ("tail", ctypes.c_ubyte * 64),
        ("tail_length", ctypes.c_uint),
        ("digest_length", ctypes.c_uint),
    )


class _Sha512(ctypes.Structure):
    _fields_ = (
        ("words", ctypes.c_uint64 * 8),
        ("bits", ctypes.c_uint64),
        ("bits_high", ctypes.c_uint64),
        ("tail", ctypes.c_ubyte * 128),
        ("tail_length", ctypes.c_uint),
        ("digest_length", ctypes.c_uint),
    )


_CONTEXTS: Final[dict[str, Any]] = {"sha256": _Sha256, "sha512": _Sha512}
# Eight words, then the number of bytes hashed; the bytes of the unfinished block follow. Big endian.
_HEADERS: Final = {"sha256": struct.Struct(">8IQ"), "sha512": struct.Struct(">8QQ")}


@cache
def _library() -> ctypes.CDLL | None:
    """Returns the libcrypto of this Python if it hashes as hashlib does, else None."""
    import _hashlib  # noqa: PLC0415  # only its place on disk is wanted

    for path in (getattr(_hashlib, "__file__", None), ctypes.util.find_library("crypto")):
        if path is None:
            continue
        try:
            library = ctypes.CDLL(path)
            if all(_works(library, algorithm) for algorithm in _CONTEXTS):
                return library
        except (OSError, AttributeError, RuntimeError):
            continue
    return None


def _works(library: ctypes.CDLL, algorithm: str) -> bool:
    sample = bytes(range(200))
    running = _LibraryHash(library, algorithm, None)
    running.update(sample[:137])
    resumed = _LibraryHash(library, algorithm, running.state())
    resumed.update(sample[137:])
    return resumed.hexdigest() == hashlib.new(algorithm, sample).hexdigest()


class _LibraryHash:
    def __init__(self, library: ctypes.CDLL, algorithm: str, state: bytes | None) -> None:
        self._library = library
        self._header = _HEADERS[algorithm]
        self._prefix = algorithm.upper()
        self._context = _CONTEXTS[algorithm]()
        self._call("Init", ctypes.byref(self._context))
        if state is not None:
            self._restore(state)

    def update(self, data: bytes) -> None:
        self._call("Update", ctypes.byref(self._context), data, ctypes.c_size_t(len(data)))

    def state(self) -> bytes | None:
        context = self._context
        header = self._header.pack(*context.words, context.bits // 8)
        return header + bytes(context.tail[: context.tail_length])

    def hexdigest(self) -> str:
        finished = type(self._context).from_buffer_copy(self._context)
        digest = ctypes.create_string_buffer(finished.digest_length)
        self._call("Final", digest, ctypes.byref(finished))
        return digest.raw.hex()

    def _restore(self, state: bytes) -> None:
        *words, length = self._header.unpack_from(state)
        tail = state[self._header.size :]
        if len(tail) >= ctypes.sizeof(self._context.tail):
            raise ValueError("not the state of a hash")
        self._context.words[:] = words
        self._context.bits = length * 8
        self._context.tail_length = len(tail)
        ctypes.memmove(self._context.tail, tail, len(tail))

    def _call(self, name: str, *arguments: Any) -> None:
        if not getattr(self._library, f"{self._prefix}_{name}")(*arguments):
            raise RuntimeError(f"libcrypto: {self._prefix}_{name} failed")


class _PlainHash:
    """It is hashlib's own, which has no state that can be kept."""

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def state(self) -> bytes | None:
        return None

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


RunningHash = _LibraryHash | _PlainHash


def start(algorithm: str) -> RunningHash:
    """Returns a hash of nothing so far."""
    library = _library()
    return _LibraryHash(library, algorithm, None) if library else _PlainHash(algorithm)


def resume(algorithm: str, state: bytes | None) -> RunningHash | None:
    """Returns the hash that gave `state`, ready to go on; None if it can't be taken up here."""
    library = _library()
    return _LibraryHash(library, algorithm, state) if library and state is not None else None
