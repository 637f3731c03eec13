"""What one user or robot has, asked for by its name: for a page about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.access import identities
from functions.registry.metadata.access.credentials import Secret
from functions.registry.metadata.access.grants import Grant
from functions.registry.metadata.access.trusted_publishers import TrustedPublisher
from functions.registry.metadata.db import Call, Statement


@dataclass(frozen=True, slots=True)
class UnknownIdentity:
    """`email` is empty where the issuer has verified none: it helps an administrator to tell who it is, no more."""

    subject: str
    email: str
    at: datetime


_SECRETS: Final = Statement(
    "people_secrets",
    Secret,
    """
    SELECT secrets.id, secrets.name, secrets.created_at, expires_at, last_used_at, revoked_at
      FROM principals JOIN secrets ON secrets.principal_id = principals.id
     WHERE principals.name = :name
     ORDER BY revoked_at IS NOT NULL, secrets.created_at DESC, secrets.id
     LIMIT 100
    """,
)

_PUBLISHERS: Final = Statement(
    "people_trusted_publishers",
    TrustedPublisher,
    """
    SELECT publisher.id, issuer, claims, principals.id, kind, name, namespace, is_admin, is_disabled
      FROM principals JOIN trusted_publishers AS publisher ON publisher.principal_id = principals.id
     WHERE principals.name = :name
     ORDER BY publisher.id
     LIMIT 100
    """,
)

_GRANTS: Final = Statement(
    "people_grants",
    Grant,
    """
    SELECT grants.id, principals.name, grants.pattern, grants.role
      FROM principals JOIN grants ON grants.principal_id = principals.id
     WHERE principals.name = :name
     ORDER BY grants.pattern, grants.id
     LIMIT 100
    """,
)


# Of the latest refusals: who was sent back by the console's issuer and is no user here, with what the issuer says.
_UNKNOWN: Final = Statement(
    "people_unknown_identities",
    UnknownIdentity,
    """
    SELECT resource, max(coalesce(details ->> 'email', '')), max(at)
      FROM (SELECT id, action, resource, details, at FROM audit WHERE outcome = 'denied' AND id > 0
             ORDER BY id DESC LIMIT 500) AS latest
     WHERE action = :action AND details ->> 'issuer' = :issuer
     GROUP BY resource
     ORDER BY max(at) DESC
     LIMIT 5
    """,
)


def unknown_identities(issuer: str) -> Call[UnknownIdentity]:
    """Returns what gives those whom the issuer knows and no user is, the last first, five at most."""
    return _UNKNOWN(issuer=issuer, action=identities.UNKNOWN)


def asking(name: str) -> tuple[Call[Secret], Call[TrustedPublisher], Call[Grant]]:
    """Returns what gives its secrets, its trusted publishers and its grants, a hundred of each at most."""
    return _SECRETS(name=name), _PUBLISHERS(name=name), _GRANTS(name=name)
