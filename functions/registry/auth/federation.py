"""Identities that CI systems and clouds give to their jobs, and which robot each of them may act as.

Everybody has an account at the large issuers, so a good signature says little: a trust names the tenant, by an id that
is never given again to somebody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from functions.registry.auth import signed
from functions.registry.auth.caller import TokenRefused
from functions.registry.auth.jwks import KeySets
from functions.registry.metadata.patterns import is_glob_match

GITHUB: Final = "https://token.actions.githubusercontent.com"
GITLAB: Final = "https://gitlab.com"
GOOGLE: Final = "https://accounts.google.com"
BUILDKITE: Final = "https://agent.buildkite.com"

_ALGORITHMS: Final = frozenset({"RS256", "ES256"})
_REQUIRED: Final = frozenset({"iss", "sub", "aud", "exp", "iat"})
# Of issuers with many tenants: one of these has to be in every trust.
_TENANT_IDS: Final = {
    GITHUB: ("repository_owner_id", "repository_id"),
    GITLAB: ("namespace_id", "project_id"),
    GOOGLE: ("sub",),
    BUILDKITE: ("organization_id", "pipeline_id"),
}
_ALL_TENANT_IDS: Final = frozenset(name for names in _TENANT_IDS.values() for name in names)
_GITHUB_SERVER_ENDING: Final = "/_services/token"
_GLOBS: Final = frozenset({"ref", "ref_path", "environment"})
# What asks to merge runs code that nobody has agreed to yet.
_MERGE_REQUESTS: Final = frozenset({"merge_request_event", "external_pull_request_event"})
_MOST_CLAIMS: Final = 20
_LONGEST_TEXT: Final = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """Who its issuer says that somebody is. All claims are text; those that are lists or objects are left out."""

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
        """Whether it works on a request to merge: it may look, and push nothing."""
        is_pull_request = self.claims.get("event_name", "").startswith("pull_request")
        return is_pull_request or self.claims.get("pipeline_source") in _MERGE_REQUESTS


class Trust(Protocol):
    """A token of `issuer` that has all the claims may act as a robot."""

    @property
    def issuer(self) -> str: ...

    @property
    def claims(self) -> Mapping[str, str]: ...


AnyTrust = TypeVar("AnyTrust", bound=Trust)


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
        if key.algorithm not in _ALGORITHMS:
            raise TokenRefused(f"the token is signed by {key.algorithm}, expected {' or '.join(sorted(_ALGORITHMS))}")
        claims = signed.verify(token, key)
        expected = signed.Expected(issuer=seen.issuer, audience=self._service, required=_REQUIRED)
        signed.check(claims, expected, self._clock())
        return Identity(seen.issuer, texts(claims))


def matching(trusts: Sequence[AnyTrust], identity: Identity) -> AnyTrust:
    """The one with the most claims, of those whose claims all match. Raises TokenRefused, with what does not."""
    _refuse_outside_code(identity)
    wrong = [(trust, _wrong(trust, identity)) for trust in trusts if trust.issuer == identity.issuer and trust.claims]
    matches = [trust for trust, names in wrong if not names]
    if not matches:
        raise TokenRefused(_explanation(wrong, identity))
    return max(matches, key=lambda trust: len(trust.claims))


def validate_trust(issuer: str, claims: Mapping[str, str]) -> None:
    """Raises ValueError where a trust would open more than its author can mean."""
    if not claims or len(claims) > _MOST_CLAIMS:
        raise ValueError(f"takes 1 to {_MOST_CLAIMS} claims")
    for name, value in claims.items():
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT or not 0 < len(name) <= _LONGEST_TEXT:
            raise ValueError(f"takes claims that are texts of 1 to {_LONGEST_TEXT} characters")
        if "*" in value and name not in _GLOBS:
            raise ValueError(f"takes * only in {', '.join(sorted(_GLOBS))}, not in {name}")
    ids = _TENANT_IDS[GITHUB] if issuer.endswith(_GITHUB_SERVER_ENDING) else _TENANT_IDS.get(issuer, ())
    if ids and claims.keys().isdisjoint(ids):
        raise ValueError(f"takes {' or '.join(ids)}: everybody can have a token of {issuer}")
    if claims.keys() <= _GLOBS | {"access_token"}:
        raise ValueError("takes a claim that says whose token it is, such as an id")
    for name in claims.keys() & set(ids):
        if issuer != BUILDKITE and not (claims[name].isascii() and claims[name].isdecimal()):
            raise ValueError(f"takes a number for {name}: names can be given again to somebody else")


def texts(claims: Mapping[str, Any]) -> dict[str, str]:
    """JSON's true is the text `true`: issuers differ in how they write the same."""
    found = {}
    for name, value in claims.items():
        if isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, str | int | float):
            found[name] = str(value)
    return found


def _refuse_outside_code(identity: Identity) -> None:
    claims = identity.claims
    if claims.get("event_name") == "pull_request_target":
        raise TokenRefused("event_name is pull_request_target: with it a stranger's code has the repository's rights")
    # In a pipeline for a fork these differ: the job runs here, its code comes from there.
    if claims.get("job_project_id", claims.get("project_id")) != claims.get("project_id"):
        raise TokenRefused("job_project_id is not project_id: the job runs the code of another project")


def _wrong(trust: Trust, identity: Identity) -> list[str]:
    """Claims that don't match. A Google access token opens only what says that it may: it was made for no audience."""
    expected = {"access_token": "false", **trust.claims}
    found = {"access_token": "false", **identity.claims}
    return [name for name, value in expected.items() if not _is_match(name, value, found.get(name))]


def _is_match(name: str, expected: str, found: str | None) -> bool:
    if found is None or name not in _GLOBS:
        return found == expected
    return is_glob_match(expected, found)


def _explanation(wrong: Sequence[tuple[Trust, list[str]]], identity: Identity) -> str:
    """Only to the tenant whom a trust names is it told what else that trust expects."""
    near = [
        (trust, names)
        for trust, names in wrong
        if _ALL_TENANT_IDS.isdisjoint(names) and not _ALL_TENANT_IDS.isdisjoint(trust.claims)
    ]
    if near:
        trust, names = min(near, key=lambda pair: len(pair[1]))
        expected = {"access_token": "false", **trust.claims}
        return "; ".join(
            f"{name} is {signed.shown(identity.claims.get(name))}, expected {expected[name]}" for name in names
        )
    ids = [
        f"{name} {signed.shown(identity.claims[name])}" for name in sorted(_ALL_TENANT_IDS) if name in identity.claims
    ]
    return f"no robot of this registry trusts {', '.join(ids) or 'this identity'} of {identity.issuer}"
