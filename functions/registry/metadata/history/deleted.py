"""What is deleted and can be put back: whole repositories, which are set aside, and tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry import told
from functions.registry.metadata.content import removal, repositories
from functions.registry.metadata.content.removal import Removed
from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement
from functions.registry.metadata.lists.keyset import Column, Found, Rows, Walk, walk
from functions.registry.metadata.lists.tags import written_digest
from functions.registry.metadata.usage import quotas
from functions.registry.oci.name import RepositoryName


class NameTaken(Exception):
    """A repository has the name by now: it can be put back under another."""


class NotDeleted(Exception):
    """No repository of that name is set aside, or its time is over."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What is back, under its name."""

    name: str
    tags: int
    manifests: int


# The name is what stands before the @. Several of one name are told apart by their ids.
_REPOSITORIES: Final = """
    WITH walked AS MATERIALIZED (
        SELECT $key AS key, repositories.*
          FROM repositories
         WHERE repositories.deleted_at IS NOT NULL AND $scope AND $here
         ORDER BY $order
         LIMIT least(CAST(:reach AS bigint), CAST(:size AS bigint))
    )
    SELECT coalesce(json_agg(json_build_array(walked.key, walked.id, json_build_object(
           'name', split_part(walked.name, '@', 1), 'id', walked.id, 'deleted_at', walked.deleted_at,
           'deleted_by', walked.deleted_by, 'restorable_until', walked.deleted_until,
           'tags', usage.tags, 'manifests', usage.manifests, 'bytes', usage.bytes))
           ORDER BY walked.key $way, walked.id $way), '[]'),
           NULL
      FROM walked
     CROSS JOIN LATERAL (
           SELECT * FROM repository_usage WHERE repository_usage.repository_id = walked.id OFFSET 0) AS usage
"""

# The last that a tag named, if nothing has its name by now. What can't be put back any more is passed by.
_TAGS: Final = """
    WITH walked AS MATERIALIZED (
        SELECT $key AS key, tag_history.*
          FROM tag_history
         WHERE NOT tag_history.is_move AND $here
         ORDER BY $order
         LIMIT :reach
    ), page AS (
        SELECT walked.key, walked.id, json_build_object(
               'repository', repositories.name, 'tag', walked.tag, 'digest', $digest, 'kind', walked.kind,
               'size', walked.size, 'deleted_at', walked.until, 'deleted_by', walked.actor, 'cause', walked.cause,
               'restorable_until', restorable_until(walked.repository_id, walked.digest)) AS item
          FROM walked
         CROSS JOIN LATERAL (SELECT * FROM repositories WHERE repositories.id = walked.repository_id OFFSET 0
               ) AS repositories
         WHERE repositories.deleted_at IS NULL
           AND (CAST(:namespace AS text) IS NULL OR split_part(repositories.name, '/', 1) = CAST(:namespace AS text))
           AND (SELECT count(*) = 0 FROM tags
                 WHERE tags.repository_id = walked.repository_id AND tags.name = walked.tag)
           AND (SELECT max(later.id) = walked.id FROM tag_history AS later
                 WHERE later.repository_id = walked.repository_id AND later.tag = walked.tag)
           AND restore_refusal(walked.repository_id, walked.digest) IS NULL
         ORDER BY walked.key $way, walked.id $way
         LIMIT :size
    )
    SELECT (SELECT coalesce(json_agg(json_build_array(key, id, item) ORDER BY key $way, id $way), '[]') FROM page),
           CASE WHEN (SELECT count(*) FROM page) < :size THEN
                (SELECT json_build_array(key, id) FROM walked ORDER BY key $way, id $way OFFSET :reach - 1 LIMIT 1) END
"""

_DELETED: Final = Column("repositories.deleted_at", "timestamptz", "repositories.id")
_ENDED: Final = Column("tag_history.until", "timestamptz", "tag_history.id")
_OF_NAMESPACE: Final = "repositories.namespace_id = (SELECT id FROM namespaces WHERE namespaces.name = :namespace)"


def _listing(name: str, column: Column, template: str, *, descending: bool, **parts: str) -> Statement[Rows]:
    sql = column.walk(template, descending=descending, **parts)
    return Statement(f"deleted_{name}_{'down' if descending else 'up'}", Rows, sql)


_LISTS: Final = {
    (is_within, descending): _listing(
        "repositories_of_namespace" if is_within else "repositories",
        _DELETED,
        _REPOSITORIES,
        descending=descending,
        scope=_OF_NAMESPACE if is_within else "true",
    )
    for is_within in (False, True)
    for descending in (False, True)
}
_TAG_LISTS: Final = {
    descending: _listing("tags", _ENDED, _TAGS, descending=descending, digest=written_digest("walked.digest"))
    for descending in (False, True)
}


