"""What principals sign in with: secrets that we make, and passwords that people choose."""

from __future__ import annotations

import hmac
import re
import secrets
import string
import threading
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PREFIX: Final = "slp_"
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024

_ID_LENGTH: Final = 12
_SECRET: Final = re.compile(r"(slp_([a-z0-9]{12})_[A-Za-z0-9_-]{43}_)([A-Za-z0-9]{6})")
_DIGITS: Final = string.digits + string.ascii_letters
# Each needs 19 MiB: a crowd of wrong passwords waits instead of filling the memory.
_hashing: Final = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """The text is shown once; the id is no secret, and finds the row."""

    id: str
    text: str = field(repr=False)


def make_secret() -> NewSecret:
    """Returns a secret of 256 random bits. The prefix and the checksum let scanners of leaked texts know it for what it
    is.
    """
    alphabet = string.ascii_lowercase + string.digits
    identity = "".join(secrets.choice(alphabet) for _ in range(_ID_LENGTH))
    body = f"{PREFIX}{identity}_{secrets.token_urlsafe(32)}_"
    return NewSecret(identity, body + _checksum(body))


def parse_secret(text: str) -> tuple[str, str] | None:
    """Returns its id, and the text again; None if it can be no secret of ours, which spares the look-up."""
    match = _SECRET.fullmatch(text)
    if match is None or _checksum(match[1]) != match[3]:
        return None
    return match[2], text


class Peppers:
    """They stand one to a line: the first makes hashes, all of them know what they made. The database knows none.

    A new one is put last, later, once all instances have it, first: whatever signs in is hashed by it from then on.
    """

    def __init__(self, text: str) -> None:
        self._all = [line.strip().encode() for line in text.splitlines() if line.strip()]

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def newest(self) -> bytes:
        return self._all[0]

    def hash(self, secret: str) -> bytes:
        """Hashes fast: nobody guesses 256 bits. Without the pepper a stolen table is useless."""
        return self.hashes(secret)[0]

    def hashes(self, secret: str) -> list[bytes]:
        """Returns the hashes by each of them, the newest first."""
        return [hmac.digest(pepper, secret.encode(), "sha256") for pepper in self._all]

    def hashes_for(self, purpose: str, text: str) -> list[bytes]:
        """Returns the same of a text that is good for one purpose alone: no hash of it is one of a secret."""
        return self.hashes(f"{purpose}\n{text}")

    def knows(self, secret: str, hashed: bytes) -> bool:
        return any(hmac.compare_digest(each, hashed) for each in self.hashes(secret))


def hash_password(text: str) -> str:
    """Hashes with argon2id, slow on purpose. Raises ValueError for one that is too short or too long."""
    if len(text) < SHORTEST_PASSWORD or len(text.encode()) > LONGEST_PASSWORD:
        raise ValueError(f"a password has at least {SHORTEST_PASSWORD} characters and at most {LONGEST_PASSWORD} bytes")
    with _hashing:
        return _hasher().hash(text)


def verify_password(hashed: str | None, text: str) -> bool:
    """Says whether the password is right. None, for a user who isn't there or has no password, takes as long as a wrong
    one.
    """
    from argon2.exceptions import VerifyMismatchError  # noqa: PLC0415  # imported only where a password is checked

    password = text.encode(errors="surrogatepass")
    if len(password) > LONGEST_PASSWORD:
        return False
    with _hashing:
        try:
            return _hasher().verify(hashed or _nobodys_hash(), password) and hashed is not None
        except VerifyMismatchError:
            return False


@cache
def _hasher() -> PasswordHasher:
    """Returns argon2id as OWASP's "Password Storage Cheat Sheet" has it: 19 MiB, two passes, one lane."""
    from argon2 import PasswordHasher  # noqa: PLC0415  # as above

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))


def _checksum(body: str) -> str:
    """Returns CRC-32 in six digits to the base of 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
