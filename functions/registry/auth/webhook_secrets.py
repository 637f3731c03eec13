"""The secrets that webhooks are signed with, by the Standard Webhooks specification; sealed in the database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from functions.registry.auth.sealing import Seal, SealBroken

_PREFIX: Final = "whsec_"
_BYTES: Final = 32
_SEALED_FOR: Final = "webhook secret"
_SEALED_HEADER_FOR: Final = "webhook authorization"


class SecretLost(Exception):
    """It was sealed by a pepper that is gone: make a new one."""


def make() -> str:
    """Returns a new secret, as receivers' libraries take it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def sealed(peppers: str, secret: str) -> str:
    return Seal(peppers).close(secret.encode(), _SEALED_FOR)


def opened(peppers: str, text: str) -> str:
    """Raises SecretLost."""
    return _opened(peppers, text, _SEALED_FOR)


def sealed_header(peppers: str, value: str) -> str:
    """Seals the value of the header Authorization, where a receiver asks for one."""
    return Seal(peppers).close(value.encode(), _SEALED_HEADER_FOR)


def opened_header(peppers: str, text: str) -> str:
    """Raises SecretLost."""
    return _opened(peppers, text, _SEALED_HEADER_FOR)


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Returns `v1,…`: HMAC-SHA-256 of the message's id, time and body."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _opened(peppers: str, text: str, purpose: str) -> str:
    try:
        return Seal(peppers).open(text, purpose).decode()
    except SealBroken as error:
        raise SecretLost("it was sealed by a pepper that is gone: make a new one") from error