def list_repositories(db: Database, namespace: str | None, part: Walk) -> Found:
    """Returns repositories that are set aside, in the registry or in one namespace."""
    return walk(db, paging_repositories(namespace, part), part.size) or Found([], [], None)


def paging_repositories(namespace: str | None, part: Walk) -> Call[Rows]:
    """Returns what `list_repositories` asks, for a batch."""
    values: dict[str, Any] = {} if namespace is None else {"namespace": namespace}
    return _LISTS[namespace is not None, part.descending](**values, **part.values(_DELETED))


def list_tags(db: Database, namespace: str | None, part: Walk) -> Found:
    """Returns tags of repositories that are there, by when they were deleted."""
    return walk(db, paging_tags(namespace, part), part.size) or Found([], [], None)


def paging_tags(namespace: str | None, part: Walk) -> Call[Rows]:
    """Returns what `list_tags` asks, for a batch."""
    return _TAG_LISTS[part.descending](namespace=namespace, **part.values(_ENDED))


# What sorts between `NAME@` and `NAMEA` is what was set aside under that name.
_FIND: Final = Statement(
    "deleted_find",
    int,
    """
    SELECT id FROM repositories
     WHERE name >= CAST(:repository AS text) || '@' AND name < CAST(:repository AS text) || 'A'
       AND deleted_at IS NOT NULL AND deleted_until > now()
       AND (CAST(:id AS bigint) IS NULL OR id = CAST(:id AS bigint))
     ORDER BY deleted_at DESC, id DESC
     LIMIT 1
       FOR UPDATE
    """,
)

# First it is one of its namespace again, which the quota of that may refuse; then it has its name.
_RETURN: Final = Statement(
    "deleted_return",
    int,
    "UPDATE repositories SET deleted_at = NULL, deleted_until = NULL, deleted_by = NULL WHERE id = :id",
)

_RENAME: Final = Statement(
    "deleted_rename",
    Returned,
    """
    UPDATE repositories
       SET name = :new, namespace_id = (SELECT namespaces.id FROM namespaces WHERE namespaces.name = :namespace)
      FROM repository_usage AS usage
     WHERE repositories.id = :id AND usage.repository_id = repositories.id
    RETURNING repositories.name, usage.tags, usage.manifests
    """,
)


def put_back(
    db: Database, repository: RepositoryName, new: RepositoryName | None = None, repository_id: int | None = None
) -> Returned:
    """All of it is served again, under its own name or `new`; of several of that name the one deleted last, or the one
    with that id. Raises NotDeleted, NameTaken, and ChangeRefused where a quota has no room.
    """
    name = new or repository

    def work(session: Session) -> Returned:
        calls: list[Call[Any]] = [quotas.claiming(name.namespace)]
        if name.namespace != repository.namespace:
            calls.append(repositories.creating_namespace(name.namespace))
        found = _FIND.read(session.batch([*calls, _FIND(repository=repository, id=repository_id)])[-1])
        if not found:
            raise NotDeleted
        renaming = _RENAME(id=found[0], new=name, namespace=name.namespace)
        return _RENAME.read(session.batch([_RETURN(id=found[0]), renaming])[-1])[0]

    try:
        with told.because("restore"):
            return db.transaction(work, is_long=True)
    except Conflict as conflict:
        raise NameTaken from conflict


_LOCK: Final = Statement(
    "deleted_lock",
    int,
    """
    SELECT id FROM repositories
     WHERE name >= CAST(:repository AS text) || '@' AND name < CAST(:repository AS text) || 'A'
       AND deleted_at IS NOT NULL AND (CAST(:id AS bigint) IS NULL OR id = CAST(:id AS bigint))
     ORDER BY id
       FOR UPDATE
    """,
)


def purge(db: Database, repository: RepositoryName, repository_id: int | None = None) -> Removed:
    """Deletes for good what is set aside under that name, or the one with that id. Raises NotDeleted."""

    def work(session: Session) -> Removed:
        found = session.all(_LOCK(repository=repository, id=repository_id))
        if not found:
            raise NotDeleted
        ended = [removal.end(session, each) for each in found]
        return Removed(
            sum(each.tags for each in ended),
            sum(each.manifests for each in ended),
            sum(each.blobs for each in ended),
            sum(each.uploads for each in ended),
            None,
        )

    with told.because("purge"):
        return db.transaction(work, is_long=True)
