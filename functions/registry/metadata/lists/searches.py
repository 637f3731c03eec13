"""Names that hold a text: of repositories, and of the tags of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.lists.repositories import VISIBLE
from functions.registry.metadata.lists.tags import written_digest

# Names are read along their index, in order, and no further than this: a search is answered at once, or not at all.
_REACH: Final = 200_000


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

_TAGS: Final = Statement(
    "searches_tags",
    dict,
    compose(
        """
    SELECT json_build_object(
           'results', (SELECT coalesce(json_agg(json_build_object(
                              'name', :repository || ':' || found.name, 'kind', 'tag', 'digest', found.digest)
                              ORDER BY found.name), '[]')
                         FROM (SELECT tags.name, $digest AS digest
                                 FROM repositories
                                 JOIN tags ON tags.repository_id = repositories.id
                                 JOIN manifests ON manifests.id = tags.manifest_id
                                WHERE repositories.name = :repository
                                  AND tags.name >= :text AND tags.name < :text || '~'
                                  AND $visible
                                ORDER BY tags.name
                                LIMIT :size) AS found),
           'passed', false)
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
    """Returns those of one repository that begin with the text; none where it isn't there, or may not be seen."""
    return results(db.all(among_tags(repository, text, most, visible_to))[0], most)


def among_tags(repository: str, text: str, most: int, visible_to: int | None) -> Call[dict[str, Any]]:
    """Returns what `tags` asks, for a batch."""
    return _TAGS(repository=repository, text=text, size=most + 1, principal_id=visible_to)


def results(found: dict[str, Any], most: int) -> Results:
    """Reads the row of either."""
    shown = found["results"]
    return Results(shown[:most], complete=len(shown) <= most and not found["passed"])
