"""Texts that a client carries for us and can neither read nor change (AES-SIV, RFC 5297).

A place in a list may be that of something which whoever holds it may not see.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_PURPOSE: Final = b"slipway seal\n"


class SealBroken(Exception):
    """It was not sealed here, or not for this purpose."""


class Seal:
    """It seals by the registry's pepper. Without one, where nobody hides anything, a seal is a checksum."""

    def __init__(self, peppers: str) -> None:
        known = [line.strip().encode() for line in peppers.splitlines() if line.strip()]
        self._keys = [hashlib.sha256(_PURPOSE + pepper).digest() for pepper in known or [b""]]

    def close(self, content: bytes, purpose: str) -> str:
        """The same content gives the same text, which fits into a URL."""
        return _written(_cipher(self._keys[0]).encrypt(content, [purpose.encode()]))

    def open(self, text: str, purpose: str) -> bytes:
        """Raises SealBroken."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # see _cipher

        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise SealBroken from error
        if _written(sealed) != text:
            # Bits that say nothing were changed.
            raise SealBroken
        for key in self._keys:
            try:
                return _cipher(key).decrypt(sealed, [purpose.encode()])
            except (InvalidTag, ValueError):
                continue
        raise SealBroken


def _written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _cipher(key: bytes) -> AESSIV:
    # Imported here: it costs a cold start 20 ms, and most requests carry nothing for us.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415

    return AESSIV(key)
