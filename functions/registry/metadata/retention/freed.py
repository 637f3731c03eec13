"""What the removal of tags would free in a repository, once it can't be put back any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Session, Statement, compose
from functions.registry.metadata.usage.reached import HOLDING, reached


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes that nothing else needs: no other repository of the namespace, and none of the registry."""

    in_namespace: int = 0
    in_registry: int = 0


@dataclass(frozen=True, slots=True)
class _Read:
    """Manifests and their sizes; those that tags name now, and those that tags name which would stay; and pairs of
    which the first holds the second.
    """

    manifests: list[int]
    sizes: list[int]
    tagged: list[int]
    staying: list[int]
    above: list[int]
    below: list[int]


# Of a repository that keeps untagged manifests, or that a rule keeps, nothing is freed.
_READ: Final = Statement(
    "retention_freed_read",
    _Read,
    compose(
        """
    WITH asked AS MATERIALIZED (
        SELECT id FROM repositories
         WHERE id = :repository_id AND NOT keep_untagged AND deletion_refusal(name, NULL, 0) IS NULL
           AND EXISTS (SELECT FROM retention_verdicts
                        WHERE run_id = :run AND outcome = 'waiting' AND repository_id = :repository_id)
    ), holding AS ($holding
    ), named AS MATERIALIZED (
        SELECT tags.manifest_id,
               NOT EXISTS (SELECT FROM retention_verdicts AS verdict
                            WHERE verdict.run_id = :run AND verdict.repository_id = tags.repository_id
                              AND verdict.tag = tags.name AND verdict.outcome = 'waiting') AS is_staying
          FROM tags WHERE tags.repository_id = :repository_id
    )
    SELECT coalesce(held.manifests, '[]'), coalesce(held.sizes, '[]'), coalesce(tagged.all_of_them, '[]'),
           coalesce(tagged.staying, '[]'), coalesce(pairs.above, '[]'), coalesce(pairs.below, '[]')
      FROM asked
     CROSS JOIN (SELECT json_agg(id) AS manifests, json_agg(octet_length(payload)) AS sizes
                   FROM manifests WHERE repository_id = :repository_id) AS held
     CROSS JOIN (SELECT json_agg(manifest_id) AS all_of_them,
                        json_agg(manifest_id) FILTER (WHERE is_staying) AS staying FROM named) AS tagged
     CROSS JOIN (SELECT json_agg(above) AS above, json_agg(below) AS below FROM holding) AS pairs
    """,
        holding=HOLDING,
    ),
)

# Bytes of the blobs that these manifests name, and no other of the repository nor any other repository.
_BLOBS: Final = Statement(
    "retention_freed_blobs",
    Freed,
    """
    WITH going AS MATERIALIZED (
        SELECT unnest(CAST(:ids AS bigint[])) AS id
    ), named AS MATERIALIZED (
        SELECT named.digest FROM going JOIN manifest_blobs AS named ON named.manifest_id = going.id
         UNION
        SELECT named.digest FROM going JOIN sparse_references AS named ON named.manifest_id = going.id
    ), freed AS MATERIALIZED (
        SELECT link.digest, link.size, repositories.namespace_id
          FROM named
          JOIN repository_blobs AS link ON link.repository_id = :repository_id AND link.digest = named.digest
          JOIN repositories ON repositories.id = link.repository_id
         WHERE NOT EXISTS (
               SELECT FROM manifest_blobs AS other
                WHERE other.repository_id = :repository_id AND other.digest = named.digest
                  AND other.manifest_id NOT IN (SELECT id FROM going))
           AND NOT EXISTS (
               SELECT FROM sparse_references AS other
                WHERE other.repository_id = :repository_id AND other.digest = named.digest
                  AND other.manifest_id NOT IN (SELECT id FROM going))
    )
    SELECT CAST(coalesce(sum(freed.size) FILTER (WHERE held.links = 1), 0) AS bigint),
           CAST(coalesce(sum(freed.size) FILTER (
               WHERE NOT EXISTS (SELECT FROM repository_blobs AS other
                                  WHERE other.digest = freed.digest AND other.repository_id <> :repository_id)), 0)
                AS bigint)
      FROM freed JOIN namespace_blobs AS held
        ON held.namespace_id = freed.namespace_id AND held.digest = freed.digest
    """,
)


def look(session: Session, run: int, repository_id: int) -> Freed:
    """What would go with the tags that a plan removes, beside what no tag reaches already."""
    read = session.one_or_none(_READ(run=run, repository_id=repository_id))
    if read is None:
        return Freed()
    before = set(read.manifests) - reached(read.tagged, read.above, read.below)
    after = set(read.manifests) - reached(read.staying, read.above, read.below)
    size = sum(size for id_, size in zip(read.manifests, read.sizes, strict=True) if id_ in after - before)
    once, now = (
        session.one_or_none(_BLOBS(repository_id=repository_id, ids=sorted(ids))) or Freed() for ids in (after, before)
    )
    return Freed(
        once.in_namespace - now.in_namespace + size,
        once.in_registry - now.in_registry + size,
    )
