"""Untagged scans: what no tag reaches in a repository, as of then. One is due once something has changed.

An untagged scan reads of all manifests of its repository what they are and what they hold, and finds out here, not in
the database, what tags reach: some 200 bytes of memory each. Nobody waits for it meanwhile. Only then it writes, and
looks whether anything has changed since it began to read: if so, the figures are kept as they are, and the next
untagged scan stays due. It comes no sooner than 10 ms later for each manifest, so that a large repository that is
pushed to all day is not read all day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Session, Statement, compose
from functions.registry.metadata.usage.reached import HOLDING, reached

# Any number will do, as long as nothing else locks with it.
_LOCK: Final = 7_305_411


@dataclass(frozen=True, slots=True)
class _Read:
    """It has a repository's manifests and their sizes, those that tags name, and pairs of which the first holds the
    second.

    `stamp` tells whether all still is as it was: it can't stay the same where anything comes or moves.
    """

    stamp: str
    manifests: list[int]
    sizes: list[int]
    tagged: list[int]
    above: list[int]
    below: list[int]


_DUE: Final = Statement(
    "untagged_due",
    int,
    """
    SELECT repository_id FROM repository_usage
     WHERE untagged_scan_due AND repository_id > :after
       AND (untagged_as_of IS NULL OR untagged_as_of < now() - make_interval(secs => 0.01 * manifests))
     ORDER BY repository_id
     LIMIT :limit
    """,
)

_READ: Final = Statement(
    "untagged_read",
    _Read,
    compose(
        """
    WITH claimed AS MATERIALIZED (
        SELECT repository_id,
               concat_ws(' ', tags, manifests, manifest_bytes, blobs, blob_bytes, pushed_at) AS stamp
          FROM repository_usage
         WHERE repository_id = :repository_id AND untagged_scan_due
           AND pg_try_advisory_xact_lock(:lock, hashint8(repository_id))
    ), stored AS MATERIALIZED (
        SELECT id, octet_length(payload) AS size FROM manifests WHERE repository_id = :repository_id
    ), holding AS ($holding    )
    SELECT claimed.stamp, coalesce(held.manifests, '[]'), coalesce(held.sizes, '[]'), coalesce(named.tagged, '[]'),
           coalesce(pairs.above, '[]'), coalesce(pairs.below, '[]')
      FROM claimed
     CROSS JOIN (SELECT json_agg(id) AS manifests, json_agg(size) AS sizes FROM stored) AS held
     CROSS JOIN (SELECT json_agg(manifest_id) AS tagged FROM tags WHERE repository_id = :repository_id) AS named
     CROSS JOIN (SELECT json_agg(above) AS above, json_agg(below) AS below FROM holding) AS pairs
    """,
        holding=HOLDING,
    ),
)

# Bytes of the blobs that these manifests name, and no other of the repository.
_FREED: Final = Statement(
    "untagged_freed",
    int,
    """
    WITH untagged AS MATERIALIZED (
        SELECT unnest(CAST(:ids AS bigint[])) AS id
    ), named AS MATERIALIZED (
        SELECT named.digest FROM untagged JOIN manifest_blobs AS named ON named.manifest_id = untagged.id
         UNION
        SELECT named.digest FROM untagged JOIN sparse_references AS named ON named.manifest_id = untagged.id
    )
    SELECT CAST(coalesce(sum(link.size), 0) AS bigint)
      FROM named
      JOIN repository_blobs AS link ON link.repository_id = :repository_id AND link.digest = named.digest
     WHERE NOT EXISTS (
           SELECT FROM manifest_blobs AS other
            WHERE other.repository_id = :repository_id AND other.digest = named.digest
              AND other.manifest_id NOT IN (SELECT id FROM untagged))
       AND NOT EXISTS (
           SELECT FROM sparse_references AS other
            WHERE other.repository_id = :repository_id AND other.digest = named.digest
              AND other.manifest_id NOT IN (SELECT id FROM untagged))
    """,
)

# What only manifests hold that were deleted by their digests and can be put back, and those themselves.
_RESTORABLE: Final = Statement(
    "untagged_restorable",
    int,
    """
    WITH gone AS MATERIALIZED (
        SELECT octet_length(payload) AS size, blobs FROM withdrawn_manifests WHERE repository_id = :repository_id
    )
    SELECT CAST(coalesce((SELECT sum(size) FROM gone), 0) + coalesce((
           SELECT sum(link.size)
             FROM (SELECT DISTINCT unnest(blobs) AS digest FROM gone) AS named
             JOIN repository_blobs AS link ON link.repository_id = :repository_id AND link.digest = named.digest
            WHERE NOT EXISTS (SELECT FROM manifest_blobs AS other
                               WHERE other.repository_id = :repository_id AND other.digest = named.digest)
              AND NOT EXISTS (SELECT FROM sparse_references AS other
                               WHERE other.repository_id = :repository_id AND other.digest = named.digest)), 0)
           AS bigint)
    """,
)

# The repository is locked before its figures, as by all who may end or move it.
_NOTE: Final = Statement(
    "untagged_record",
    int,
    """
    WITH held AS MATERIALIZED (
        SELECT id FROM repositories WHERE id = :repository_id FOR KEY SHARE
    ), noted AS (
        UPDATE repository_usage AS usage
           SET untagged = :untagged, untagged_bytes = :untagged_bytes, restorable_bytes = :restorable_bytes,
               untagged_as_of = now(),
               untagged_scan_due = :stamp IS DISTINCT FROM
                   concat_ws(' ', tags, manifests, manifest_bytes, blobs, blob_bytes, pushed_at)
          FROM held WHERE usage.repository_id = held.id
        RETURNING usage.repository_id, usage.namespace_id, usage.bytes
    ), day AS (
        INSERT INTO repository_days (repository_id, day, bytes)
        SELECT repository_id, current_date, bytes FROM noted
        ON CONFLICT (repository_id, day) DO UPDATE SET bytes = excluded.bytes
    )
    SELECT namespace_id FROM noted
    """,
)

_GIVE_UP: Final = Statement(
    "untagged_give_up",
    int,
    "UPDATE repository_usage SET untagged_scan_due = false WHERE repository_id = :repository_id",
)


def due(db: Database, limit: int, after: int = 0) -> list[int]:
    """Returns repositories, by their ids, in order."""
    return db.all(_DUE(limit=limit, after=after))


def scan(db: Database, repository_id: int) -> int | None:
    """Returns the repository's namespace; None if it is gone, or somebody else untagged scans it or has done so."""

    def work(session: Session) -> int | None:
        read = session.one_or_none(_READ(repository_id=repository_id, lock=_LOCK))
        if read is None:
            return None
        held = reached(read.tagged, read.above, read.below)
        untagged = {id_: size for id_, size in zip(read.manifests, read.sizes, strict=True) if id_ not in held}
        freed = session.one_or_none(_FREED(repository_id=repository_id, ids=list(untagged))) if untagged else 0
        figures = {
            "untagged": len(untagged),
            "untagged_bytes": sum(untagged.values()) + (freed or 0),
            "restorable_bytes": session.one_or_none(_RESTORABLE(repository_id=repository_id)) or 0,
        }
        return session.one_or_none(_NOTE(repository_id=repository_id, stamp=read.stamp, **figures))

    return db.transaction(work)


def give_up(db: Database, repository_id: int) -> None:
    """Gives up until something changes: the figures stay those of the last untagged scan."""
    db.count(_GIVE_UP(repository_id=repository_id))
