"""What repositories are ranked by, added up where it has changed: since a day of use has, or since a day is over.

Triggers say whose turn it is (functions/migrate/versions/pre/0001_baseline/daily.sql); metadata/lists/rankings.py reads
the result.
"""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Database, Session, Statement

DAYS: Final = 30

_CLAIM: Final = Statement(
    "trends_claim",
    int,
    """
    SELECT repository_id FROM repository_trends
     WHERE due_on <= current_date
     ORDER BY due_on, repository_id
     LIMIT :limit
       FOR NO KEY UPDATE SKIP LOCKED
    """,
)

# Only what was pushed to can have grown. It had before what its last untagged scan before that time counted, or nothing
# if it is younger; without an older untagged scan, what the first one counted.
#
# Without another day of use, all of it changes on days that are known: once the first of these days is over, and once
# the repository is no longer young, nor its last push.
_ADD_UP: Final = Statement(
    "trends_add_up",
    int,
    """
    UPDATE repository_trends AS trends
       SET gained_bytes = CASE WHEN usage.manifests > 0 AND usage.pushed_at >= days.first
                               THEN usage.bytes - past.bytes ELSE 0 END,
           recent_pushes = CASE WHEN usage.manifests > 0 THEN recent.pushes ELSE 0 END,
           recent_pulls = CASE WHEN usage.manifests > 0 THEN recent.pulls ELSE 0 END,
           due_on = least(recent.first + CAST(:days AS int),
                          CASE WHEN repository.created_at >= days.first
                               THEN CAST(repository.created_at AS date) + CAST(:days AS int) + 1 END,
                          CASE WHEN usage.pushed_at >= days.first
                               THEN CAST(usage.pushed_at AS date) + CAST(:days AS int) + 1 END)
      FROM (SELECT current_date - CAST(:days AS int) AS first) AS days
     CROSS JOIN unnest(CAST(:ids AS bigint[])) AS claimed (id)
     CROSS JOIN LATERAL (
           SELECT manifests, bytes, pushed_at FROM repository_usage WHERE repository_id = claimed.id OFFSET 0) AS usage
     CROSS JOIN LATERAL (SELECT created_at FROM repositories WHERE id = claimed.id OFFSET 0) AS repository
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(pushes), 0) AS pushes, coalesce(sum(pulls), 0) AS pulls, min(day) AS first
             FROM repository_days WHERE repository_id = claimed.id AND day > days.first) AS recent
     CROSS JOIN LATERAL (
           SELECT coalesce(
                  (SELECT bytes FROM repository_days
                    WHERE repository_id = claimed.id AND bytes IS NOT NULL AND day <= days.first
                    ORDER BY day DESC LIMIT 1),
                  CASE WHEN repository.created_at >= days.first THEN 0 END,
                  (SELECT bytes FROM repository_days
                    WHERE repository_id = claimed.id AND bytes IS NOT NULL ORDER BY day LIMIT 1),
                  usage.bytes) AS bytes) AS past
     WHERE trends.repository_id = claimed.id
    """,
)


def add_up(db: Database, limit: int) -> int:
    """Adds up for at most `limit` repositories whose turn it is and that nobody else has. Returns for how many."""

    def work(session: Session) -> int:
        ids = session.all(_CLAIM(limit=limit))
        # In a statement of its own: it sees what those wrote for whose locks the first one came too late.
        return session.count(_ADD_UP(ids=ids, days=DAYS)) if ids else 0

    return db.transaction(work)
