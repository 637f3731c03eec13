"""Repositories with their figures: in any order, filtered, in pages whose cost does not grow with the registry."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypedDict

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.lists.filters import RepositoryFilter
from functions.registry.metadata.lists.keyset import Column, Found, Rows, Value, Walk, walk
from functions.registry.oci.name import RepositoryName


class RepositoryItem(TypedDict):
    """As it is shown: times in ISO 8601. `bytes` counts each blob once, `kinds` manifests."""

    name: str
    namespace: str
    kinds: dict[str, int]
    bytes: int
    blobs: int
    manifests: int
    tags: int
    pushed_at: str | None
    pulled_at: str | None
    pulls: int
    untagged: int
    untagged_bytes: int
    untagged_as_of: str | None
    created_at: str


class RepositoryInsight(RepositoryItem):
    """With its settings. No grace of its own: the registry's."""

    keep_untagged: bool
    grace_seconds: int | None


ITEM: Final = """'name', repositories.name, 'namespace', split_part(repositories.name, '/', 1),
               'kinds', (SELECT coalesce(json_object_agg(kinds.kind, kinds.manifests ORDER BY kinds.kind), '{}')
                           FROM repository_kinds AS kinds
                          WHERE kinds.repository_id = usage.repository_id AND kinds.manifests > 0),
               'bytes', usage.bytes, 'blobs', usage.blobs, 'manifests', usage.manifests, 'tags', usage.tags,
               'pushed_at', nullif(usage.pushed_at, '-infinity'), 'pulled_at', nullif(usage.pulled_at, '-infinity'),
               'pulls', usage.pulls, 'untagged', usage.untagged, 'untagged_bytes', usage.untagged_bytes,
               'untagged_as_of', usage.untagged_as_of, 'created_at', repositories.created_at"""

# To the principal, if one is named: by a grant of its own, or one of anyone's.
VISIBLE: Final = """(CAST(:principal_id AS bigint) IS NULL OR EXISTS (
                SELECT FROM grants
                 WHERE (grants.principal_id = CAST(:principal_id AS bigint) OR grants.principal_id IS NULL)
                   AND grants.namespace IN ('', split_part(repositories.name, '/', 1))
                   AND repositories.name >= grants.pattern_prefix AND repositories.name < grants.pattern_prefix || '~'
                   AND repositories.name LIKE grants.pattern_like
                   AND glob_fits(repositories.name, grants.pattern, grants.pattern_form, grants.pattern_regex)))"""

_ONE: Final = Statement(
    "list_repository",
    RepositoryInsight,
    compose(
        """
    SELECT json_build_object($item, 'keep_untagged', repositories.keep_untagged,
                             'grace_seconds', CAST(extract(epoch FROM repositories.grace) AS bigint),
                             'undo_seconds', CAST(extract(epoch FROM repositories.undo) AS bigint),
                             'restorable_bytes', usage.restorable_bytes)
      FROM repositories
      JOIN repository_usage AS usage ON usage.repository_id = repositories.id
     WHERE repositories.name = :repository
    """,
        item=ITEM,
    ),
)

# Each row is looked up by its id, in the order of the walk, and no further than the page needs: OFFSET 0 keeps the
# planner from joining whole tables instead, as a value where EXISTS would do keeps it from hashing one.
_PAGE: Final = """
    WITH walked AS (
        $walked
    ), page AS (
        SELECT walked.key, walked.id, json_build_object($item) AS item
          FROM walked
         CROSS JOIN LATERAL (SELECT * FROM repositories WHERE repositories.id = walked.id OFFSET 0) AS repositories
         CROSS JOIN LATERAL (
               SELECT * FROM repository_usage WHERE repository_usage.repository_id = walked.id OFFSET 0) AS usage
         WHERE usage.manifests > 0 AND repositories.deleted_at IS NULL
           AND strpos(repositories.name, :name) > 0
           AND usage.bytes >= CAST(:min_size AS bigint) AND usage.bytes <= CAST(:max_size AS bigint)
           AND usage.pushed_at >= CAST(:pushed_after AS timestamptz)
           AND usage.pushed_at < CAST(:pushed_before AS timestamptz)
           AND usage.pulled_at >= CAST(:pulled_after AS timestamptz)
           AND usage.pulled_at < CAST(:pulled_before AS timestamptz)
           AND (CAST(:untagged AS boolean) IS NULL OR (usage.untagged > 0) = CAST(:untagged AS boolean))
           AND (CAST(:kind AS text) IS NULL
                OR (SELECT kinds.manifests > 0 FROM repository_kinds AS kinds
                     WHERE kinds.repository_id = walked.id AND kinds.kind = :kind))
           AND $visible
         ORDER BY walked.key $way, walked.id $way
         LIMIT :size
    )
    SELECT (SELECT coalesce(json_agg(json_build_array(key, id, item) ORDER BY key $way, id $way), '[]') FROM page),
           CASE WHEN (SELECT count(*) FROM page) < :size THEN
                (SELECT json_build_array(key, id) FROM walked ORDER BY key $way, id $way OFFSET :reach - 1 LIMIT 1) END
"""

_BY_NAME: Final = """SELECT $key AS key, repositories.id
          FROM repositories
         WHERE $scope AND $here
         ORDER BY $order
         LIMIT :reach"""
