"""Lists that show old and new together: what is here, and what only a registry that is being moved in has yet."""

from __future__ import annotations

from functions.registry.imports.touch import Touching
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import lists
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page


def with_old_tags(
    database: Database, imports: Touching, repository: RepositoryName, page: Page, here: list[str] | None
) -> list[str] | None:
    """Returns one more than the page holds, if there are more; None if neither has such a repository.

    Raises BlobStoreUnavailable while only a part of its tags is known.
    """
    if not imports.sources.layouts():
        return here
    imports.require_listed(repository)
    old = lists.tag_names(database, repository, page)
    return here if old is None else _merged(here or [], old, page)


def with_old_repositories(
    database: Database, imports: Touching, page: Page, visible_to: int | None, here: list[str]
) -> list[str]:
    """Does as above, of repositories; those that nobody has listed yet are not among them."""
    if not imports.sources.known():
        return here
    return _merged(here, lists.repository_names(database, page, visible_to), page)


def _merged(here: list[str], old: list[str], page: Page) -> list[str]:
    return sorted({*here, *old})[: page.size + 1]
