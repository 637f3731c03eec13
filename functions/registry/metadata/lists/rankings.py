"""Rankings by what happened in the last thirty days, as the last GC run added it up.

Each is the beginning of an index: what it costs grows neither with the registry nor with what happened there.
"""

from __future__ import annotations

from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.lists.repositories import ITEM, NAMESPACE_ID

# What has been emptied since then is left out.
_RANKING: Final = """
    WITH ranked AS (
        SELECT trends.repository_id, trends.gained_bytes, trends.recent_pushes, trends.recent_pulls, trends.recent
          FROM repository_trends AS trends
         CROSS JOIN LATERAL (
               SELECT manifests FROM repository_usage
                WHERE repository_usage.repository_id = trends.repository_id OFFSET 0) AS held
         WHERE $scope AND trends.$by >= 1 AND held.manifests > 0
           AND (SELECT deleted_at IS NULL FROM repositories WHERE id = trends.repository_id)
         ORDER BY trends.$by DESC, trends.repository_id
         LIMIT :size
    )
    SELECT coalesce(json_agg(json_build_object($item, $figures) ORDER BY ranked.$by DESC, ranked.repository_id), '[]')
      FROM ranked
     CROSS JOIN LATERAL (
           SELECT * FROM repositories WHERE repositories.id = ranked.repository_id OFFSET 0) AS repositories
     CROSS JOIN LATERAL (
           SELECT * FROM repository_usage WHERE repository_usage.repository_id = ranked.repository_id OFFSET 0) AS usage
"""
_SCOPES: Final = {"registry": "true", "namespace": f"trends.{NAMESPACE_ID}"}


def _statements(name: str, by: str, figures: str) -> dict[str, Statement[list[dict[str, Any]]]]:
    return {
        scope: Statement(
            f"list_{name}_of_{scope}",
            list,
            compose(_RANKING, item=ITEM, scope=condition, by=by, figures=figures),
        )
        for scope, condition in _SCOPES.items()
    }


_MOST_ACTIVE: Final = _statements(
    "most_active", "recent", "'recent_pushes', ranked.recent_pushes, 'recent_pulls', ranked.recent_pulls"
)
_FASTEST_GROWING: Final = _statements("fastest_growing", "gained_bytes", "'gained_bytes', ranked.gained_bytes")


def most_active(db: Database, size: int, namespace: str | None) -> list[dict[str, Any]]:
    """Ranks by pushes and pulls together, which each item has as `recent_pushes` and `recent_pulls`."""
    return _ranked(db, _MOST_ACTIVE, size, namespace)


def fastest_growing(db: Database, size: int, namespace: str | None) -> list[dict[str, Any]]:
    """Ranks by bytes gained, which each item has as `gained_bytes`."""
    return _ranked(db, _FASTEST_GROWING, size, namespace)


def growing(size: int) -> Call[list[dict[str, Any]]]:
    """Returns what `fastest_growing` asks of the whole registry, for a batch."""
    return _FASTEST_GROWING["registry"](size=size)


def _ranked(
    db: Database, statements: dict[str, Statement[list[dict[str, Any]]]], size: int, namespace: str | None
) -> list[dict[str, Any]]:
    if namespace is None:
        return db.one_or_none(statements["registry"](size=size)) or []
    return db.one_or_none(statements["namespace"](size=size, namespace=namespace)) or []
