"""What happened on each day, of UTC, and how many bytes there were in the evening; kept for 400 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

KEPT_DAYS: Final = 400


@dataclass(frozen=True, slots=True)
class Day:
    """`bytes` is None before the first untagged scan."""

    day: date
    pushes: int
    pulls: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """It has what was before the first day, and days as `[day, pushes, pulls, bytes]`, but for those of nothing."""

    bytes_before: int | None
    days: list[tuple[str, int, int, int | None]]


_OF_REPOSITORY: Final = Statement(
    "daily_of_repository",
    Stored,
    """
    SELECT coalesce(
               (SELECT bytes FROM repository_days
                 WHERE repository_id = repositories.id AND day < :first AND bytes IS NOT NULL
                 ORDER BY day DESC LIMIT 1),
               (SELECT bytes FROM repository_usage
                 WHERE repository_id = repositories.id AND NOT untagged_scan_due
                   AND untagged_as_of < CAST(:first AS date))),
           coalesce((SELECT json_agg(json_build_array(day, pushes, pulls, bytes) ORDER BY day) FROM repository_days
                      WHERE repository_id = repositories.id AND day BETWEEN :first AND :last), '[]')
      FROM repositories WHERE name = :repository
    """,
)

_OF_TAG: Final = Statement(
    "daily_of_tag",
    Stored,
    """
    SELECT NULL,
           coalesce((SELECT json_agg(json_build_array(day, pushes, pulls, NULL) ORDER BY day) FROM tag_days
                      WHERE tag_days.repository_id = tags.repository_id AND tag_days.tag = tags.name
                        AND day BETWEEN :first AND :last), '[]')
      FROM repositories JOIN tags ON tags.repository_id = repositories.id
     WHERE repositories.name = :repository AND tags.name = :tag
    """,
)

_OF_MANIFEST: Final = Statement(
    "daily_of_manifest",
    Stored,
    """
    SELECT NULL,
           coalesce((SELECT json_agg(json_build_array(day, pushes, pulls, NULL) ORDER BY day) FROM manifest_days
                      WHERE manifest_id = manifests.id AND day BETWEEN :first AND :last), '[]')
      FROM repositories JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = :digest
    """,
)

_OF_NAMESPACE: Final = Statement(
    "daily_of_namespace",
    Stored,
    """
    SELECT (SELECT bytes FROM namespace_days
             WHERE namespace_id = namespaces.id AND day < :first AND bytes IS NOT NULL ORDER BY day DESC LIMIT 1),
           coalesce((SELECT json_agg(json_build_array(day, pushes, pulls, bytes) ORDER BY day) FROM namespace_days
                      WHERE namespace_id = namespaces.id AND day BETWEEN :first AND :last), '[]')
      FROM namespaces WHERE name = :namespace
    """,
)

_OF_REGISTRY: Final = Statement(
    "daily_of_registry",
    Stored,
    """
    SELECT (SELECT bytes FROM registry_days WHERE day < :first AND bytes IS NOT NULL ORDER BY day DESC LIMIT 1),
           coalesce((SELECT json_agg(json_build_array(day, pushes, pulls, bytes) ORDER BY day) FROM registry_days
                      WHERE day BETWEEN :first AND :last), '[]')
    """,
)

_NOTE_NAMESPACES: Final = Statement(
    "daily_note_namespaces",
    int,
    """
    INSERT INTO namespace_days (namespace_id, day, bytes)
    SELECT namespace_id, current_date, bytes FROM namespace_totals
     WHERE namespace_id = ANY (CAST(:namespaces AS bigint[])) ORDER BY namespace_id
    ON CONFLICT (namespace_id, day) DO UPDATE SET bytes = excluded.bytes
    """,
)

_NOTE_REGISTRY: Final = Statement(
    "daily_note_registry",
    int,
    """
    INSERT INTO registry_days (day, bytes) SELECT current_date, bytes FROM registry_totals
    ON CONFLICT (day) DO UPDATE SET bytes = excluded.bytes
    """,
)

_TRIM: Final = Statement(
    "daily_trim",
    int,
    """
    WITH of_tags AS (
        DELETE FROM tag_days WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM tag_days WHERE day < CAST(:before AS date)
             ORDER BY day LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    ), of_manifests AS (
        DELETE FROM manifest_days WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM manifest_days WHERE day < CAST(:before AS date)
             ORDER BY day LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    ), of_repositories AS (
        DELETE FROM repository_days WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM repository_days WHERE day < CAST(:before AS date)
             ORDER BY day LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    ), of_namespaces AS (
        DELETE FROM namespace_days WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM namespace_days WHERE day < CAST(:before AS date)
             ORDER BY day LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    ), of_registry AS (
        DELETE FROM registry_days WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM registry_days WHERE day < CAST(:before AS date)
             ORDER BY day LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM of_tags) + (SELECT count(*) FROM of_manifests) + (SELECT count(*) FROM of_repositories)
           + (SELECT count(*) FROM of_namespaces) + (SELECT count(*) FROM of_registry)
    """,
)


def of_repository(db: Database, repository: RepositoryName, first: date, last: date) -> list[Day] | None:
    """Returns every day from the first to the last; None if there is no such repository. The others are alike."""
    return _days(db, _OF_REPOSITORY(repository=repository, first=first, last=last), first, last)


def of_tag(db: Database, repository: RepositoryName, tag: Tag, first: date, last: date) -> list[Day] | None:
    """Returns days for as long as the tag is there, whatever it named. They have no bytes."""
    return _days(db, _OF_TAG(repository=repository, tag=tag, first=first, last=last), first, last)


def of_manifest(db: Database, repository: RepositoryName, digest: Digest, first: date, last: date) -> list[Day] | None:
    """Counts no bytes."""
    return _days(db, _OF_MANIFEST(repository=repository, digest=digest, first=first, last=last), first, last)


def of_namespace(db: Database, namespace: str, first: date, last: date) -> list[Day] | None:
    return _days(db, _OF_NAMESPACE(namespace=namespace, first=first, last=last), first, last)


def of_registry(db: Database, first: date, last: date) -> list[Day]:
    return _days(db, reading_registry(first, last), first, last) or []


def reading_registry(first: date, last: date) -> Call[Stored]:
    """Returns what `of_registry` asks, for a batch; `each` reads its row."""
    return _OF_REGISTRY(first=first, last=last)


def reading_repository(repository: RepositoryName, first: date, last: date) -> Call[Stored]:
    """The same of a repository: no row if it isn't there."""
    return _OF_REPOSITORY(repository=repository, first=first, last=last)


