"""Repositories: they come into being with the first push, their namespace with them."""

from __future__ import annotations

from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page

_CREATE_NAMESPACE: Final = Statement(
    "repositories_create_namespace",
    int,
    "INSERT INTO namespaces (name) VALUES (:namespace) ON CONFLICT (name) DO NOTHING",
)

_CREATE: Final = Statement(
    "repositories_create",
    int,
    """
    INSERT INTO repositories (namespace_id, name)
    SELECT id, :repository FROM namespaces WHERE name = :namespace
    ON CONFLICT (name) DO NOTHING
    """,
)

_EXISTS: Final = Statement("repositories_exists", int, "SELECT 1 FROM repositories WHERE name = :repository")

# Those that hold something: an upload that was never finished makes a repository too.
_LIST: Final = Statement(
    "repositories_list",
    list,
    """
    SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
      FROM (SELECT repositories.name
              FROM repositories
              JOIN repository_usage ON repository_usage.repository_id = repositories.id
             WHERE repositories.name > :last AND repository_usage.manifests > 0
             ORDER BY repositories.name
             LIMIT :size) AS page
    """,
)


def creating(repository: RepositoryName) -> list[Call[Any]]:
    """What to put in front of a batch that needs the repository to exist."""
    return [
        _CREATE_NAMESPACE(namespace=repository.namespace),
        _CREATE(repository=repository, namespace=repository.namespace),
    ]


def exists(db: Database, repository: RepositoryName) -> bool:
    return db.one_or_none(_EXISTS(repository=repository)) is not None


def list_names(db: Database, page: Page) -> list[str]:
    """One more than the page holds, if there are more."""
    return db.one_or_none(_LIST(last=page.last, size=page.size + 1)) or []
