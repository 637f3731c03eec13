"""What garbage collection left undone, as each run tells its log: alerts are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement

# More than this is as bad as this, and costs no more to count.
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Backlog:
    """`overdue`: how many reviews and deletions have been due for an hour, at most MOST of each kind.

    `oldest_seconds`: for how long the first of all has been due; 0 if none is.
    """

    overdue: int
    oldest_seconds: float


# Each queue is read from its old end, as far as it is due. What failed is not: it was put off. What a hold keeps is no
# fault of the collection.
_BACKLOG: Final = Statement(
    "gc_backlog",
    Backlog,
    """
    SELECT count(*) FILTER (WHERE due_at < now() - interval '1 hour'),
           CAST(coalesce(extract(epoch FROM now() - min(due_at)), 0) AS double precision)
      FROM ((SELECT review_after AS due_at FROM manifest_reviews WHERE review_after < now()
              ORDER BY review_after LIMIT :most)
            UNION ALL
            (SELECT review_after FROM tag_reviews WHERE review_after < now() ORDER BY review_after LIMIT :most)
            UNION ALL
            (SELECT review_after FROM link_reviews WHERE review_after < now() ORDER BY review_after LIMIT :most)
            UNION ALL
            (SELECT review_after FROM blob_reviews WHERE review_after < now() ORDER BY review_after LIMIT :most)
            UNION ALL
            (SELECT not_before FROM deletions
              WHERE not_before < now() AND NOT EXISTS (SELECT FROM holds WHERE until > now())
              ORDER BY not_before LIMIT :most)) AS due
    """,
)


def left(db: Database) -> Backlog:
    return db.one_or_none(_BACKLOG(most=MOST)) or Backlog(0, 0.0)
