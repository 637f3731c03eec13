"""Who is at work on which repository of a source: a claim has a number, and is over after five minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.imports.vocabulary import RepositoryState


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
              claimed.objects, claimed.compared_at
    """,
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


def claim(db: Database, source_id: int, limit: int, objects: int) -> list[Claim]:
    """At most `limit` repositories: the first, and more as long as there are not more than `objects` before them."""
    return db.all(_CLAIM(source_id=source_id, limit=limit, objects=objects))


def put_off(db: Database, claims: Sequence[Claim], seconds: float, error: str | None = None) -> None:
    """Gives them back: somebody may take them so much later."""
    if claims:
        mine = {"ids": [claim.id for claim in claims], "leases": [claim.lease for claim in claims]}
        db.count(_PUT_OFF(**mine, seconds=seconds, error=error))
