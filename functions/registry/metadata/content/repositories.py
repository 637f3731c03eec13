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
    is_hot=True,
)

# An existing row is locked, but not changed: it then keeps its name for the rest of the transaction.
_CREATE: Final = Statement(
    "repositories_create",
    int,
    """
    INSERT INTO repositories (namespace_id, name)
    SELECT id, :repository FROM namespaces WHERE name = :namespace
    ON CONFLICT (name) DO UPDATE SET created_at = repositories.created_at WHERE false
    """,
    is_hot=True,
)

_HOLD: Final = Statement(
    "repositories_hold",
    int,
    "SELECT 1 FROM repositories WHERE name = :repository FOR KEY SHARE OF repositories",
    is_hot=True,
)

_EXISTS: Final = Statement("repositories_exists", int, "SELECT 1 FROM repositories WHERE name = :repository")

# Those that hold something: an upload that was never finished makes a repository too. Each is looked up in the order of
# the names: OFFSET 0 keeps the planner from reading all figures for the last few.
_LIST: Final = Statement(
    "repositories_list",
    list,
    """
    SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
      FROM (SELECT repositories.name
              FROM repositories
             CROSS JOIN LATERAL (
                   SELECT manifests FROM repository_usage WHERE repository_id = repositories.id OFFSET 0) AS held
             WHERE repositories.name > :last AND held.manifests > 0 AND repositories.deleted_at IS NULL
             ORDER BY repositories.name
             LIMIT :size) AS page
    """,
    is_hot=True,
)

# Of each namespace in which there is a grant the first names that one matches: its repositories are gone through once,
# however many patterns there are. A grant for several namespaces at once has its own range of the names: nothing in a
# name sorts before `!` or after `~`.
_LIST_VISIBLE: Final = Statement(
    "repositories_list_visible",
    list,
    """
    WITH held AS MATERIALIZED (
        SELECT * FROM grants WHERE grants.principal_id = :principal_id OR grants.principal_id IS NULL
    )
    SELECT coalesce(json_agg(page.name ORDER BY page.name), '[]')
      FROM (SELECT visible.name
              FROM (SELECT DISTINCT namespace FROM held WHERE namespace <> '') AS granted
              JOIN namespaces ON namespaces.name = granted.namespace
             CROSS JOIN LATERAL (
                   SELECT repositories.name
                     FROM repositories
                    WHERE repositories.namespace_id = namespaces.id AND repositories.name > :last
                      AND EXISTS (SELECT FROM held AS grants
                                   WHERE grants.namespace = granted.namespace
                                     AND repositories.name >= grants.pattern_prefix
                                     AND repositories.name < grants.pattern_prefix || '~'
                                     AND repositories.name LIKE grants.pattern_like
                                     AND glob_fits(repositories.name, grants.pattern, grants.pattern_form,
                                                   grants.pattern_regex))
                      AND repositories.deleted_at IS NULL
                      AND (SELECT manifests > 0 FROM repository_usage WHERE repository_id = repositories.id)
                    ORDER BY repositories.name
                    LIMIT :size) AS visible
             UNION
            SELECT visible.name
              FROM held AS grants
             CROSS JOIN LATERAL (
                   SELECT repositories.name
                     FROM repositories
                    WHERE repositories.name > :last
                      AND repositories.name >= grants.pattern_prefix
                      AND repositories.name < grants.pattern_prefix || '~'
                      AND repositories.name LIKE grants.pattern_like
                      AND glob_fits(repositories.name, grants.pattern, grants.pattern_form, grants.pattern_regex)
                      AND repositories.deleted_at IS NULL
                      AND (SELECT manifests > 0 FROM repository_usage WHERE repository_id = repositories.id)
                    ORDER BY repositories.name
                    LIMIT :size) AS visible
             WHERE grants.namespace = ''
             ORDER BY name
             LIMIT :size) AS page
    """,
)


def creating_namespace(namespace: str) -> Call[Any]:
    return _CREATE_NAMESPACE(namespace=namespace)


def creating(repository: RepositoryName) -> list[Call[Any]]:
    """Returns what to put in front of a batch that needs the repository to exist, by this name, until it is over."""
    return [
        creating_namespace(repository.namespace),
        _CREATE(repository=repository, namespace=repository.namespace),
    ]


def holding(repository: RepositoryName) -> Call[int]:
    """Returns what to put in front of a batch that changes more than once what is counted, so that no move comes
    between.
    """
    return _HOLD(repository=repository)


def exists(db: Database, repository: RepositoryName) -> bool:
    return db.one_or_none(_EXISTS(repository=repository)) is not None


def list_names(db: Database, page: Page, visible_to: int | None = None) -> list[str]:
    """Returns names in order; one more than the page holds, if there are more.

    With a principal, or 0 for somebody unknown: those only in which it, or anyone, has a grant.
    """
    if visible_to is None:
        return db.one_or_none(_LIST(last=page.last, size=page.size + 1)) or []
    call = _LIST_VISIBLE(principal_id=visible_to, last=page.last, size=page.size + 1)
    return db.one_or_none(call) or []
