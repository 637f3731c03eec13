"""Digests: `algorithm:hex` (image-spec, "Digests"). Any registered algorithm that we can compute: sha256, sha512."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from functions.registry.oci.errors import DigestInvalid

CANONICAL: Final = "sha256"
HEX_LENGTHS: Final = {"sha256": 64, "sha512": 128}

# The first byte of a stored digest. Never reuse or renumber: they are in the database.
_CODES: Final = {"sha256": b"\x01", "sha512": b"\x02"}
_ALGORITHMS: Final = {code: algorithm for algorithm, code in _CODES.items()}
_HEX: Final = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises DigestInvalid for a malformed digest or an algorithm we don't compute."""
        algorithm, _, hexadecimal = text.partition(":")
        length = HEX_LENGTHS.get(algorithm)
        if length is None:
            raise DigestInvalid("not a digest of a supported algorithm (sha256, sha512)", digest=text[:200])
        if len(hexadecimal) != length or not _HEX.fullmatch(hexadecimal):
            raise DigestInvalid(f"{algorithm} takes {length} lower-case hexadecimal digits", digest=text[:200])
        return cls(algorithm, hexadecimal)

    @classmethod
    def of(cls, content: bytes, algorithm: str = CANONICAL) -> Self:
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        return cls(_ALGORITHMS[stored[:1]], stored[1:].hex())

    def to_bytes(self) -> bytes:
        """Returns the stored form: one byte for the algorithm, then the raw hash."""
        return _CODES[self.algorithm] + bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def parse_algorithm(text: str) -> str:
    """Returns the algorithm a client announces for an upload. Raises DigestInvalid for one we don't compute."""
    if text not in HEX_LENGTHS:
        raise DigestInvalid("unsupported digest algorithm (supported: sha256, sha512)", algorithm=text[:50])
    return text
