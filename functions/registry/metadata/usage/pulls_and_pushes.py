"""Pulls and pushes, as instances counted them: added to tags, repositories, namespaces, the registry, and their days.

A pull by tag counts for the tag and for what it names. One by digest counts for the manifest and for the tags that name
it, since most clients ask by HEAD what a tag names and then pull that. What an index lists is a part of a pull that has
been counted: it counts for the manifest alone, though the tags that name it are in use as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry import told
from functions.registry.metadata.db import Call, Database, Statement, compose
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


# A batch in the order of locks: repositories against their end, tags as pushes lock them before they count, manifests
# against garbage collection, then the figures of repositories and namespaces. What is gone meanwhile is left out.
_LOCK_REPOSITORIES: Final = Statement(
    "pulls_and_pushes_lock_repositories",
    str,
    "SELECT name FROM repositories WHERE name = ANY (CAST(:repositories AS text[])) ORDER BY id FOR KEY SHARE",
)

# What was counted, with the ids of what it is of. `whole` is what counts for more than the manifest or the tag itself.
_COUNTED: Final = """
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
                WHERE child_id = manifests.id AND counted.tag = '' LIMIT 1) AS listed ON true"""


def _adding(name: str, sql: str) -> Statement[int]:
    """Makes a statement in which `$counted` stands for the rows of _COUNTED."""
    return Statement(name, int, compose(sql, counted=_COUNTED), is_hot=True)


_ADD_TO_TAGS: Final = _adding(
    "pulls_and_pushes_add_to_tags",
    """
    WITH counted AS MATERIALIZED ($counted
    ), of_tags AS MATERIALIZED (
        SELECT repository_id, tag AS name, day, pulls, pushes, pulled_at FROM counted WHERE tag <> ''
         UNION ALL
        SELECT counted.repository_id, named.name, counted.day, counted.whole_pulls, 0, counted.pulled_at
          FROM counted
         CROSS JOIN LATERAL (
               SELECT tags.name FROM tags WHERE tags.manifest_id = counted.manifest_id
                ORDER BY tags.updated_at DESC, tags.name LIMIT :most_tags) AS named
         WHERE counted.tag = '' AND counted.pulls > 0
    ), locked AS MATERIALIZED (
        SELECT tags.repository_id, tags.name
          FROM tags
          JOIN (SELECT DISTINCT repository_id, name FROM of_tags) AS touched
            ON touched.repository_id = tags.repository_id AND touched.name = tags.name
         ORDER BY tags.repository_id, tags.name
           FOR NO KEY UPDATE OF tags
    ), days_added AS (
        INSERT INTO tag_days AS total (repository_id, tag, day, pushes, pulls)
        SELECT repository_id, name, day, sum(pushes), sum(pulls)
          FROM of_tags JOIN locked USING (repository_id, name)
         GROUP BY 1, 2, 3 HAVING sum(pushes) + sum(pulls) > 0 ORDER BY 1, 2, 3
        ON CONFLICT (repository_id, tag, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    )
    UPDATE tags SET pulls = tags.pulls + delta.pulls, pulled_at = greatest(tags.pulled_at, delta.pulled_at)
      FROM (SELECT repository_id, name, sum(pulls) AS pulls, max(pulled_at) AS pulled_at
              FROM of_tags JOIN locked USING (repository_id, name)
             GROUP BY 1, 2 HAVING max(pulled_at) > '-infinity') AS delta
     WHERE tags.repository_id = delta.repository_id AND tags.name = delta.name
    """,
)

_ADD_TO_MANIFESTS: Final = _adding(
    "pulls_and_pushes_add_to_manifests",
    """
    WITH counted AS MATERIALIZED ($counted
    ), locked AS MATERIALIZED (
        SELECT id FROM manifests WHERE id = ANY (ARRAY(SELECT manifest_id FROM counted)) ORDER BY id FOR KEY SHARE
    )
    INSERT INTO manifest_days AS total (manifest_id, day, pushes, pulls)
    SELECT manifest_id, day, sum(pushes), sum(pulls)
      FROM counted JOIN locked ON locked.id = counted.manifest_id
     GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (manifest_id, day)
    DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    """,
)

_LOCK_REPOSITORY_USAGE: Final = Statement(
    "pulls_and_pushes_lock_repository_usage",
    int,
    """
    SELECT usage.repository_id
      FROM repository_usage AS usage JOIN repositories ON repositories.id = usage.repository_id
     WHERE repositories.name = ANY (CAST(:repositories AS text[]))
     ORDER BY usage.repository_id
       FOR NO KEY UPDATE OF usage
    """,
)

_LOCK_NAMESPACE_USAGE: Final = Statement(
    "pulls_and_pushes_lock_namespace_usage",
    int,
    """
    SELECT namespace_id FROM namespace_usage
     WHERE namespace_id = ANY (
           ARRAY(SELECT namespace_id FROM repositories WHERE name = ANY (CAST(:repositories AS text[]))))
     ORDER BY namespace_id
       FOR NO KEY UPDATE
    """,
)

# All of it is locked by now, so its parts may run in any order. They are one statement because they have to agree: an
# index that is pushed meanwhile makes a pull that was whole a part.
_ADD_TO_USAGE: Final = _adding(
    "pulls_and_pushes_add_to_usage",
    """
    WITH counted AS MATERIALIZED ($counted
    ), repositories_added AS (
        UPDATE repository_usage AS usage
           SET pulls = usage.pulls + delta.pulls, pulled_at = greatest(usage.pulled_at, delta.pulled_at)
          FROM (SELECT repository_id, sum(whole_pulls) AS pulls, max(pulled_at) AS pulled_at
                  FROM counted GROUP BY 1 HAVING max(pulled_at) > '-infinity') AS delta
         WHERE usage.repository_id = delta.repository_id
    ), repository_days_added AS (
        INSERT INTO repository_days AS total (repository_id, day, pushes, pulls)
        SELECT repository_id, day, sum(whole_pushes), sum(whole_pulls)
          FROM counted GROUP BY 1, 2 HAVING sum(whole_pushes) + sum(whole_pulls) > 0 ORDER BY 1, 2
        ON CONFLICT (repository_id, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    ), namespaces_added AS (
        UPDATE namespace_usage AS usage
           SET pulls = usage.pulls + delta.pulls, pulled_at = greatest(usage.pulled_at, delta.pulled_at)
          FROM (SELECT namespace_id, sum(whole_pulls) AS pulls, max(pulled_at) AS pulled_at
                  FROM counted GROUP BY 1 HAVING max(pulled_at) > '-infinity') AS delta
         WHERE usage.namespace_id = delta.namespace_id
    ), namespace_days_added AS (
        INSERT INTO namespace_days AS total (namespace_id, day, pushes, pulls)
        SELECT namespace_id, day, sum(whole_pushes), sum(whole_pulls)
          FROM counted GROUP BY 1, 2 HAVING sum(whole_pushes) + sum(whole_pulls) > 0 ORDER BY 1, 2
        ON CONFLICT (namespace_id, day)
        DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    )
    INSERT INTO registry_days AS total (day, pushes, pulls)
    SELECT day, sum(whole_pushes), sum(whole_pulls)
      FROM counted GROUP BY 1 HAVING sum(whole_pushes) + sum(whole_pulls) > 0 ORDER BY 1
    ON CONFLICT (day)
    DO UPDATE SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls
    """,
)


def add(db: Database, counts: Sequence[Counts]) -> int:
    """Adds all of them together, or none. Returns for how many there still is a repository.

    Raises MetadataUnavailable.
    """
    repositories = [each.repository for each in counts]
    counted = {
        "repositories": repositories,
        "tags": [each.tag or "" for each in counts],
        "digests": [each.digest.to_bytes() if each.digest else b"" for each in counts],
        "pulls": [each.pulls for each in counts],
        "pushes": [each.pushes for each in counts],
        "ages": [each.age for each in counts],
    }
    calls: list[Call[Any]] = [
        _LOCK_REPOSITORIES(repositories=repositories),
        _ADD_TO_TAGS(**counted, most_tags=MOST_TAGS),
        _ADD_TO_MANIFESTS(**counted),
        _LOCK_REPOSITORY_USAGE(repositories=repositories),
        _LOCK_NAMESPACE_USAGE(repositories=repositories),
        _ADD_TO_USAGE(**counted),
    ]
    with told.telling(told.USAGE):
        locked, *_ = db.batch(calls)
    there = set(_LOCK_REPOSITORIES.read(locked))
    return sum(repository in there for repository in repositories)
