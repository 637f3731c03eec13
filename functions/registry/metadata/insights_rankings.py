"""Rankings that no index has: by what happened in the last thirty days.

One reads each repository's days in that time, if it was active at all; the other looks at the largest ones alone.
"""

from __future__ import annotations

from string import Template
from typing import Any, Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.insights import ITEM
from functions.registry.metadata.keyset import REACH

DAYS: Final = 30

_RANKING: Final = Template("""
    WITH ranked AS (
        $ranked
    )
    SELECT coalesce(json_agg(json_build_object($item, $figures) ORDER BY ranked.rank), '[]')
      FROM ranked
     CROSS JOIN LATERAL (SELECT * FROM repositories WHERE repositories.id = ranked.id OFFSET 0) AS repositories
     CROSS JOIN LATERAL (
           SELECT * FROM repository_usage WHERE repository_usage.repository_id = ranked.id OFFSET 0) AS usage
""")

_MOST_ACTIVE: Final = Statement(
    "insights_most_active",
    list,
    _RANKING.substitute(
        item=ITEM,
        figures="'recent_pushes', ranked.pushes, 'recent_pulls', ranked.pulls",
        ranked="""SELECT summed.id, summed.pushes, summed.pulls,
               row_number() OVER (ORDER BY summed.pushes + summed.pulls DESC, summed.id) AS rank
          FROM (SELECT repository_id AS id, sum(days.pushes) AS pushes, sum(days.pulls) AS pulls
                  FROM repository_days AS days
                 WHERE days.day > current_date - CAST(:days AS int)
                 GROUP BY 1) AS summed
         CROSS JOIN LATERAL (
               SELECT manifests, namespace_id FROM repository_usage WHERE repository_id = summed.id OFFSET 0) AS usage
         WHERE usage.manifests > 0 AND summed.pushes + summed.pulls > 0
           AND (CAST(:namespace AS text) IS NULL
                OR usage.namespace_id = (SELECT id FROM namespaces WHERE name = :namespace))
         ORDER BY rank
         LIMIT :size""",
    ),
)

# Only what was pushed to can have grown, and what grew much is large: the largest of those are looked at. One had then
# what its last survey before that time counted, or nothing if it is younger; without an older survey, what the first
# one counted.
_FASTEST_GROWING: Final = Statement(
    "insights_fastest_growing",
    list,
    _RANKING.substitute(
        item=ITEM,
        figures="'gained_bytes', ranked.gained",
        ranked="""SELECT grown.id, grown.gained, row_number() OVER (ORDER BY grown.gained DESC, grown.id) AS rank
          FROM (SELECT largest.id, largest.bytes - past.bytes AS gained
                  FROM (SELECT usage.repository_id AS id, usage.bytes
                          FROM repository_usage AS usage
                         WHERE usage.manifests > 0 AND usage.bytes > 0
                           AND usage.pushed_at >= current_date - CAST(:days AS int)
                           AND (CAST(:namespace AS text) IS NULL
                                OR usage.namespace_id = (SELECT id FROM namespaces WHERE name = :namespace))
                         ORDER BY usage.bytes DESC, usage.repository_id DESC
                         LIMIT :candidates) AS largest
                 CROSS JOIN LATERAL (SELECT coalesce(
                       (SELECT days.bytes FROM repository_days AS days
                         WHERE days.repository_id = largest.id AND days.bytes IS NOT NULL
                           AND days.day <= current_date - CAST(:days AS int)
                         ORDER BY days.day DESC LIMIT 1),
                       (SELECT 0 FROM repositories
                         WHERE repositories.id = largest.id
                           AND repositories.created_at >= current_date - CAST(:days AS int)),
                       (SELECT days.bytes FROM repository_days AS days
                         WHERE days.repository_id = largest.id AND days.bytes IS NOT NULL
                         ORDER BY days.day LIMIT 1),
                       largest.bytes) AS bytes OFFSET 0) AS past) AS grown
         WHERE grown.gained > 0
         ORDER BY rank
         LIMIT :size""",
    ),
)


def most_active(db: Database, size: int, namespace: str | None) -> list[dict[str, Any]]:
    """By pushes and pulls together, which each item has as `recent_pushes` and `recent_pulls`."""
    return db.one_or_none(_MOST_ACTIVE(days=DAYS, size=size, namespace=namespace)) or []


def fastest_growing(db: Database, size: int, namespace: str | None) -> list[dict[str, Any]]:
    """By bytes gained, which each item has as `gained_bytes`."""
    return db.one_or_none(_FASTEST_GROWING(days=DAYS, size=size, namespace=namespace, candidates=REACH)) or []
