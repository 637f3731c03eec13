"""Identities that CI systems and clouds give to their jobs. Which robot each of them may act as is trusted.py's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.auth import signed
from functions.registry.auth.caller import TokenRefused
from functions.registry.auth.jwks import KeySets

GITHUB: Final = "https://token.actions.githubusercontent.com"
GITLAB: Final = "https://gitlab.com"
GOOGLE: Final = "https://accounts.google.com"
BUILDKITE: Final = "https://agent.buildkite.com"

ALGORITHMS: Final = frozenset({"RS256", "ES256"})
_REQUIRED: Final = frozenset({"iss", "sub", "aud", "exp", "iat"})
# What asks to merge runs code that nobody has agreed to yet.
_MERGE_REQUESTS: Final = frozenset({"merge_request_event", "external_pull_request_event"})


@dataclass(frozen=True, slots=True)
class Identity:
    """It is who its issuer says that somebody is. All claims are text; those that are lists or objects are left out."""

    issuer: str
    claims: Mapping[str, str]

    @property
    def token_id(self) -> str:
        return self.claims.get("jti", "")

    @property
    def expires_at(self) -> float:
        return float(self.claims["exp"])

    @property
    def is_read_only(self) -> bool:
        """Says whether the job works on a request to merge: it may look, and push nothing."""
        is_pull_request = self.claims.get("event_name", "").startswith("pull_request")
        return is_pull_request or self.claims.get("pipeline_source") in _MERGE_REQUESTS


class Federation:
    """`service` is this registry's name: tokens have to be meant for it, and for nobody else."""

    def __init__(
        self, key_sets: KeySets, issuers: Sequence[str], service: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._key_sets = key_sets
        self._issuers = frozenset(issuers)
        self._service = service
        self._clock = clock

    def identify(self, token: str) -> Identity:
        """Raises TokenRefused, with the claim that is wrong. Nothing is asked of an issuer that isn't configured."""
        seen = signed.peek(token)
        if seen.issuer not in self._issuers:
            raise TokenRefused(f"iss is {signed.shown(seen.issuer)}, which this registry doesn't trust")
        key = self._key_sets.key(seen.issuer, seen.key_id)
        if key.algorithm not in ALGORITHMS:
            raise TokenRefused(f"the token is signed by {key.algorithm}, expected {' or '.join(sorted(ALGORITHMS))}")
        claims = signed.verify(token, key)
        expected = signed.Expected(issuer=seen.issuer, audience=self._service, required=_REQUIRED)
        signed.check(claims, expected, self._clock())
        return Identity(seen.issuer, texts(claims))


def texts(claims: Mapping[str, Any]) -> dict[str, str]:
    """JSON's true is the text `true`: issuers differ in how they write the same."""
    found = {}
    for name, value in claims.items():
        if isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, str | int | float):
            found[name] = str(value)
    return found