_BY_FIGURE: Final = """SELECT $key AS key, usage.repository_id AS id
          FROM repository_usage AS usage
         WHERE $scope AND usage.manifests > 0 AND $here
         ORDER BY $order
         LIMIT :reach"""

# Each namespace in which somebody has a grant is walked for itself. All of the registry is where those are many, or
# where a grant is for several at once.
_BY_GRANTS: Final = """WITH held AS MATERIALIZED (
            SELECT DISTINCT namespace FROM grants
             WHERE grants.principal_id = CAST(:principal_id AS bigint) OR grants.principal_id IS NULL
        )
        SELECT key, id
          FROM ((SELECT found.key, found.id
                   FROM held
                   JOIN namespaces ON namespaces.name = held.namespace
                  CROSS JOIN LATERAL ($of_namespace) AS found
                  WHERE NOT $wide)
                UNION ALL
                ($of_registry)) AS merged
         ORDER BY key $way, id $way
         LIMIT :reach"""
_WIDE: Final = "(SELECT count(*) > 20 OR bool_or(namespace = '') FROM held)"

NAMESPACE_ID: Final = "namespace_id = (SELECT id FROM namespaces WHERE name = :namespace)"
COLUMNS: Final = {
    "name": Column("repositories.name", "text", None),
    "size": Column("usage.bytes", "bigint", "usage.repository_id"),
    "pushed": Column("usage.pushed_at", "timestamptz", "usage.repository_id"),
    "pulled": Column("usage.pulled_at", "timestamptz", "usage.repository_id"),
    "pulls": Column("usage.pulls", "bigint", "usage.repository_id"),
    "tags": Column("usage.tags", "bigint", "usage.repository_id"),
    "untagged": Column("usage.untagged_bytes", "bigint", "usage.repository_id"),
}


def _listing(order: str, scope: str, *, descending: bool) -> Statement[Rows]:
    column = COLUMNS[order]
    template, table = (_BY_NAME, "repositories") if order == "name" else (_BY_FIGURE, "usage")

    def walked(scope: str) -> str:
        return column.walk(template, descending=descending, scope=scope)

    way = "DESC" if descending else "ASC"
    if scope == "registry":
        text = walked("true")
    elif scope == "namespace":
        text = walked(f"{table}.{NAMESPACE_ID}")
    else:
        of_namespace = walked(f"{table}.namespace_id = namespaces.id")
        text = compose(_BY_GRANTS, wide=_WIDE, of_namespace=of_namespace, of_registry=walked(_WIDE), way=way)
    name = f"list_repositories_by_{order}_{'down' if descending else 'up'}_of_{scope}"
    return Statement(name, Rows, compose(_PAGE, walked=text, item=ITEM, visible=VISIBLE, way=way))


_LISTS: Final = {
    (order, scope, descending): _listing(order, scope, descending=descending)
    for order in COLUMNS
    for scope in ("registry", "namespace", "grants")
    for descending in (False, True)
}
_LARGEST: Final = 2**63 - 1


def page(db: Database, order: str, part: Walk, wanted: RepositoryFilter, visible_to: int | None = None) -> Found:
    """Returns those that hold something. With a principal, or 0 for nobody known: where it, or anyone, has a grant."""
    return walk(db, paging(order, part, wanted, visible_to), part.size) or Found([], [], None)


def paging(order: str, part: Walk, wanted: RepositoryFilter, visible_to: int | None = None) -> Call[Rows]:
    """Returns what `page` asks, for a batch."""
    scope = "namespace" if wanted.namespace is not None else "registry" if visible_to is None else "grants"
    values: dict[str, Any] = {
        "namespace": wanted.namespace,
        "name": wanted.name or "",
        "kind": wanted.kind,
        "min_size": wanted.min_size or 0,
        "max_size": _LARGEST if wanted.max_size is None else wanted.max_size,
        "pushed_after": _moment(wanted.pushed_after, "-infinity"),
        "pushed_before": _moment(wanted.pushed_before, "infinity"),
        "pulled_after": _moment(wanted.pulled_after, "-infinity"),
        "pulled_before": _moment(wanted.pulled_before, "infinity"),
        "untagged": wanted.untagged,
        "principal_id": visible_to,
        **part.values(COLUMNS[order]),
    }
    return _LISTS[order, scope, part.descending](**values)


def bounds(order: str, wanted: RepositoryFilter) -> tuple[Value | None, Value | None]:
    """Tells between which values of the order all lies that the filter lets through."""
    match order:
        case "size":
            return wanted.min_size, wanted.max_size
        case "pushed":
            return _moment(wanted.pushed_after), _moment(wanted.pushed_before)
        case "pulled":
            return _moment(wanted.pulled_after), _moment(wanted.pulled_before)
    return None, None


def repository(db: Database, name: RepositoryName) -> RepositoryInsight | None:
    return db.one_or_none(reading(name))


def reading(name: RepositoryName) -> Call[RepositoryInsight]:
    """Returns what `repository` asks, for a batch."""
    return _ONE(repository=name)


def _moment(moment: datetime | None, otherwise: str | None = None) -> Any:
    return otherwise if moment is None else moment.isoformat()
