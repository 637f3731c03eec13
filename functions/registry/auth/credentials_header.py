"""The Authorization header: one, of one scheme, with one value (RFC 9110 section 11.6.2)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from functions.registry.auth.caller import TokenRefused

# Two thirds of what servers take as one header: longer ones are not credentials.
_LONGEST: Final = 16 * 1024
_BEARER: Final = re.compile(r"bearer ([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_BASIC: Final = re.compile(r"basic ([A-Za-z0-9+/=_-]+)", re.IGNORECASE)


def bearer(headers: Sequence[str]) -> str:
    """Returns the token. Raises TokenRefused for anything but one header with one token."""
    return _only(
        headers,
        _BEARER,
        "one header: Authorization: Bearer TOKEN, and GET /token gives a token for a name and a password",
    )


def basic(headers: Sequence[str]) -> tuple[str, str]:
    """Returns name and password (RFC 7617). Raises TokenRefused."""
    encoded = _only(headers, _BASIC, "one header: Authorization: Basic, with name and password")
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise TokenRefused("the Basic credentials can't be read") from error
    if not colon or "\0" in name or "\0" in password:
        raise TokenRefused("the Basic credentials can't be read")
    return name, password


def is_basic(headers: Sequence[str]) -> bool:
    return len(headers) == 1 and headers[0][:6].lower() == "basic "


def _only(headers: Sequence[str], form: re.Pattern[str], expected: str) -> str:
    match = form.fullmatch(headers[0]) if len(headers) == 1 and len(headers[0]) <= _LONGEST else None
    if match is None:
        raise TokenRefused(f"the Authorization header is not understood: {expected}")
    return match[1]
