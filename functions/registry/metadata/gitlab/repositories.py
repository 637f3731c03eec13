"""Repositories as GitLab's API shows them: their sizes, and what lies below a name.

GitLab's size counts the layers that a tag leads to, each once; configs and manifests don't count. That can't be read
from a counter: it takes a look at every reference. So there is a bound, and beyond it an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.name import RepositoryName

# Tags and manifests, and references to layers: so many are looked at within about a second.
MOST_LOOKED_AT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Details:
    """They are a name's: `created_at` is None if there is no such repository, only a namespace for it."""

    created_at: datetime | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Size:
    """It is in bytes. `untagged` counts all blobs, whether a tag leads to them or not."""

    bytes: int
    precision: Literal["default", "untagged"]


_DETAILS: Final = Statement(
    "gitlab_details",
    Details,
    """
    SELECT repositories.created_at, nullif(usage.pushed_at, '-infinity')
      FROM namespaces
      LEFT JOIN (repositories JOIN repository_usage AS usage ON usage.repository_id = repositories.id)
        ON repositories.name = :repository
     WHERE namespaces.name = :namespace
    """,
)

# What lies below a name sorts from the slash to the character after it. A LATERAL with an OFFSET stays a loop: it ends
# as soon as enough is found, where a join might read a whole table first.
_SIZE: Final = Statement(
    "gitlab_size",
    Size,
    """
    WITH RECURSIVE chosen AS MATERIALIZED (
        SELECT id FROM repositories WHERE name = :repository
        UNION ALL
        SELECT id FROM repositories
         WHERE name >= CAST(:repository AS text) || '/' AND name < CAST(:repository AS text) || '0'
           AND CAST(:with_below AS boolean) AND deleted_at IS NULL
    ), known AS MATERIALIZED (
        SELECT coalesce(sum(usage.tags + usage.manifests), 0) AS things, coalesce(sum(usage.blob_bytes), 0) AS bytes
          FROM chosen
         CROSS JOIN LATERAL (SELECT tags, manifests, blob_bytes FROM repository_usage
                              WHERE repository_id = chosen.id OFFSET 0) AS usage
    ), reached AS (
        SELECT tagged.manifest_id AS id
          FROM chosen
         CROSS JOIN LATERAL (SELECT manifest_id FROM tags WHERE repository_id = chosen.id OFFSET 0) AS tagged
         WHERE (SELECT things FROM known) <= CAST(:most AS bigint)
        UNION
        SELECT listed.child_id
          FROM reached
         CROSS JOIN LATERAL (SELECT child_id FROM manifest_children WHERE parent_id = reached.id OFFSET 0) AS listed
    ), named AS MATERIALIZED (
        SELECT reference.digest
          FROM reached
         CROSS JOIN LATERAL (SELECT config_digest FROM manifests WHERE id = reached.id OFFSET 0) AS manifest
         CROSS JOIN LATERAL (SELECT digest FROM manifest_blobs WHERE manifest_id = reached.id OFFSET 0) AS reference
         WHERE reference.digest IS DISTINCT FROM manifest.config_digest
         LIMIT CAST(:most AS bigint) + 1
    ), counted AS (
        SELECT known.bytes, known.things <= CAST(:most AS bigint) AND (SELECT count(*) FROM named)
               <= CAST(:most AS bigint) AS is_exact
          FROM known
    )
    SELECT CAST(CASE WHEN counted.is_exact
                     THEN (SELECT coalesce(sum((SELECT size FROM blobs WHERE blobs.digest = layers.digest)), 0)
                             FROM (SELECT DISTINCT digest FROM named) AS layers)
                     ELSE least(counted.bytes, (SELECT totals.blob_bytes
                                                  FROM namespaces
                                                  JOIN namespace_totals AS totals ON totals.namespace_id = namespaces.id
                                                 WHERE namespaces.name = :namespace))
                END AS bigint),
           CASE WHEN counted.is_exact THEN 'default' ELSE 'untagged' END
      FROM counted
    """,
)

_BELOW: Final = Statement(
    "gitlab_below",
    list,
    """
    SELECT (SELECT coalesce(json_agg(json_build_array(page.name, page.created_at) ORDER BY page.name), '[]')
              FROM ((SELECT repositories.name, repositories.created_at
                       FROM repositories
                       JOIN repository_usage AS usage ON usage.repository_id = repositories.id
                      WHERE repositories.name = :repository AND repositories.name > :last AND usage.tags > 0)
                    UNION ALL
                    (SELECT repositories.name, repositories.created_at
                       FROM repositories
                       JOIN repository_usage AS usage ON usage.repository_id = repositories.id
                      WHERE repositories.name >= CAST(:repository AS text) || '/'
                        AND repositories.name < CAST(:repository AS text) || '0'
                        AND repositories.name > :last AND usage.tags > 0 AND repositories.deleted_at IS NULL
                      ORDER BY repositories.name
                      LIMIT :size)
                     ORDER BY name
                     LIMIT :size) AS page)
      FROM namespaces
     WHERE namespaces.name = :namespace
    """,
)


def details(db: Database, repository: RepositoryName) -> Details | None:
    """Returns what there is of the name; None if there is no such namespace."""
    return db.one_or_none(_DETAILS(repository=repository, namespace=repository.namespace))


def size(db: Database, repository: RepositoryName, *, with_below: bool, most: int = MOST_LOOKED_AT) -> Size:
    """Returns the repository's, with all below it if wanted: exact if there is not too much to look at."""
    where: dict[str, Any] = {"repository": repository, "namespace": repository.namespace}
    (found,) = db.all(_SIZE(**where, with_below=with_below, most=most))
    return found


def list_below(db: Database, repository: RepositoryName, last: str, size: int) -> list[tuple[str, datetime]] | None:
    """Returns repositories that have a tag, and when they were made: the name itself, and what lies below it.

    One more than `size`, if there are more; None if there is no such namespace.
    """
    call = _BELOW(repository=repository, namespace=repository.namespace, last=last, size=size + 1)
    found = db.one_or_none(call)
    return None if found is None else [(name, datetime.fromisoformat(created_at)) for name, created_at in found]
