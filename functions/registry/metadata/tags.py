"""Tags: names that move from manifest to manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import Page


@dataclass(frozen=True, slots=True)
class _ListedTag:
    name: str | None


# A repository without a tag on the page gives one row, of NULL; an unknown one gives none.
_LIST: Final = Statement(
    "tags_list",
    _ListedTag,
    """
    SELECT page.name
      FROM repositories
      LEFT JOIN LATERAL (
           SELECT tags.name FROM tags
            WHERE tags.repository_id = repositories.id AND tags.name > :last
            ORDER BY tags.name
            LIMIT :size
           ) AS page ON true
     WHERE repositories.name = :repository
     ORDER BY page.name
    """,
)

_DELETE: Final = Statement(
    "tags_delete",
    int,
    """
    DELETE FROM tags USING repositories
     WHERE repositories.name = :repository AND tags.repository_id = repositories.id AND tags.name = :tag
    """,
)


def list_names(db: Database, repository: RepositoryName, page: Page) -> list[str] | None:
    """One more than the page holds, if there are more; None if there is no such repository."""
    rows = db.all(_LIST(repository=repository, last=page.last, size=page.size + 1))
    return [row.name for row in rows if row.name is not None] if rows else None


def delete(db: Database, repository: RepositoryName, tag: Tag) -> bool:
    return db.count(_DELETE(repository=repository, tag=tag)) > 0
