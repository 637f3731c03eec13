"""What an administrator should look at: secrets that end soon, namespaces that are nearly full, garbage that
stays, retention that waits.
"""

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


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run of a retention policy that would remove `waiting` tags, and waits for somebody to look at it."""

    id: int
    policy: str
    waiting: int
    reason: str


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


_HELD: Final = Statement(
    "attention_held_runs",
    HeldRun,
    """
    SELECT id, policy, waiting, coalesce(reason, '')
      FROM retention_runs
     WHERE kind = 'scheduled' AND state IN ('open', 'preview', 'held') AND state = 'held'
     ORDER BY policy_id
     LIMIT 5
    """,
)


def asking() -> tuple[Call[EndingSecret], Call[FullNamespace], Call[bool], Call[HeldRun]]:
    """Returns what tells it, for a batch: secrets, namespaces, whether garbage has been due for an hour, held runs."""
    return _ENDING(), _FULL(), _OVERDUE(), _HELD()
