"""Who is at work on which repository of a source: a claim has a number, and is over after five minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.imports.vocabulary import LAYOUT_ROOT, Mode, RepositoryState, SourceState, Untagged

_SCHEME: Final = "gs://"


@dataclass(frozen=True, slots=True)
class WorkSource:
    """A layout that is to be worked at. `prefix` is None where it does not lie in this registry's bucket.

    `is_asked_again` if another pass is to follow the one that goes on.
    """

    id: int
    address: str
    prefix: str | None
    mark: UUID
    mode: Mode
    state: SourceState
    untagged: Untagged
    workers: int
    renames: dict[str, str]
    is_repairing: bool
    keeps_deleted: bool
    opened_at: datetime
    is_listed: bool
    is_asked_again: bool

    def root_in(self, bucket: str) -> str | None:
        """Returns what the names of its objects begin with in that bucket; None if it doesn't lie there."""
        name, _, below = self.address.removeprefix(_SCHEME).partition("/")
        if not self.address.startswith(_SCHEME) or name != bucket:
            return None
        return f"{below}/{LAYOUT_ROOT}" if below else LAYOUT_ROOT


_AT_WORK: Final = Statement(
    "imports_sources_at_work",
    WorkSource,
    """
    SELECT id, address, prefix, mark, mode, state, untagged, workers, coalesce(options -> 'renames', '{}'),
           coalesce(CAST(options ->> 'repair' AS boolean), true),
           coalesce(CAST(options ->> 'keeps_deleted' AS boolean), false), coalesce(opened_at, created_at),
           listed_at IS NOT NULL, options ? 'again'
      FROM import_sources
     WHERE state NOT IN ('added', 'sealed') AND state IN ('opening', 'listing', 'open') AND kind = 'layout'
     ORDER BY id
    """,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """`lease` tells it from a later claim. `name` is what the repository is to be called here."""

    id: int
    path: str
    name: str
    repository_id: int | None
    state: RepositoryState
    lease: int
    objects: int
    attempts: int
    compared_at: datetime | None


# What clients asked for goes first, then what is due, small before large; together not more than can be held at once.
# A claim puts the next one off, so that nobody passes by what is claimed.
_CLAIM: Final = Statement(
    "imports_claim_repositories",
    Claim,
    """
    WITH asked AS MATERIALIZED (
        SELECT id, objects, asked_at FROM import_repositories
         WHERE source_id = :source_id AND asked_at IS NOT NULL AND state IN ('listed', 'importing')
           AND lease_until <= now()
         ORDER BY asked_at LIMIT :limit
           FOR UPDATE SKIP LOCKED
    ), due AS MATERIALIZED (
        SELECT id, objects, due_at FROM import_repositories
         WHERE source_id = :source_id AND due_at <= now() AND lease_until <= now()
           AND state IN ('listed', 'importing', 'imported')
         ORDER BY due_at, objects LIMIT :limit
           FOR UPDATE SKIP LOCKED
    ), chosen AS (
        SELECT id
          FROM (SELECT id, sum(objects) OVER (ORDER BY place, moment, objects, id) - objects AS before,
                       row_number() OVER (ORDER BY place, moment, objects, id) AS number
                  FROM (SELECT id, objects, asked_at AS moment, 1 AS place FROM asked
                         UNION ALL
                        SELECT id, objects, due_at, 2 FROM due WHERE id NOT IN (SELECT id FROM asked)) AS either
               ) AS sorted
         WHERE before < :objects AND number <= :limit
    )
    UPDATE import_repositories AS claimed
       SET lease = claimed.lease + 1, lease_until = now() + interval '5 minutes', attempts = claimed.attempts + 1,
           due_at = now() + interval '5 minutes',
           state = CASE claimed.state WHEN 'listed' THEN 'importing' ELSE claimed.state END
      FROM chosen
     WHERE claimed.id = chosen.id
    RETURNING claimed.id, claimed.path, claimed.name, claimed.repository_id, claimed.state, claimed.lease,
              claimed.objects, claimed.attempts, claimed.compared_at
    """,
    is_hot=True,
)

_PUT_OFF: Final = Statement(
    "imports_put_off_repositories",
    int,
    """
    UPDATE import_repositories AS claimed
       SET lease_until = now(), due_at = now() + make_interval(secs => :seconds), error = :error
      FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[])) AS mine (id, lease)
     WHERE claimed.id = mine.id AND claimed.lease = mine.lease
    """,
)


@dataclass(frozen=True, slots=True)
class Place:
    """One of as many as a source may have workers at once; `lease` tells it from a later taking."""

    source_id: int
    number: int
    lease: int


_MAKE_PLACES: Final = Statement(
    "imports_make_places",
    int,
    """
    INSERT INTO import_places (source_id, number)
    SELECT id, number FROM import_sources CROSS JOIN generate_series(1, workers) AS number
     WHERE id = :source_id ORDER BY number
    ON CONFLICT (source_id, number) DO NOTHING
    """,
)

_TAKE_PLACE: Final = Statement(
    "imports_take_place",
    Place,
    """
    WITH free AS MATERIALIZED (
        SELECT place.source_id, place.number
          FROM import_sources AS source JOIN import_places AS place ON place.source_id = source.id
         WHERE source.id = :source_id AND place.number <= source.workers AND place.lease_until <= now()
         ORDER BY place.number LIMIT 1
           FOR UPDATE OF place SKIP LOCKED
    )
    UPDATE import_places AS place
       SET lease = place.lease + 1, lease_until = now() + make_interval(secs => :seconds)
      FROM free
     WHERE place.source_id = free.source_id AND place.number = free.number
    RETURNING place.source_id, place.number, place.lease
    """,
)

_LEAVE_PLACE: Final = Statement(
    "imports_leave_place",
    int,
    """
    UPDATE import_places SET lease_until = '-infinity'
     WHERE source_id = :source_id AND number = :number AND lease = :lease
    """,
)

# Whoever waits for a lock: a worker gives way to them.
_WAITING: Final = Statement(
    "imports_waiting_sessions", int, "SELECT count(*) FROM pg_locks WHERE NOT granted", is_hot=True
)


def take_place(db: Database, source_id: int, seconds: float) -> Place | None:
    """Returns None if the source has all the workers that it may have. It is free again after so long, whatever
    happens.
    """
    taken = db.batch([_MAKE_PLACES(source_id=source_id), _TAKE_PLACE(source_id=source_id, seconds=seconds)])[-1]
    return next(iter(_TAKE_PLACE.read(taken)), None)


def leave_place(db: Database, place: Place) -> None:
    db.count(_LEAVE_PLACE(source_id=place.source_id, number=place.number, lease=place.lease))


def waiting_sessions(db: Database) -> int:
    """Returns how many wait for a lock of the database at this moment."""
    return db.one_or_none(_WAITING()) or 0


def sources_at_work(db: Database) -> list[WorkSource]:
    return db.all(_AT_WORK())


def claim(db: Database, source_id: int, limit: int, objects: int) -> list[Claim]:
    """Returns at most `limit` repositories: the first, and more as long as there are not more than `objects` before
    them.
    """
    return db.all(_CLAIM(source_id=source_id, limit=limit, objects=objects))


def put_off(db: Database, claims: Sequence[Claim], seconds: float, error: str | None = None) -> None:
    """Gives them back: somebody may take them so much later."""
    if claims:
        mine = {"ids": [claim.id for claim in claims], "leases": [claim.lease for claim in claims]}
        db.count(_PUT_OFF(**mine, seconds=seconds, error=error))
