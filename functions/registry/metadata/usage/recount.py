"""Are the kept figures what counting everything anew gives? A difference is a fault of ours: there should be none.

From the bottom up: a repository's figures are counted from its rows, a namespace's and the registry's from those of the
repositories, and blobs, which are counted once in each scope, from the links and the blobs themselves. What is kept and
what is counted are read in one statement each time, so pushes and deletions may go on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from functions.registry.metadata.db import Database, Statement

_REPOSITORIES_AT_ONCE: Final = 50
_NAMESPACES_AT_ONCE: Final = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """`scope` is `repository`, `namespace` or `registry`; `kept` is None where there is no such figure."""

    scope: str
    name: str
    figure: str
    kept: int | None
    counted: int


@dataclass(slots=True)
class Recount:
    """It says what was looked at, and what was wrong. It may be incomplete if there was no time for all."""

    repositories: int = 0
    namespaces: int = 0
    is_complete: bool = True
    differences: list[Difference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Checked:
    """`last` is the id to go on after, `count` how many were checked."""

    last: int | None
    count: int
    differences: list[dict[str, Any]]


_REPOSITORIES: Final = Statement(
    "recount_repositories",
    _Checked,
    """
    WITH batch AS MATERIALIZED (
        SELECT id, name, namespace_id FROM repositories WHERE id > :last ORDER BY id LIMIT :size
    ), figures AS (
        SELECT batch.name, figure.name AS figure, figure.kept, figure.counted
          FROM batch
          LEFT JOIN LATERAL (
               SELECT namespace_id, tags, manifests, manifest_bytes, blobs, blob_bytes
                 FROM repository_usage WHERE repository_id = batch.id LIMIT 1) AS usage ON true
         CROSS JOIN LATERAL (SELECT count(*) AS tags FROM tags WHERE tags.repository_id = batch.id) AS tagged
         CROSS JOIN LATERAL (
               SELECT count(*) AS manifests, coalesce(sum(octet_length(payload)), 0) AS bytes
                 FROM manifests WHERE manifests.repository_id = batch.id) AS stored
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(octet_length(payload)), 0) AS bytes
                 FROM withdrawn_manifests WHERE withdrawn_manifests.repository_id = batch.id) AS withdrawn
         CROSS JOIN LATERAL (
               SELECT count(*) AS blobs, coalesce(sum(blobs.size), 0) AS bytes
                 FROM repository_blobs AS link JOIN blobs USING (digest) WHERE link.repository_id = batch.id) AS linked
         CROSS JOIN LATERAL (VALUES
               ('namespace_id', usage.namespace_id, batch.namespace_id),
               ('tags', usage.tags, tagged.tags),
               ('manifests', usage.manifests, stored.manifests),
               ('manifest_bytes', usage.manifest_bytes, stored.bytes + withdrawn.bytes),
               ('blobs', usage.blobs, linked.blobs),
               ('blob_bytes', usage.blob_bytes, linked.bytes)) AS figure (name, kept, counted)
         UNION ALL
        SELECT batch.name, 'manifests of kind ' || kinds.kind, sum(kinds.kept), sum(kinds.counted)
          FROM batch
         CROSS JOIN LATERAL (
               SELECT kind, manifests AS kept, 0 AS counted FROM repository_kinds WHERE repository_id = batch.id
                UNION ALL
               SELECT kind, 0, count(*) FROM manifests WHERE manifests.repository_id = batch.id GROUP BY kind) AS kinds
         GROUP BY 1, 2
    )
    SELECT (SELECT max(id) FROM batch), (SELECT count(*) FROM batch),
           coalesce((SELECT json_agg(figures ORDER BY name, figure) FROM figures
                      WHERE kept IS DISTINCT FROM counted), '[]')
    """,
)

_NAMESPACES: Final = Statement(
    "recount_namespaces",
    _Checked,
    """
    WITH batch AS MATERIALIZED (
        SELECT id, name FROM namespaces WHERE id > :last ORDER BY id LIMIT :size
    ), figures AS (
        SELECT batch.name, figure.name AS figure, figure.kept, figure.counted
          FROM batch
          LEFT JOIN namespace_totals AS totals ON totals.namespace_id = batch.id
         CROSS JOIN LATERAL (
               SELECT count(*) FILTER (WHERE repositories.deleted_at IS NULL) AS repositories,
                      coalesce(sum(usage.tags), 0) AS tags,
                      coalesce(sum(usage.manifests), 0) AS manifests,
                      coalesce(sum(usage.manifest_bytes), 0) AS manifest_bytes
                 FROM repositories
                 LEFT JOIN LATERAL (
                      SELECT tags, manifests, manifest_bytes
                        FROM repository_usage WHERE repository_id = repositories.id LIMIT 1) AS usage ON true
                WHERE repositories.namespace_id = batch.id) AS held
         CROSS JOIN LATERAL (
               SELECT count(linked.digest) AS blobs, coalesce(sum(linked.size), 0) AS bytes,
                      count(*) FILTER (WHERE (shared.links, shared.size) IS DISTINCT FROM (linked.links, linked.size))
                      AS wrong
                 FROM (SELECT link.digest, min(blobs.size) AS size, count(*) AS links
                         FROM repositories
                         JOIN repository_blobs AS link ON link.repository_id = repositories.id
                         JOIN blobs ON blobs.digest = link.digest
                        WHERE repositories.namespace_id = batch.id
                        GROUP BY link.digest) AS linked
                 FULL JOIN (SELECT digest, links, size FROM namespace_blobs WHERE namespace_id = batch.id) AS shared
                        ON shared.digest = linked.digest) AS linked
         CROSS JOIN LATERAL (VALUES
               ('repositories', totals.repositories, held.repositories),
               ('tags', totals.tags, held.tags),
               ('manifests', totals.manifests, held.manifests),
               ('manifest_bytes', totals.manifest_bytes, held.manifest_bytes),
               ('blobs', totals.blobs, linked.blobs),
               ('blob_bytes', totals.blob_bytes, linked.bytes),
               ('wrong links of blobs', linked.wrong, 0)) AS figure (name, kept, counted)
    )
    SELECT (SELECT max(id) FROM batch), (SELECT count(*) FROM batch),
           coalesce((SELECT json_agg(figures ORDER BY name, figure) FROM figures
                      WHERE kept IS DISTINCT FROM counted), '[]')
    """,
)

_REGISTRY: Final = Statement(
    "recount_registry",
    _Checked,
    """
    WITH figures AS (
        SELECT '' AS name, figure.name AS figure, figure.kept, figure.counted
          FROM (SELECT (SELECT count(*) FROM repositories WHERE deleted_at IS NULL) AS repositories,
                       coalesce(sum(tags), 0) AS tags, coalesce(sum(manifests), 0) AS manifests,
                       coalesce(sum(manifest_bytes), 0) AS manifest_bytes FROM repository_usage) AS held
         CROSS JOIN (SELECT count(*) AS blobs, coalesce(sum(size), 0) AS bytes FROM blobs) AS stored
          LEFT JOIN registry_totals AS totals ON true
         CROSS JOIN LATERAL (VALUES
               ('repositories', totals.repositories, held.repositories),
               ('tags', totals.tags, held.tags),
               ('manifests', totals.manifests, held.manifests),
               ('manifest_bytes', totals.manifest_bytes, held.manifest_bytes),
               ('blobs', totals.blobs, stored.blobs),
               ('blob_bytes', totals.blob_bytes, stored.bytes)) AS figure (name, kept, counted)
    )
    SELECT NULL, 1, coalesce((SELECT json_agg(figures ORDER BY figure) FROM figures
                               WHERE kept IS DISTINCT FROM counted), '[]')
    """,
)


def recount(db: Database, budget_seconds: float | None = None) -> Recount:
    """Reads all there is, batch by batch: for operators. Without a budget it takes as long as it takes."""
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    found = Recount()
    found.repositories = _go_through(db, _REPOSITORIES, _REPOSITORIES_AT_ONCE, found, deadline)
    found.namespaces = _go_through(db, _NAMESPACES, _NAMESPACES_AT_ONCE, found, deadline)
    if found.is_complete:
        _note(found, "registry", db.all(_REGISTRY())[0])
    return found


def _go_through(db: Database, statement: Statement[_Checked], size: int, found: Recount, deadline: float | None) -> int:
    """Returns how many were checked."""
    last, total = 0, 0
    scope = "repository" if statement is _REPOSITORIES else "namespace"
    while deadline is None or time.monotonic() < deadline:
        (checked,) = db.all(statement(last=last, size=size))
        _note(found, scope, checked)
        total += checked.count
        if checked.last is None or checked.count < size:
            return total
        last = checked.last
    found.is_complete = False
    return total


def _note(found: Recount, scope: str, checked: _Checked) -> None:
    found.differences += [Difference(scope=scope, **difference) for difference in checked.differences]
