"""A signed token (RFC 7519), read as strictly as RFC 8725 asks: ours, GitLab's and those of CI systems alike.

The library checks the signature. What the claims must be is checked here, so that a refusal can name the claim.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import jwt

from functions.registry.auth.caller import TokenRefused
from functions.registry.auth.keys import VerificationKey
from functions.registry.oci.json_object import Unreadable, read_object

LARGEST: Final = 8 * 1024
LEEWAY_SECONDS: Final = 60
LONGEST_LIFE_SECONDS: Final = 86_400

_MOST_AUDIENCES: Final = 10
# No padding: with it a token could be written in several ways.
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
# A token never brings its own key, nor rules of reading that are not ours.
_FOREIGN: Final = frozenset({"jwk", "jku", "x5c", "x5u", "crit", "b64", "zip"})
_signatures: Final = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Unverified:
    """Whose key it takes, and whose the token claims to be: good for finding the key, for nothing else."""

    key_id: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    issuer: str
    audience: str
    required: frozenset[str]
    # Whether the token may be meant for others as well.
    may_share_audience: bool = False


def peek(token: str) -> Unverified:
    """Raises TokenRefused for what can be no token, before anything is spent on it."""
    if len(token) > LARGEST:
        raise TokenRefused(f"the token is larger than {LARGEST} bytes")
    match = _FORM.fullmatch(token)
    if match is None:
        raise TokenRefused("this is no signed token")
    header, claims = _decode(match[1]), _decode(match[2])
    if foreign := _FOREIGN.intersection(header):
        raise TokenRefused(f"the token's header has {', '.join(sorted(foreign))}, which is not accepted here")
    key_id, issuer = header.get("kid"), claims.get("iss")
    if not isinstance(key_id, str):
        raise TokenRefused("the token's header names no key: kid is missing")
    return Unverified(key_id, issuer if isinstance(issuer, str) else "")


def verify(token: str, key: VerificationKey) -> dict[str, Any]:
    """Returns the claims of a token that was peeked at. Raises TokenRefused."""
    try:
        return _object(_signatures.decode(token, key.key, algorithms=[key.algorithm]))
    except jwt.PyJWTError as error:
        raise TokenRefused("the token's signature is not good") from error


def check(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """Raises TokenRefused, with the claim that is wrong and what it should be."""
    for name in sorted(expected.required):
        if name not in claims:
            raise TokenRefused(f"the token lacks {name}")
    if claims.get("iss") != expected.issuer:
        _mismatch("iss", claims.get("iss"), expected.issuer)
    _check_audience(claims.get("aud"), expected)
    if not isinstance(claims.get("sub", ""), str):
        raise TokenRefused("sub is not text")
    _check_times(claims, now)


def _check_audience(audience: Any, expected: Expected) -> None:
    audiences = audience if isinstance(audience, list) else [audience]
    most = _MOST_AUDIENCES if expected.may_share_audience else 1
    if len(audiences) > most or expected.audience not in audiences:
        _mismatch("aud", audience, expected.audience if expected.may_share_audience else f"{expected.audience} alone")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise TokenRefused("the token lacks exp")
    if now >= expires + LEEWAY_SECONDS:
        raise TokenRefused("the token expired: get a new one")
    if expires > now + LONGEST_LIFE_SECONDS + LEEWAY_SECONDS:
        raise TokenRefused(f"exp is too far away: at most {LONGEST_LIFE_SECONDS} seconds from now are accepted")
    if max(begins or 0, issued or 0) > now + LEEWAY_SECONDS:
        raise TokenRefused("the token is not valid yet: nbf or iat is in the future")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """Reads a time as RFC 7519 has it, section 2, "NumericDate"."""
    value = claims.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise TokenRefused(f"{name} is not a number")


def _mismatch(name: str, found: Any, expected: str) -> NoReturn:
    raise TokenRefused(f"{name} is {shown(found)}, expected {expected}")


def shown(value: Any) -> str:
    """Shows what a caller sent, back to the caller: in one line, and not all of it."""
    try:
        return json.dumps(value)[:200]
    except RecursionError:
        return "too deep to show"


def _decode(part: str) -> dict[str, Any]:
    try:
        return _object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError as error:
        raise TokenRefused("this is no signed token") from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        return read_object(data)
    except Unreadable as error:
        raise TokenRefused("this is no signed token: a part of it is not JSON, or has a name twice") from error
