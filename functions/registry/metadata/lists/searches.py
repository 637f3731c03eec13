"""Names that hold a text: of repositories, and of the tags in those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.lists.repositories import VISIBLE
from functions.registry.metadata.lists.tags import written_digest

# Names are read along their index, in order, and no further than this: a search is answered at once, or not at all.
_REACH: Final = 200_000
# Repositories in which tags are looked for.
_LOOKED_INTO: Final = 1000


@dataclass(frozen=True, slots=True)
class Results:
    """Each with `name`, `kind` (repository or tag) and `digest` (a tag's)."""

    results: list[dict[str, Any]]
    complete: bool


# One more than are shown tells that there are more; whoever gives up at the last name knows as much.
_REPOSITORIES: Final = Statement(
    "searches_repositories",
    dict,
    compose(
        """
    WITH found AS (
        SELECT repositories.name
          FROM (SELECT id, name, deleted_at FROM repositories
                 WHERE name > '' ORDER BY name LIMIT :reach) AS repositories
         WHERE repositories.deleted_at IS NULL AND strpos(repositories.name, :text) > 0
           AND (SELECT usage.manifests > 0 FROM repository_usage AS usage WHERE usage.repository_id = repositories.id)
           AND $visible
         ORDER BY repositories.name
         LIMIT :size
    )
    SELECT json_build_object(
           'results', (SELECT coalesce(json_agg(json_build_object('name', name, 'kind', 'repository', 'digest', NULL)
                                                ORDER BY name), '[]') FROM found),
           'passed', (SELECT count(*) < :size FROM found)
                 AND EXISTS (SELECT FROM repositories WHERE name > '' ORDER BY name OFFSET :reach LIMIT 1))
    """,
        visible=VISIBLE,
    ),
)

# The repository of that very name comes first, and of the others as many are looked into as may be shown.
_TAGS: Final = Statement(
    "searches_tags",
    dict,
    compose(
        """
    WITH named AS MATERIALIZED (
        SELECT repositories.id, repositories.name
          FROM (SELECT id, name, deleted_at FROM repositories
                 WHERE name > '' ORDER BY name LIMIT :reach) AS repositories
         WHERE repositories.deleted_at IS NULL
           AND right(repositories.name, length(:repository) + 1) = '/' || :repository AND $visible
         UNION
        SELECT repositories.id, repositories.name FROM repositories
         WHERE repositories.name = :repository AND repositories.deleted_at IS NULL AND $visible
         ORDER BY name
    ), chosen AS MATERIALIZED (
        SELECT id, name FROM named ORDER BY name <> :repository, name LIMIT :looked_into
    ), found AS (
        SELECT chosen.name AS repository, tags.name, tags.digest
          FROM chosen
         CROSS JOIN LATERAL (
               SELECT tags.name, $digest AS digest
                 FROM tags JOIN manifests ON manifests.id = tags.manifest_id
                WHERE tags.repository_id = chosen.id AND tags.name >= :text AND tags.name < :text || '~'
                ORDER BY tags.name
                LIMIT :size) AS tags
         ORDER BY chosen.name <> :repository, chosen.name, tags.name
         LIMIT :size
    )
    SELECT json_build_object(
           'results', (SELECT coalesce(json_agg(json_build_object(
                              'name', repository || ':' || name, 'kind', 'tag', 'digest', digest)
                              ORDER BY repository <> :repository, repository, name), '[]') FROM found),
           'passed', (SELECT count(*) < :size FROM found)
                 AND ((SELECT count(*) > :looked_into FROM named)
                      OR EXISTS (SELECT FROM repositories WHERE name > '' ORDER BY name OFFSET :reach LIMIT 1)))
    """,
        visible=VISIBLE,
        digest=written_digest("manifests.digest"),
    ),
)


def repositories(db: Database, text: str, most: int, visible_to: int | None) -> Results:
    """Returns those that hold something, by name. With a principal, or 0 for nobody: where it or anyone has a grant."""
    return results(db.all(among_repositories(text, most, visible_to))[0], most)


def among_repositories(text: str, most: int, visible_to: int | None) -> Call[dict[str, Any]]:
    """Returns what `repositories` asks, for a batch."""
    return _REPOSITORIES(text=text, size=most + 1, reach=_REACH, principal_id=visible_to)


def tags(db: Database, repository: str, text: str, most: int, visible_to: int | None) -> Results:
    """Returns those that begin with the text, of the repository and of those whose name ends so, as far as they may be
    seen.
    """
    return results(db.all(among_tags(repository, text, most, visible_to))[0], most)


def among_tags(repository: str, text: str, most: int, visible_to: int | None) -> Call[dict[str, Any]]:
    """Returns what `tags` asks, for a batch."""
    return _TAGS(
        repository=repository,
        text=text,
        size=most + 1,
        reach=_REACH,
        looked_into=_LOOKED_INTO,
        principal_id=visible_to,
    )


def results(found: dict[str, Any], most: int) -> Results:
    """Reads the row of either."""
    shown = found["results"]
    return Results(shown[:most], complete=len(shown) <= most and not found["passed"])
