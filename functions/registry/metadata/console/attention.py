"""What an administrator should look at: secrets that end soon, namespaces that are nearly full, garbage that stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Call, Statement


@dataclass(frozen=True, slots=True)
class EndingSecret:
    principal: str
    name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FullNamespace:
    """`used` and `most` are bytes."""

    namespace: str
    used: int
    most: int


# Each of these lists is short: it is for a page that people look at each morning.
_ENDING: Final = Statement(
    "attention_ending_secrets",
    EndingSecret,
    """
    SELECT principals.name, secrets.name, secrets.expires_at
      FROM secrets JOIN principals ON principals.id = secrets.principal_id
     WHERE secrets.revoked_at IS NULL AND NOT principals.is_disabled
       AND secrets.expires_at > now() AND secrets.expires_at < now() + interval '14 days'
     ORDER BY secrets.expires_at, secrets.id
     LIMIT 5
    """,
)

_FULL: Final = Statement(
    "attention_full_namespaces",
    FullNamespace,
    """
    SELECT namespace, used, bytes
      FROM (SELECT namespace, bytes, used_bytes(namespace) AS used FROM quotas
             WHERE namespace > '' AND bytes IS NOT NULL ORDER BY namespace LIMIT 200) AS quota
     WHERE used >= bytes - bytes / 10
     ORDER BY used - bytes DESC, namespace
     LIMIT 5
    """,
)

_OVERDUE: Final = Statement(
    "attention_overdue",
    bool,
    """
    SELECT EXISTS (SELECT FROM manifest_reviews WHERE review_after < now() - interval '1 hour')
        OR EXISTS (SELECT FROM blob_reviews WHERE review_after < now() - interval '1 hour')
    """,
)


def asking() -> tuple[Call[EndingSecret], Call[FullNamespace], Call[bool]]:
    """Returns what tells it, for a batch: secrets, namespaces, and whether garbage has been due for an hour."""
    return _ENDING(), _FULL(), _OVERDUE()
