"""The tokens of this registry: made by the token endpoint, read by everything else, good for minutes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from functions.registry.auth import signed
from functions.registry.auth.caller import Access, Caller, TokenRefused
from functions.registry.auth.keys import VerificationKey, pem_blocks
from functions.registry.auth.remembered import Remembered, key_of
from functions.registry.auth.roles import Role
from functions.registry.config import SettingInvalid

_ALGORITHM: Final = "ES256"
_REQUIRED: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "slipway"})
_UNKNOWN_KEY: Final = "the token is signed by a key that this registry doesn't have: get a new one"


class KeyRing:
    """The first key signs, all verify: a new one is put last, later first, and the old one goes at the end.

    `text` holds private keys one after the other, in PEM: EC P-256. Raises SettingInvalid.
    """

    def __init__(self, text: str) -> None:
        keys = [_private_key(block) for block in pem_blocks(text)]
        if not keys:
            raise SettingInvalid("SLIPWAY_TOKEN_KEYS holds no private key in PEM")
        verifying = [VerificationKey.of(key.public_key()) for key in keys]
        self._keys = {key.thumbprint: key for key in verifying}
        self.signing_key, self.signing_key_id = keys[0], verifying[0].thumbprint

    def find(self, key_id: str) -> VerificationKey | None:
        return self._keys.get(key_id)

    def jwks(self) -> dict[str, Any]:
        """Returns the public halves, as RFC 7517 writes them."""
        keys = self._keys.items()
        return {"keys": [key.jwk() | {"use": "sig", "alg": _ALGORITHM, "kid": key_id} for key_id, key in keys]}


@dataclass(frozen=True, slots=True)
class Issued:
    """`token_id` is its `jti`, for the audit."""

    token: str = field(repr=False)
    expires_in: int
    issued_at: datetime
    token_id: str


class Tokens:
    """They are one registry's. `service` is whom they are for, `issuer` whom they are from."""

    def __init__(
        self,
        ring: KeyRing,
        service: str,
        issuer: str,
        life_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring
        self._expected = signed.Expected(issuer=issuer, audience=service, required=_REQUIRED)
        self._life_seconds = life_seconds
        self._clock = clock
        self._verified: Remembered[Caller] = Remembered()

    def key_set(self) -> dict[str, Any]:
        return self._ring.jwks()

    def issue(self, caller: Caller, life_seconds: int | None = None) -> Issued:
        life, now, token_id = life_seconds or self._life_seconds, int(self._clock()), secrets.token_urlsafe(16)
        claims = {
            "iss": self._expected.issuer,
            "sub": "" if caller.principal_id is None else str(caller.principal_id),
            "aud": self._expected.audience,
            "exp": now + life,
            "nbf": now,
            "iat": now,
            "jti": token_id,
            **_written(caller),
        }
        headers = {"kid": self._ring.signing_key_id}
        token = jwt.encode(claims, self._ring.signing_key, algorithm=_ALGORITHM, headers=headers)
        return Issued(token, life, datetime.fromtimestamp(now, UTC), token_id)

    def verify(self, token: str) -> Caller:
        """Raises TokenRefused. A token seen before costs a hash, until it expires."""
        if len(token) > signed.LARGEST or not token.isascii():
            raise TokenRefused(f"this is no signed token of at most {signed.LARGEST} bytes")
        key, now = key_of(token), self._clock()
        caller = self._verified.get(key, now)
        if caller is None:
            claims = self._claims(token, now)
            caller = _read(claims)
            self._verified.put(key, caller, claims["exp"])
        return caller

    def _claims(self, token: str, now: float) -> dict[str, Any]:
        key = self._ring.find(signed.peek(token).key_id)
        if key is None:
            raise TokenRefused(_UNKNOWN_KEY)
        claims = signed.verify(token, key)
        signed.check(claims, self._expected, now)
        return claims


def _private_key(block: bytes) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(block, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingInvalid("SLIPWAY_TOKEN_KEYS must be private keys in PEM, without a password") from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise SettingInvalid("SLIPWAY_TOKEN_KEYS must be keys of the kind EC P-256")
    return key


def _written(caller: Caller) -> dict[str, Any]:
    """Writes `access` as Docker's "Token authentication implementation" has it; what only we know stands beside it."""
    access = [
        {"type": "repository", "name": each.name, "actions": sorted(each.actions)} for each in caller.access.values()
    ]
    if caller.catalog:
        access.append({"type": "registry", "name": "catalog", "actions": ["*"]})
    own: dict[str, Any] = {
        "kind": caller.kind,
        "name": caller.name,
        # In the order of `access`.
        "ranks": [int(each.role or 0) for each in caller.access.values()],
        "refused": {name: sorted(actions) for name, actions in caller.refused.items()},
        "read_only": caller.is_read_only,
    }
    if caller.is_admin:
        own["admin"] = True
    return {"access": access, "slipway": own}


def _read(claims: dict[str, Any]) -> Caller:
    """Raises TokenRefused for a token of another version of this registry."""
    try:
        own = claims["slipway"]
        entries = [entry for entry in claims["access"] if entry["type"] == "repository"]
        access = [
            Access(entry["name"], frozenset(entry["actions"]), Role(rank) if rank else None)
            for entry, rank in zip(entries, own["ranks"], strict=True)
        ]
        return Caller(
            kind=own["kind"],
            name=own["name"],
            principal_id=int(claims["sub"]) if claims["sub"] else None,
            is_admin=own.get("admin") is True,
            # A token of a version that didn't tell is not for administration.
            is_read_only=own.get("read_only") is not False,
            access={each.name: each for each in access},
            refused={name: frozenset(actions) for name, actions in own["refused"].items()},
            catalog=len(entries) < len(claims["access"]),
            token_id=claims["jti"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenRefused("the token is of another version: get a new one") from error
