"""How much there is in the registry, exactly, read in a time that does not grow; and the figures of namespaces settled.

Triggers keep them (counting.sql of the schema's baseline). What a change means to a namespace and to the
registry waits in a row of its own until it is settled, so that no two pushes wait for one figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Call, Database, Statement


@dataclass(frozen=True, slots=True)
class Totals:
    """They are bytes and counts. Blobs count once within their scope, however many repositories link them."""

    repositories: int
    tags: int
    manifests: int
    manifest_bytes: int
    blobs: int
    blob_bytes: int
    bytes: int


# Its own rows are locked first, and the figures in order of their namespace: several may settle at once.
_SETTLE: Final = Statement(
    "usage_settle",
    int,
    """
    WITH claimed AS MATERIALIZED (
        SELECT id FROM usage_changes WHERE id > 0 ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM usage_changes WHERE id = ANY (ARRAY(SELECT id FROM claimed)) RETURNING usage_changes.*
    ), delta AS (
        SELECT namespace_id, sum(repositories) AS repositories, sum(tags) AS tags, sum(manifests) AS manifests,
               sum(manifest_bytes) AS manifest_bytes, sum(blobs) AS blobs, sum(blob_bytes) AS blob_bytes,
               sum(registry_blobs) AS registry_blobs, sum(registry_blob_bytes) AS registry_blob_bytes,
               max(pushed_at) AS pushed_at, count(*) AS changes
          FROM taken GROUP BY namespace_id
    ), locked AS MATERIALIZED (
        SELECT namespace_id FROM namespace_usage
         WHERE namespace_id IN (SELECT namespace_id FROM delta)
         ORDER BY namespace_id FOR NO KEY UPDATE
    ), namespaces_settled AS (
        UPDATE namespace_usage AS usage
           SET repositories = usage.repositories + delta.repositories, tags = usage.tags + delta.tags,
               manifests = usage.manifests + delta.manifests,
               manifest_bytes = usage.manifest_bytes + delta.manifest_bytes,
               blobs = usage.blobs + delta.blobs, blob_bytes = usage.blob_bytes + delta.blob_bytes,
               pushed_at = greatest(usage.pushed_at, delta.pushed_at)
          FROM delta JOIN locked USING (namespace_id)
         WHERE usage.namespace_id = delta.namespace_id
    ), registry_settled AS (
        UPDATE registry_usage AS usage
           SET repositories = usage.repositories + total.repositories, tags = usage.tags + total.tags,
               manifests = usage.manifests + total.manifests,
               manifest_bytes = usage.manifest_bytes + total.manifest_bytes,
               blobs = usage.blobs + total.blobs, blob_bytes = usage.blob_bytes + total.blob_bytes
          FROM (SELECT sum(repositories) AS repositories, sum(tags) AS tags, sum(manifests) AS manifests,
                       sum(manifest_bytes) AS manifest_bytes, sum(registry_blobs) AS blobs,
                       sum(registry_blob_bytes) AS blob_bytes, sum(changes) AS changes FROM delta) AS total
         WHERE usage.is_only AND total.changes > 0
    )
    SELECT CAST(coalesce(sum(changes), 0) AS bigint) FROM delta
    """,
)

_OF_REGISTRY: Final = Statement(
    "usage_of_registry",
    Totals,
    """
    SELECT repositories, tags, manifests, manifest_bytes, blobs, blob_bytes, bytes FROM registry_totals
    """,
)


def settle(db: Database, limit: int) -> int:
    """Adds at most `limit` waiting changes to the figures they belong to. Returns how many there were."""
    return db.one_or_none(_SETTLE(limit=limit)) or 0


def of_registry(db: Database) -> Totals:
    (totals,) = db.all(reading_registry())
    return totals


def reading_registry() -> Call[Totals]:
    """Returns what `of_registry` asks, for a batch."""
    return _OF_REGISTRY()
