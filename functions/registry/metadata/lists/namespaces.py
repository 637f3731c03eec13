"""Namespaces with their figures and quotas.

They are sorted by what is settled, which is behind by what waits in `usage_changes`; what is shown is exact.
"""

from __future__ import annotations

from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.lists.filters import NamespaceFilter
from functions.registry.metadata.lists.keyset import Column, Found, Rows, Walk, walk

_ITEM: Final = """'name', namespaces.name, 'repositories', totals.repositories, 'tags', totals.tags,
               'manifests', totals.manifests, 'blobs', totals.blobs, 'bytes', totals.bytes,
               'pushed_at', nullif(totals.pushed_at, '-infinity'), 'pulled_at', nullif(totals.pulled_at, '-infinity'),
               'pulls', totals.pulls,
               'quota', (SELECT json_build_object('bytes', quotas.bytes, 'repositories', quotas.repositories)
                           FROM quotas WHERE quotas.namespace = namespaces.name)"""

_ONE: Final = Statement(
    "list_namespace",
    dict,
    compose(
        """
    SELECT json_build_object($item, 'undo_seconds', CAST(extract(epoch FROM namespaces.undo) AS bigint))
      FROM namespaces
      JOIN namespace_totals AS totals ON totals.namespace_id = namespaces.id
     WHERE namespaces.name = :namespace
    """,
        item=_ITEM,
    ),
)

_PAGE: Final = """
    WITH walked AS (
        SELECT $key AS key, $table.$identity AS id
          FROM $table
         WHERE $here
         ORDER BY $order
         LIMIT :reach
    ), page AS (
        SELECT walked.key, walked.id, json_build_object($item) AS item
          FROM walked
         CROSS JOIN LATERAL (SELECT * FROM namespaces WHERE namespaces.id = walked.id OFFSET 0) AS namespaces
         CROSS JOIN LATERAL (
               SELECT * FROM namespace_totals WHERE namespace_totals.namespace_id = walked.id OFFSET 0) AS totals
         WHERE strpos(namespaces.name, :name) > 0
         ORDER BY walked.key $way, walked.id $way
         LIMIT :size
    )
    SELECT (SELECT coalesce(json_agg(json_build_array(key, id, item) ORDER BY key $way, id $way), '[]') FROM page),
           CASE WHEN (SELECT count(*) FROM page) < :size THEN
                (SELECT json_build_array(key, id) FROM walked ORDER BY key $way, id $way OFFSET :reach - 1 LIMIT 1) END
"""

COLUMNS: Final = {
    "name": Column("namespaces.name", "text", None),
    "size": Column("namespace_usage.bytes", "bigint", "namespace_usage.namespace_id"),
    "pushed": Column("namespace_usage.pushed_at", "timestamptz", "namespace_usage.namespace_id"),
    "pulled": Column("namespace_usage.pulled_at", "timestamptz", "namespace_usage.namespace_id"),
    "pulls": Column("namespace_usage.pulls", "bigint", "namespace_usage.namespace_id"),
    "tags": Column("namespace_usage.tags", "bigint", "namespace_usage.namespace_id"),
    "repositories": Column("namespace_usage.repositories", "bigint", "namespace_usage.namespace_id"),
}


def _listing(order: str, *, descending: bool) -> Statement[Rows]:
    table, identity = ("namespaces", "id") if order == "name" else ("namespace_usage", "namespace_id")
    sql = COLUMNS[order].walk(_PAGE, descending=descending, table=table, identity=identity, item=_ITEM)
    return Statement(f"list_namespaces_by_{order}_{'down' if descending else 'up'}", Rows, sql)


_LISTS: Final = {
    (order, descending): _listing(order, descending=descending) for order in COLUMNS for descending in (False, True)
}


def page(db: Database, order: str, part: Walk, wanted: NamespaceFilter) -> Found:
    return walk(db, paging(order, part, wanted), part.size) or Found([], [], None)


def paging(order: str, part: Walk, wanted: NamespaceFilter) -> Call[Rows]:
    """Returns what `page` asks, for a batch."""
    return _LISTS[order, part.descending](name=wanted.name or "", **part.values(COLUMNS[order]))


def namespace(db: Database, name: str) -> dict[str, Any] | None:
    return db.one_or_none(_ONE(namespace=name))
