"""What an operator asks about garbage collection: how the queues stand, what failed, what would go; and its settings.

These statements read whole queues. They are for people who ask now and then, not for requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from functions.registry.metadata.content.repository_settings import LONGEST_GRACE_SECONDS
from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName

LONGEST_GRACE: Final = timedelta(seconds=LONGEST_GRACE_SECONDS)


class SettingRefused(ValueError):
    """A setting that is out of range or unknown; the message says what it takes."""


@dataclass(frozen=True, slots=True)
class Queue:
    """`due` may go now; `overdue` has been due for an hour or more; `failing` was tried and put off."""

    level: str
    waiting: int
    due: int
    overdue: int
    failing: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Failure:
    level: str
    subject: str
    attempts: int
    again_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Total:
    day: date
    level: str
    event: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Collectable:
    """A manifest that would go, and when. `size` is its payload's, in bytes."""

    digest: Digest
    media_type: str
    size: int
    event: str
    review_after: datetime


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes that only garbage holds: in the repository, and of these, in the whole registry."""

    in_repository: int
    in_registry: int


_QUEUES: Final = Statement(
    "gc_queues",
    Queue,
    """
    SELECT level, count(*), count(*) FILTER (WHERE due_at < now()),
           count(*) FILTER (WHERE due_at < now() - interval '1 hour'),
           count(*) FILTER (WHERE has_failed), min(due_at)
      FROM (SELECT 'manifest' AS level, review_after AS due_at, attempts > 0 AS has_failed FROM manifest_reviews
            UNION ALL
            SELECT 'tag', review_after, attempts > 0 FROM tag_reviews
            UNION ALL
            SELECT 'link', review_after, attempts > 0 FROM link_reviews
            UNION ALL
            SELECT 'blob', review_after, attempts > 0 FROM blob_reviews
            UNION ALL
            SELECT 'object', not_before, error IS NOT NULL FROM deletions) AS queued
     GROUP BY level
     ORDER BY level
    """,
)

_FAILURES: Final = Statement(
    "gc_failures",
    Failure,
    """
    SELECT level, subject, attempts, again_at, error
      FROM (SELECT 'manifest' AS level, manifest_id::text AS subject, attempts, review_after AS again_at, error
              FROM manifest_reviews WHERE attempts > 0
            UNION ALL
            SELECT 'tag', repository_id || ' ' || tag, attempts, review_after, error
              FROM tag_reviews WHERE attempts > 0
            UNION ALL
            SELECT 'link', repository_id || ' ' || encode(digest, 'hex'), attempts, review_after, error
              FROM link_reviews WHERE attempts > 0
            UNION ALL
            SELECT 'blob', encode(digest, 'hex'), attempts, review_after, error
              FROM blob_reviews WHERE attempts > 0
            UNION ALL
            SELECT 'object', object_name, attempts, not_before, error
              FROM deletions WHERE error IS NOT NULL) AS failing
     ORDER BY attempts DESC, again_at
     LIMIT :limit
    """,
)

_PENDING_DELETION_BYTES: Final = Statement(
    "gc_pending_deletion_bytes", int, "SELECT CAST(coalesce(sum(size), 0) AS bigint) FROM deletions"
)

_TOTALS: Final = Statement(
    "gc_totals",
    Total,
    "SELECT day, level, event, rows, bytes FROM collected ORDER BY day DESC, level, event LIMIT :limit",
)

_PREVIEW: Final = Statement(
    "gc_preview",
    Collectable,
    """
    SELECT manifests.digest, manifests.media_type, octet_length(manifests.payload), review.event, review.review_after
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
      JOIN manifest_reviews AS review ON review.manifest_id = manifests.id
     WHERE repositories.name = :repository AND NOT repositories.keep_untagged
       AND deletion_refusal(repositories.name, NULL, 0) IS NULL
       AND NOT is_reached(manifests.id, only_by_tags => true)
     ORDER BY review.review_after
     LIMIT :limit
    """,
)

_FREED: Final = Statement(
    "gc_freed",
    Freed,
    """
    SELECT CAST(coalesce(sum(link.size), 0) AS bigint),
           CAST(coalesce(sum(link.size) FILTER (WHERE NOT EXISTS (
               SELECT FROM repository_blobs AS other
                WHERE other.digest = link.digest AND other.repository_id <> link.repository_id)), 0) AS bigint)
      FROM repositories
      JOIN repository_blobs AS link ON link.repository_id = repositories.id
     WHERE repositories.name = :repository
       AND NOT EXISTS (
           SELECT FROM manifest_blobs AS named
            WHERE named.repository_id = link.repository_id AND named.digest = link.digest
              AND (repositories.keep_untagged OR deletion_refusal(repositories.name, NULL, 0) IS NOT NULL
                   OR is_reached(named.manifest_id, only_by_tags => true)))
       AND NOT EXISTS (
           SELECT FROM sparse_references AS named
            WHERE named.repository_id = link.repository_id AND named.digest = link.digest
              AND (repositories.keep_untagged OR deletion_refusal(repositories.name, NULL, 0) IS NOT NULL
                   OR is_reached(named.manifest_id, only_by_tags => true)))
    """,
)

_SET_GRACE: Final = Statement(
    "gc_set_grace",
    int,
    "UPDATE gc_settings SET grace = make_interval(secs => :seconds) WHERE event = :event",
)


def queues(db: Database) -> list[Queue]:
    return db.all(_QUEUES())


def failures(db: Database, limit: int = 20) -> list[Failure]:
    """Lists those that failed most often first."""
    return db.all(_FAILURES(limit=limit))


def pending_deletion_bytes(db: Database) -> int:
    """Returns bytes of objects that wait to be deleted."""
    return db.one_or_none(_PENDING_DELETION_BYTES()) or 0


def totals(db: Database, limit: int = 100) -> list[Total]:
    """Lists the latest days first."""
    return db.all(_TOTALS(limit=limit))


def preview(db: Database, repository: RepositoryName, limit: int = 1000) -> list[Collectable]:
    """Returns manifests that would go if nothing else happened, in the order in which they would."""
    return db.all(_PREVIEW(repository=repository, limit=limit))


def freed(db: Database, repository: RepositoryName) -> Freed:
    """Returns what collecting the repository's garbage would free."""
    return db.one_or_none(_FREED(repository=repository)) or Freed(0, 0)


def reading() -> tuple[Call[Queue], Call[int], Call[Failure], Call[Total]]:
    """Returns what tells how it stands, for a batch: queues, bytes that wait to be deleted, failures and totals."""
    return _QUEUES(), _PENDING_DELETION_BYTES(), _FAILURES(limit=20), _TOTALS(limit=100)


def set_grace(db: Database, event: str, grace: timedelta) -> None:
    """Sets it from the next event on. Raises SettingRefused."""
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise SettingRefused(f"a grace is from 0 to {LONGEST_GRACE.days} days")
    if not db.count(_SET_GRACE(event=event, seconds=grace.total_seconds())):
        raise SettingRefused(f"no event is called {event}: see docs/gc.md for their names")
