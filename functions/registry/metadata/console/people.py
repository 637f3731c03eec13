"""What one user or robot has, asked for by its name: for a page about it."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.access.credentials import Secret
from functions.registry.metadata.access.grants import Grant
from functions.registry.metadata.access.trusted_publishers import TrustedPublisher
from functions.registry.metadata.db import Call, Statement

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


def asking(name: str) -> tuple[Call[Secret], Call[TrustedPublisher], Call[Grant]]:
    """Returns what gives its secrets, its trusted publishers and its grants, a hundred of each at most."""
    return _SECRETS(name=name), _PUBLISHERS(name=name), _GRANTS(name=name)
