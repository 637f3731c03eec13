"""Who a user is for the issuer by which people sign in to the console: one identity each, and of one user alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Call, Conflict, Database, Statement

# How a session that an identity has opened names its way.
VIA: Final = "issuer"
# What the audit trail calls somebody whom the issuer knows and this registry doesn't.
UNKNOWN: Final = "console.unknown-identity"


class IdentityTaken(Exception):
    """Another user has this identity."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """`subject` is the `sub` of the issuer's tokens: it is never given to somebody else."""

    issuer: str
    subject: str


# Whoever was signed in by the identity before is signed in no more.
_SET: Final = Statement(
    "identities_set",
    int,
    """
    WITH closed AS (
        DELETE FROM console_sessions WHERE principal_id = :principal_id AND via = :via
    )
    INSERT INTO identities (principal_id, issuer, subject) VALUES (:principal_id, :issuer, :subject)
    ON CONFLICT (principal_id) DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject
    """,
)

_REMOVE: Final = Statement(
    "identities_remove",
    int,
    """
    WITH closed AS (
        DELETE FROM console_sessions WHERE principal_id = :principal_id AND via = :via
    )
    DELETE FROM identities WHERE principal_id = :principal_id
    """,
)

_FIND: Final = Statement(
    "identities_find",
    Principal,
    """
    SELECT principals.id, kind, name, namespace, is_admin, is_disabled
      FROM identities JOIN principals ON principals.id = identities.principal_id
     WHERE issuer = :issuer AND subject = :subject AND NOT is_disabled
    """,
)

_OF_NAME: Final = Statement(
    "identities_of_name",
    UserIdentity,
    """
    SELECT issuer, subject FROM principals JOIN identities ON identities.principal_id = principals.id
     WHERE name = :name
    """,
)


def put(db: Database, principal_id: int, identity: UserIdentity) -> None:
    """Takes the place of the one that the user had. Raises IdentityTaken."""
    try:
        db.count(_SET(principal_id=principal_id, issuer=identity.issuer, subject=identity.subject, via=VIA))
    except Conflict as conflict:
        if conflict.constraint != "identities_subject":
            raise
        raise IdentityTaken("another user has this identity: take it away there first") from conflict


def remove(db: Database, principal_id: int) -> None:
    """Takes it away, if the user has one, with the sessions that it opened."""
    db.count(_REMOVE(principal_id=principal_id, via=VIA))


def find(db: Database, identity: UserIdentity) -> Principal | None:
    """Returns whose it is; None also for a user who is disabled."""
    return db.one_or_none(_FIND(issuer=identity.issuer, subject=identity.subject))


def reading(name: str) -> Call[UserIdentity]:
    """Returns what gives the identity of the user of that name, for a batch."""
    return _OF_NAME(name=name)