def reading_tag(repository: RepositoryName, tag: Tag, first: date, last: date) -> Call[Stored]:
    """The same of a tag."""
    return _OF_TAG(repository=repository, tag=tag, first=first, last=last)


def note_bytes(db: Database, namespaces: Sequence[int]) -> None:
    """Records how many bytes they and the registry have now, in two transactions: whoever counts pulls holds both the
    other way round.
    """
    db.count(_NOTE_NAMESPACES(namespaces=sorted(namespaces)))
    db.count(_NOTE_REGISTRY())


def trim(db: Database, before: date, limit: int) -> int:
    """Takes away at most `limit` days of each kind, the oldest first. Returns how many."""
    return db.one_or_none(_TRIM(before=before, limit=limit)) or 0


def _days(db: Database, call: Call[Stored], first: date, last: date) -> list[Day] | None:
    found = db.one_or_none(call)
    return None if found is None else each(found, first, last)


def each(found: Stored, first: date, last: date) -> list[Day]:
    """Fills in the days of nothing, whose bytes are those of the day before."""
    stored = {day: (pushes, pulls, size) for day, pushes, pulls, size in found.days}
    days: list[Day] = []
    size: int | None = found.bytes_before
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        pushes, pulls, recorded = stored.get(day.isoformat(), (0, 0, None))
        size = size if recorded is None else recorded
        days.append(Day(day, pushes, pulls, size))
    return days
