"""Which robot an identity may act as.

Everybody has an account at the large issuers, so a good signature says little: a trusted publisher names the tenant, by
an id that is never given again to somebody else. Several namespaces may have a trusted publisher in the same tenant,
and their administrators don't trust each other: none of them decides by more claims who another one's job is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar

from functions.registry.auth import signed
from functions.registry.auth.caller import TokenRefused
from functions.registry.auth.federation import BUILDKITE, GITHUB, GITLAB, GOOGLE, Identity
from functions.registry.auth.known_claims import require_known
from functions.registry.metadata.access.patterns import is_glob_match

# One of these has to be in every trusted publisher; of an issuer that is nowhere listed, `sub`.
_TENANTS: Final[Mapping[str, tuple[str, ...]]] = {
    GITHUB: ("repository_owner_id", "repository_id"),
    GITLAB: ("namespace_id", "project_id"),
    GOOGLE: ("sub",),
    BUILDKITE: ("organization_id", "pipeline_id"),
}
_NUMBERS: Final = frozenset({"repository_owner_id", "repository_id", "namespace_id", "project_id"})
_GITHUB_SERVER_ENDING: Final = "/_services/token"
# Only of these a trusted publisher may hold a pattern.
GLOBS: Final = frozenset({"ref", "ref_path", "environment"})
_MOST_CLAIMS: Final = 20
_LONGEST_TEXT: Final = 255
# A Google access token opens only what says that it may: access tokens carry no audience.
_IMPLIED: Final = {"access_token": "false"}

# The claims that name a tenant, for each issuer that an operator has set some for.
Tenants = Mapping[str, tuple[str, ...]]


class Robot(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def namespace(self) -> str | None: ...


class TrustedPublisher(Protocol):
    """An identity that has all the claims may act as the robot, which may have a role in what is asked for."""

    @property
    def claims(self) -> Mapping[str, str]: ...

    @property
    def principal(self) -> Robot: ...

    @property
    def has_role(self) -> bool: ...


AnyPublisher = TypeVar("AnyPublisher", bound=TrustedPublisher)


def tenant_claims(issuer: str, configured: Tenants) -> tuple[str, ...]:
    known = _TENANTS[GITHUB] if issuer.endswith(_GITHUB_SERVER_ENDING) else _TENANTS.get(issuer, ("sub",))
    return configured.get(issuer, known)


def tenants(identity: Identity, configured: Tenants) -> list[dict[str, str]]:
    """Returns what trusted publishers of the identity are found by: each of them holds one of these."""
    plain = comparable(identity)
    return [{name: plain[name]} for name in tenant_claims(identity.issuer, configured) if name in plain]


def comparable(identity: Identity) -> dict[str, str]:
    """Returns the claims that a trusted publisher can have: short and printable."""
    claims = {**_IMPLIED, **identity.claims}
    return {name: value for name, value in claims.items() if _is_plain(name) and _is_plain(value)}


def choose(publishers: Sequence[AnyPublisher], identity: Identity, asked: Sequence[str]) -> AnyPublisher:
    """Returns the publisher of the one robot that is meant, of those that hold the identity's tenant. `asked` are
    repositories.

    Robots with a role in what is asked come first, of these those of its namespaces. Robots of one namespace are looked
    after by the same people: there the trusted publisher with the most claims wins. Raises TokenRefused, with the
    reason.
    """
    wrong = [(publisher, _wrong(publisher, identity)) for publisher in publishers]
    found = [publisher for publisher, names in wrong if not names]
    if not found:
        raise TokenRefused(_explanation(wrong, identity))
    found = [publisher for publisher in found if publisher.has_role] or found
    namespaces = {publisher.principal.namespace for publisher in found}
    if len(namespaces) > 1:
        meant = {name.partition("/")[0] for name in asked} & namespaces
        if len(meant) != 1:
            raise TokenRefused(
                "several robots trust this identity, of different namespaces: say which one it is, with the name"
                " oidc+ROBOT"
            )
        found = [publisher for publisher in found if publisher.principal.namespace in meant]
    return max(found, key=lambda publisher: len(publisher.claims))


def refuse_outside_code(identity: Identity) -> None:
    """Raises TokenRefused for a job that runs the code of somebody else than its project."""
    claims = identity.claims
    if claims.get("event_name") == "pull_request_target":
        raise TokenRefused("event_name is pull_request_target: with it a stranger's code has the repository's rights")
    # In a pipeline for a fork these differ: the job runs here, its code comes from there.
    if claims.get("job_project_id", claims.get("project_id")) != claims.get("project_id"):
        raise TokenRefused("job_project_id is not project_id: the job runs the code of another project")


def validate_trusted_publisher(issuer: str, claims: Mapping[str, str], configured: Tenants) -> None:
    """Raises ValueError where a trusted publisher would open more than its author can mean."""
    if not claims or len(claims) > _MOST_CLAIMS:
        raise ValueError(f"must be 1 to {_MOST_CLAIMS} claims")
    for name, value in claims.items():
        if not isinstance(value, str) or not _is_plain(name) or not _is_plain(value):
            raise ValueError(f"must be texts of 1 to {_LONGEST_TEXT} characters")
        if "*" in value and name not in GLOBS:
            raise ValueError(f"may have * only in {', '.join(sorted(GLOBS))}, not in {name}")
        require_known(issuer, name)
    ids = tenant_claims(issuer, configured)
    if claims.keys().isdisjoint(ids):
        raise ValueError(f"must have {' or '.join(ids)}: all else is shared by many at {issuer}")
    ref = claims.get("ref", "*")
    if issuer == GITHUB and not ref.startswith(("refs/", "*")):
        raise ValueError(f"must have a ref as GitHub has it: refs/heads/{ref}, or refs/tags/{ref}")
    for name in claims.keys() & _NUMBERS.intersection(() if issuer in configured else ids):
        if not (claims[name].isascii() and claims[name].isdecimal()):
            raise ValueError(f"must have a number for {name}: names can be given again to somebody else")
    if issuer == GOOGLE and not claims["sub"].isdecimal():
        raise ValueError("must have a number for sub: names can be given again to somebody else")


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_TEXT and text.isprintable()


def _wrong(publisher: TrustedPublisher, identity: Identity) -> list[str]:
    """Returns claims that don't match."""
    expected = {**_IMPLIED, **publisher.claims}
    found = {**_IMPLIED, **identity.claims}
    return [name for name, value in expected.items() if not _is_match(name, value, found.get(name))]


def _is_match(name: str, expected: str, found: str | None) -> bool:
    if found is None or name not in GLOBS:
        return found == expected
    return is_glob_match(expected, found)


def _explanation(wrong: Sequence[tuple[TrustedPublisher, list[str]]], identity: Identity) -> str:
    """Only to the tenant whom a trusted publisher names is it told what else that trusted publisher expects."""
    if not wrong:
        return f"no robot of this registry trusts {_shown(identity)} of {identity.issuer}"
    publisher, names = min(wrong, key=lambda pair: len(pair[1]))
    expected = {**_IMPLIED, **publisher.claims}
    return "; ".join(
        f"{name} is {signed.shown(identity.claims.get(name))}, expected {expected[name]}" for name in names
    )


def _shown(identity: Identity) -> str:
    names = sorted({name for names in _TENANTS.values() for name in names})
    shown = [f"{name} {signed.shown(identity.claims[name])}" for name in names if name in identity.claims]
    return ", ".join(shown) or "this identity"
