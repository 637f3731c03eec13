"""Accounts as administrators make them: what is asked for is checked here, for the API and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from functions.registry.auth.secrets import Peppers, hash_password, make_secret
from functions.registry.config import Settings
from functions.registry.metadata.access import credentials, identities, principals, trusted_publishers
from functions.registry.metadata.access.identities import UserIdentity
from functions.registry.metadata.access.principals import Principal, PrincipalInvalid, PrincipalKind
from functions.registry.metadata.db import Database
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName

KINDS: Final[tuple[PrincipalKind, ...]] = get_args(PrincipalKind)
MOST_DAYS: Final = 3650


class AccountRefused(ValueError):
    """The message names the field and says what it takes."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A namespace is a robot's; rights over the registry and a password are a user's."""

    kind: PrincipalKind
    name: str
    namespace: str | None = None
    is_admin: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AddedSecret:
    """The only place where the text ever is, but for its owner's."""

    id: str
    name: str
    expires_at: datetime | None
    text: str = field(repr=False)


def create(database: Database, account: NewAccount) -> Principal:
    """Raises AccountRefused and PrincipalExists."""
    if account.kind == "robot" and account.is_admin:
        raise AccountRefused("is_admin is for users: a robot has grants")
    if account.kind == "robot" and account.password is not None:
        raise AccountRefused("password is for users: a robot has secrets and trusted publishers")
    if account.kind == "user" and account.namespace is not None:
        raise AccountRefused("namespace is for robots")
    hashed = None if account.password is None else _hashed(account.password)
    if account.namespace is not None:
        _require_namespace(account.namespace)
    try:
        if account.kind == "robot":
            return principals.create_robot(database, account.name, account.namespace)
        made = principals.create_user(database, account.name, is_admin=account.is_admin)
    except PrincipalInvalid as invalid:
        raise AccountRefused(f"name is refused: {invalid}") from invalid
    if hashed is not None:
        principals.set_password(database, made.id, hashed)
    return made


def set_password(database: Database, principal: Principal, password: str | None) -> None:
    """None takes it away. Raises AccountRefused."""
    if principal.kind != "user":
        raise AccountRefused("password is for users: a robot has secrets and trusted publishers")
    principals.set_password(database, principal.id, None if password is None else _hashed(password))


def set_identity(database: Database, principal: Principal, subject: str | None, settings: Settings) -> None:
    """Says who a user is for the console's issuer; None takes it away. Raises AccountRefused and IdentityTaken."""
    if principal.kind != "user":
        raise AccountRefused("subject is for users: a robot has secrets and trusted publishers")
    if subject is None:
        identities.remove(database, principal.id)
        return
    if not settings.console_issuer:
        raise AccountRefused("subject takes SLIPWAY_CONSOLE_ISSUER, which is not set: it is who the user is there")
    identities.put(database, principal.id, UserIdentity(settings.console_issuer, subject))


def add_secret(
    database: Database, principal: Principal, name: str, pepper: str, expires_in_days: int | None = None
) -> AddedSecret:
    """Raises AccountRefused if nobody could sign in with it."""
    peppers = Peppers(pepper)
    if not peppers:
        raise AccountRefused("a secret takes SLIPWAY_PEPPER, which is not set: it is hashed with it")
    made = make_secret()
    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    credentials.add_secret(database, principal.id, name, made.id, peppers.hash(made.text), expires_at)
    return AddedSecret(made.id, name, expires_at, made.text)


def add_trusted_publisher(
    database: Database, principal: Principal, issuer: str, claims: Mapping[str, str], settings: Settings
) -> int:
    """Returns its id. Raises AccountRefused and TooManyTrustedPublishers."""
    from functions.registry.auth.trusted import validate_trusted_publisher  # noqa: PLC0415  # it brings cryptography along

    if principal.kind != "robot":
        raise AccountRefused(
            "a trusted publisher is a robot's: make a robot for the job, and grant it what the job needs"
        )
    issuers = settings.oidc_issuers
    if issuer not in issuers:
        raise AccountRefused(f"issuer must be one of SLIPWAY_OIDC_ISSUERS: {', '.join(issuers)}")
    try:
        validate_trusted_publisher(issuer, claims, settings.tenant_claims)
    except ValueError as error:
        raise AccountRefused(f"claims {error}") from error
    return trusted_publishers.add(database, principal.id, issuer, claims, settings.trusted_publishers_per_namespace)


def _hashed(password: str) -> str:
    try:
        return hash_password(password)
    except ValueError as error:
        raise AccountRefused(f"password is refused: {error}") from error


def _require_namespace(namespace: str) -> None:
    """Requires the first part of repositories' names."""
    try:
        is_one_part = "/" not in RepositoryName.parse(namespace)
    except NameInvalid:
        is_one_part = False
    if not is_one_part:
        raise AccountRefused("namespace must be the first part of repositories' names, such as team in team/app")
