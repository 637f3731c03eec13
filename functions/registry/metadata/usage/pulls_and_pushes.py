"""Pulls and pushes, as instances counted them: added to tags, repositories, namespaces, the registry, and their days.

A pull by tag counts for the tag and for what it names. One by digest counts for the manifest and for the tags that name
it, since most clients ask by HEAD what a tag names and then pull that. What an index lists is a part of a pull that has
been counted: it counts for the manifest alone, though the tags that name it are in use as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

# A manifest may have any number of tags: a pull by digest is told to the latest of them.
MOST_TAGS: Final = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """`tag` is that of the request, if it had one. Without a digest only the tag is meant: a push may have several.

    `age` is how many seconds ago the last of them was.
    """

    repository: RepositoryName
    tag: Tag | None
    digest: Digest | None
    pulls: int
    pushes: int
    age: float


# What is counted for is locked first, in one order: repositories against their end, tags as pushes do before they
# count, manifests against garbage collection, then figures. What is gone meanwhile is left out. Nothing else says when
# a CTE runs, so each one that writes reads the locks that it stands on.
_ADD: Final = Statement(
    "pulls_and_pushes_add",
    int,
    """
    WITH counted AS MATERIALIZED (
        SELECT repositories.id AS repository_id, repositories.namespace_id, counted.tag, manifests.id AS manifest_id,
               counted.pulls, CASE WHEN listed.is_part THEN 0 ELSE counted.pulls END AS whole_pulls,
               counted.pushes, CASE WHEN counted.digest = '' THEN 0 ELSE counted.pushes END AS whole_pushes,
               CASE WHEN counted.pulls > 0 THEN now() - make_interval(secs => counted.age)
                    ELSE '-infinity' END AS pulled_at,
               CAST(now() - make_interval(secs => counted.age) AS date) AS day
          FROM unnest(CAST(:repositories AS text[]), CAST(:tags AS text[]), CAST(:digests AS bytea[]),
                      CAST(:pulls AS bigint[]), CAST(:pushes AS bigint[]), CAST(:ages AS double precision[]))
               AS counted (repository, tag, digest, pulls, pushes, age)
          JOIN repositories ON repositories.name = counted.repository
          LEFT JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = counted.digest
          LEFT JOIN LATERAL (
               SELECT true AS is_part FROM manifest_children
                WHERE child_id = manifests.id AND counted.tag = '' LIMIT 1) AS listed ON true
         ORDER BY repositories.id
           FOR KEY SHARE OF repositories
    ), of_tags AS MATERIALIZED (
        SELECT repository_id, tag AS name, day, pulls, pushes, pulled_at FROM counted WHERE tag <> ''
         UNION ALL
        SELECT counted.repository_id, named.name, counted.day, counted.whole_pulls, 0, counted.pulled_at
          FROM counted
         CROSS JOIN LATERAL (
               SELECT tags.name FROM tags WHERE tags.manifest_id = counted.manifest_id
                ORDER BY tags.updated_at DESC, tags.name LIMIT :most_tags) AS named
         WHERE counted.tag = '' AND counted.pulls > 0
    ), tags_locked AS MATERIALIZED (
        SELECT tags.repository_id, tags.name
          FROM tags
          JOIN (SELECT DISTINCT repository_id, name FROM of_tags) AS touched
            ON touched.repository_id = tags.repository_id AND touched.name = tags.name
         ORDER BY tags.repository_id, tags.name
           FOR NO KEY UPDATE OF tags
    ), manifests_locked AS MATERIALIZED (
        SELECT id FROM manifests
         WHERE id = ANY (ARRAY(SELECT manifest_id FROM counted)) AND (SELECT count(*) FROM tags_locked) >= 0
         ORDER BY id
           FOR KEY SHARE
    ), repositories_locked AS MATERIALIZED (
        SELECT repository_id FROM repository_usage
         WHERE repository_id = ANY (ARRAY(SELECT repository_id FROM counted))
           AND (SELECT count(*) FROM manifests_locked) >= 0
         ORDER BY repository_id
           FOR NO KEY UPDATE
    ), namespaces_locked AS MATERIALIZED (
        SELECT namespace_id FROM namespace_usage
         WHERE namespace_id = ANY (ARRAY(SELECT namespace_id FROM counted))
           AND (SELECT count(*) FROM repositories_locked) >= 0
         ORDER BY namespace_id
           FOR NO KEY UPDATE
    ), tags_added AS (
        UPDATE tags SET pulls = tags.pulls + delta.pulls, pulled_at = greatest(tags.pulled_at, delta.pulled_at)
          FROM (SELECT repository_id, name, sum(pulls) AS pulls, max(pulled_at) AS pulled_at
                  FROM of_tags JOIN tags_locked USING (repository_id, name)
                 GROUP BY 1, 2 HAVING max(pulled_at) > '-infinity') AS delta
         WHERE tags.repository_id = delta.repository_id AND tags.name = delta.name
    ), tag_days_added AS (
        INSERT INTO tag_days AS total (repository_id, tag, day, pushes, pulls)
        SELECT repository_id, name, day, sum(pushes), sum(pulls)
          FROM of_tags JOIN tags_locked USING (repository_id, name)
         WHERE (SELECT count(*) FROM namespaces_locked) >= 0
         GROUP BY 1, 2, 3 HAVING sum(pushes) + sum(pulls) > 0 ORDER BY 1, 2, 3
        ON CONFLICT (repository_id, tag, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    ), manifest_days_added AS (
        INSERT INTO manifest_days AS total (manifest_id, day, pushes, pulls)
        SELECT manifest_id, day, sum(pushes), sum(pulls)
          FROM counted JOIN manifests_locked ON manifests_locked.id = counted.manifest_id
         WHERE (SELECT count(*) FROM namespaces_locked) >= 0
         GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (manifest_id, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    ), repositories_added AS (
        UPDATE repository_usage AS usage
           SET pulls = usage.pulls + delta.pulls, pulled_at = greatest(usage.pulled_at, delta.pulled_at)
          FROM (SELECT repository_id, sum(whole_pulls) AS pulls, max(pulled_at) AS pulled_at
                  FROM counted JOIN repositories_locked USING (repository_id)
                 GROUP BY 1 HAVING max(pulled_at) > '-infinity') AS delta
         WHERE usage.repository_id = delta.repository_id
    ), repository_days_added AS (
        INSERT INTO repository_days AS total (repository_id, day, pushes, pulls)
        SELECT repository_id, day, sum(whole_pushes), sum(whole_pulls)
          FROM counted JOIN repositories_locked USING (repository_id)
         WHERE (SELECT count(*) FROM namespaces_locked) >= 0
         GROUP BY 1, 2 HAVING sum(whole_pushes) + sum(whole_pulls) > 0 ORDER BY 1, 2
        ON CONFLICT (repository_id, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    ), namespaces_added AS (
        UPDATE namespace_usage AS usage
           SET pulls = usage.pulls + delta.pulls, pulled_at = greatest(usage.pulled_at, delta.pulled_at)
          FROM (SELECT namespace_id, sum(whole_pulls) AS pulls, max(pulled_at) AS pulled_at
                  FROM counted JOIN namespaces_locked USING (namespace_id)
                 GROUP BY 1 HAVING max(pulled_at) > '-infinity') AS delta
         WHERE usage.namespace_id = delta.namespace_id
    ), namespace_days_added AS (
        INSERT INTO namespace_days AS total (namespace_id, day, pushes, pulls)
        SELECT namespace_id, day, sum(whole_pushes), sum(whole_pulls)
          FROM counted JOIN namespaces_locked USING (namespace_id)
         GROUP BY 1, 2 HAVING sum(whole_pushes) + sum(whole_pulls) > 0 ORDER BY 1, 2
        ON CONFLICT (namespace_id, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    ), registry_days_added AS (
        INSERT INTO registry_days AS total (day, pushes, pulls)
        SELECT day, sum(whole_pushes), sum(whole_pulls)
          FROM counted
         WHERE (SELECT count(*) FROM namespaces_locked) >= 0
         GROUP BY 1 HAVING sum(whole_pushes) + sum(whole_pulls) > 0 ORDER BY 1
        ON CONFLICT (day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    )
    SELECT count(*) FROM counted
    """,
)


def add(db: Database, counts: Sequence[Counts]) -> int:
    """All of them together, or none. Returns for how many there still is a repository. Raises MetadataUnavailable."""
    call = _ADD(
        repositories=[each.repository for each in counts],
        tags=[each.tag or "" for each in counts],
        digests=[each.digest.to_bytes() if each.digest else b"" for each in counts],
        pulls=[each.pulls for each in counts],
        pushes=[each.pushes for each in counts],
        ages=[each.age for each in counts],
        most_tags=MOST_TAGS,
    )
    return db.one_or_none(call) or 0
