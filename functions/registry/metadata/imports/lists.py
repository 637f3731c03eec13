"""Names that only a source has yet: what lists show beside what is here. Along an index, from where a page ended."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page

_TAGS: Final = Statement(
    "imports_list_tags",
    list,
    """
    SELECT (SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
              FROM (SELECT listed.name
                      FROM import_tags AS listed
                     WHERE listed.import_id = old.id AND listed.state = 'listed' AND listed.name > :last
                       AND NOT EXISTS (SELECT FROM import_deleted AS gone
                                        WHERE gone.repository = old.name AND gone.tag = listed.name
                                          AND gone.digest = '')
                     ORDER BY listed.name
                     LIMIT :size) AS page)
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id AND source.state NOT IN ('added', 'sealed')
     WHERE old.name = :repository AND old.state IN ('listed', 'importing')
    """,
)

_REPOSITORIES: Final = Statement(
    "imports_list_repositories",
    list,
    """
    SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
      FROM (SELECT name FROM import_repositories
             WHERE state IN ('listed', 'importing') AND name > :last
               AND EXISTS (SELECT FROM import_sources AS source
                            WHERE source.id = source_id AND source.state NOT IN ('added', 'sealed'))
             ORDER BY name
             LIMIT :size) AS page
    """,
)

# Each grant has its own range of the names: nothing in a name sorts before `!` or after `~`.
_VISIBLE: Final = Statement(
    "imports_list_visible",
    list,
    """
    SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
      FROM (SELECT visible.name
              FROM (SELECT * FROM grants WHERE principal_id = :principal_id OR principal_id IS NULL) AS held
             CROSS JOIN LATERAL (
                   SELECT old.name
                     FROM import_repositories AS old
                    WHERE old.state IN ('listed', 'importing') AND old.name > :last
                      AND old.name >= held.pattern_prefix AND old.name < held.pattern_prefix || '~'
                      AND old.name LIKE held.pattern_like
                      AND glob_fits(old.name, held.pattern, held.pattern_form, held.pattern_regex)
                      AND EXISTS (SELECT FROM import_sources AS source
                                   WHERE source.id = old.source_id AND source.state NOT IN ('added', 'sealed'))
                    ORDER BY old.name
                    LIMIT :size) AS visible
             GROUP BY visible.name
             ORDER BY visible.name
             LIMIT :size) AS page
    """,
)


def tag_names(db: Database, repository: RepositoryName, page: Page) -> list[str] | None:
    """Returns one more than the page holds, if there are more; None if no source has such a repository, or all of it is
    here.
    """
    return db.one_or_none(_TAGS(repository=repository, last=page.last, size=page.size + 1))


def repository_names(db: Database, page: Page, visible_to: int | None) -> list[str]:
    """Returns, as of the catalog, one more than the page holds: of a principal's grants, or all of them for None."""
    where = {"last": page.last, "size": page.size + 1}
    if visible_to is None:
        return db.one_or_none(_REPOSITORIES(**where)) or []
    return db.one_or_none(_VISIBLE(**where, principal_id=visible_to)) or []
