"""Tokens of another token service: GitLab's Rails, or any that speaks Docker's token protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from typing import Any, Final

from functions.registry.auth import signed
from functions.registry.auth.caller import Access, Caller, TokenRefused
from functions.registry.auth.jwks import KeySet, key_set_at
from functions.registry.auth.keys import KeyUnusable, VerificationKey, read_bundle
from functions.registry.auth.remembered import Remembered, key_of
from functions.registry.auth.roles import role_from
from functions.registry.auth.tag_limits import RepositoryLimits, TagLimits, read_limits
from functions.registry.config import SettingInvalid
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName

# `sub` is absent where a machine asks, and `nbf` with some services.
_REQUIRED: Final = frozenset({"iss", "aud", "exp"})
_LONGEST_REMEMBERED_SECONDS: Final = 300
_ACTIONS: Final = frozenset({"pull", "push", "delete", "*"})


class ExternalTokens:
    """Keys come from `keys_pem` (certificates or public keys), from `jwks_url`, or from both. Raises SettingInvalid."""

    def __init__(
        self,
        issuer: str,
        service: str,
        keys_pem: str,
        jwks_url: str,
        clock: Callable[[], float] = time.time,
        private_hosts: Container[str] = (),
    ) -> None:
        self._expected = signed.Expected(issuer=issuer, audience=service, required=_REQUIRED, may_share_audience=True)
        self._keys = _by_id(keys_pem)
        self._key_set: KeySet | None = key_set_at(jwks_url, private_hosts) if jwks_url else None
        if not self._keys and self._key_set is None:
            raise SettingInvalid("SLIPWAY_EXTERNAL_KEYS holds no certificate and no public key")
        self._clock = clock
        self._verified: Remembered[Caller] = Remembered()

    def verify(self, token: str) -> Caller:
        """Raises TokenRefused."""
        if len(token) > signed.LARGEST or not token.isascii():
            raise TokenRefused(f"this is no signed token of at most {signed.LARGEST} bytes")
        key, now = key_of(token), self._clock()
        caller = self._verified.get(key, now)
        if caller is None:
            claims = signed.verify(token, self._key(signed.peek(token).key_id))
            signed.check(claims, self._expected, now)
            caller = _read(claims)
            self._verified.put(key, caller, min(claims["exp"], now + _LONGEST_REMEMBERED_SECONDS))
        return caller

    def _key(self, key_id: str) -> VerificationKey:
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if self._key_set is None:
            raise TokenRefused("the token is signed by a key that is not known here")
        return self._key_set.key(key_id)


def _by_id(bundle: str) -> dict[str, VerificationKey]:
    """Returns the keys by both names that token services give them."""
    try:
        keys = list(read_bundle(bundle))
    except KeyUnusable as error:
        raise SettingInvalid(f"SLIPWAY_EXTERNAL_KEYS {error}") from error
    return {key_id: key for key in keys for key_id in (key.fingerprint, key.thumbprint)}


def _read(claims: dict[str, Any]) -> Caller:
    """Raises TokenRefused for what can't be read. Types, actions and fields that are not known are passed over."""
    actions: dict[str, frozenset[str]] = {}
    limits: dict[str, RepositoryLimits] = {}
    projects: dict[str, str] = {}
    registry: set[str] = set()
    for entry in _entries(claims.get("access")):
        granted = _ACTIONS.intersection(_texts(entry.get("actions")))
        if entry.get("type") == "registry":
            registry.update({str(entry.get("name"))} if "*" in granted else ())
        elif entry.get("type") == "repository" and (name := _name(entry.get("name"))):
            actions[name] = actions.get(name, frozenset()) | granted
            limits[name] = limits.get(name, RepositoryLimits()) | _limits(entry)
            if project := _project(entry):
                projects[name] = project
    return Caller(
        kind="external",
        name=_subject(claims),
        access={name: Access(name, granted, role_from(granted)) for name, granted in actions.items()},
        catalog="catalog" in registry,
        registry=frozenset(registry),
        projects=projects,
        token_id=str(claims.get("jti", "")),
        limits=TagLimits(limits),
    )


def _subject(claims: dict[str, Any]) -> str:
    subject: str = claims.get("sub", "")
    if not subject.isprintable():
        raise TokenRefused("sub has characters that can't be shown")
    return subject


def _entries(access: Any) -> Iterator[dict[str, Any]]:
    if access is None:
        return
    if not isinstance(access, list) or not all(isinstance(entry, dict) for entry in access):
        raise TokenRefused("access is not a list of objects")
    yield from access


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TokenRefused("actions is not a list of texts")
    return value


def _name(value: Any) -> str | None:
    """Returns a repository's name, or one that ends in `/*` and stands for itself: functions/api/gitlab/scopes.py."""
    if not isinstance(value, str):
        return None
    try:
        return value if RepositoryName.parse(value.removesuffix("/*")) else None
    except NameInvalid:
        return None


def _project(entry: dict[str, Any]) -> str | None:
    path = (entry.get("meta") or {}).get("project_path")
    return path if isinstance(path, str) else None


def _limits(entry: dict[str, Any]) -> RepositoryLimits:
    try:
        return read_limits(entry.get("meta"))
    except ValueError as error:
        raise TokenRefused("meta is not understood, and its tag patterns can't be left aside") from error
