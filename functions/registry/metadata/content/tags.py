"""Tags: names that move from manifest to manifest."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Database, Statement, ranked
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import Page

# A page is one row: a thousand rows would cost more to read than to find. An unknown repository gives none.
_LIST: Final = Statement(
    "tags_list",
    list,
    """
    SELECT (SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
              FROM (SELECT tags.name FROM tags
                     WHERE tags.repository_id = repositories.id AND tags.name > :last
                     ORDER BY tags.name
                     LIMIT :size) AS page)
      FROM repositories
     WHERE repositories.name = :repository
    """,
    is_hot=True,
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
    """Returns names in order, one more than the page holds, if there are more; None if there is no such repository."""
    return db.one_or_none(_LIST(repository=repository, last=page.last, size=page.size + 1))


def delete(db: Database, repository: RepositoryName, tag: Tag, rank: int = 0) -> bool:
    """`rank` is the caller's, for the rules. Raises ChangeRefused."""
    return db.batch([ranked(rank), _DELETE(repository=repository, tag=tag)])[-1].count > 0
