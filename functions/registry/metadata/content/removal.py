"""A repository with all that it holds, or many of its tags, deleted in one transaction.

For as long as it can be put back, a repository is only set aside: under a name that no client can say nothing of it is
served, and all of it stays. Where nothing can be put back its rows go, and with the links the right to their blobs:
what nothing else links is then collected, objects and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from functions.registry.metadata.access import rules
from functions.registry.metadata.db import Call, Database, Session, Statement, ranked
from functions.registry.oci.name import RepositoryName, Tag

MOST_TAGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Removed:
    """It says how much went with the repository; blobs may well be in others still. `restorable_until` is until when
    all of it can be put back; None if it can't.
    """

    tags: int
    manifests: int
    blobs: int
    uploads: int
    restorable_until: datetime | None


@dataclass(frozen=True, slots=True)
class TagRemoval:
    """`reason` is why it was refused."""

    name: str
    outcome: Literal["deleted", "unknown", "refused"]
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Locked:
    id: int
    can_come_back: bool


# Whoever pushes into it is waited for, and whoever comes later finds none, and makes a new one.
_LOCK: Final = Statement(
    "removal_lock",
    _Locked,
    """
    SELECT id, undo_window(id) > interval '0' FROM repositories WHERE name = :repository FOR UPDATE OF repositories
    """,
)

# What the trigger asks of each tag that is deleted. Where there are no rules nothing is asked.
_UNLESS_TAGS_ARE_KEPT: Final = Statement(
    "removal_unless_tags_are_kept",
    str,
    """
    SELECT refuse((
           SELECT coalesce(tag_refusal(repositories.name, tags.name, false, caller_rank()),
                           deletion_refusal(repositories.name, tags.name, caller_rank()))
             FROM repositories JOIN tags ON tags.repository_id = repositories.id
            WHERE repositories.id = :id
              AND EXISTS (SELECT FROM tag_rules
                           WHERE tag_rules.namespace IN ('', split_part(repositories.name, '/', 1)))
              AND coalesce(tag_refusal(repositories.name, tags.name, false, caller_rank()),
                           deletion_refusal(repositories.name, tags.name, caller_rank())) IS NOT NULL
            LIMIT 1))
    """,
)

# No repository's name has an @, so nobody can ask for it.
_SET_ASIDE: Final = Statement(
    "removal_set_aside",
    Removed,
    """
    UPDATE repositories
       SET name = repositories.name || '@' || repositories.id, deleted_at = now(),
           deleted_until = now() + undo_window(repositories.id), deleted_by = change_actor()
      FROM repository_usage AS usage
     WHERE repositories.id = :id AND usage.repository_id = repositories.id
    RETURNING usage.tags, usage.manifests, usage.blobs,
              (SELECT count(*) FROM uploads WHERE uploads.repository_id = repositories.id), repositories.deleted_until
    """,
)

# In the order in which whoever deletes one of them locks them. Rules for tags are obeyed here.
_TAGS: Final = Statement("removal_tags", int, "DELETE FROM tags WHERE repository_id = :id")

# What an index lists can't go before it, so the lists go first.
_CHILDREN: Final = Statement(
    "removal_children",
    int,
    """
    DELETE FROM manifest_children USING manifests
     WHERE manifests.repository_id = :id AND manifest_children.parent_id = manifests.id
    """,
)

_WITHDRAWN: Final = Statement("removal_withdrawn", int, "DELETE FROM withdrawn_manifests WHERE repository_id = :id")

_MANIFESTS: Final = Statement("removal_manifests", int, "DELETE FROM manifests WHERE repository_id = :id")

_LINKS: Final = Statement("removal_links", int, "DELETE FROM repository_blobs WHERE repository_id = :id")

_UPLOADS: Final = Statement("removal_uploads", int, "DELETE FROM uploads WHERE repository_id = :id")

_REPOSITORY: Final = Statement("removal_repository", int, "DELETE FROM repositories WHERE id = :id")

# What a rule refuses is left out, where a single deletion would fail; a trigger looks once more.
_DELETE_TAGS: Final = Statement(
    "removal_delete_tags",
    TagRemoval,
    """
    WITH found AS MATERIALIZED (
        SELECT tags.repository_id, tags.name,
               coalesce(tag_refusal(repositories.name, tags.name, false, caller_rank()),
                        deletion_refusal(repositories.name, tags.name, caller_rank())) AS reason
          FROM repositories
         CROSS JOIN (SELECT DISTINCT name FROM unnest(CAST(:tags AS text[])) AS tag (name)) AS asked
          JOIN tags ON tags.repository_id = repositories.id AND tags.name = asked.name
         WHERE repositories.name = :repository
         ORDER BY tags.name
           FOR UPDATE OF tags
    ), deleted AS (
        DELETE FROM tags USING found
         WHERE NOT CAST(:dry_run AS boolean) AND found.reason IS NULL
           AND tags.repository_id = found.repository_id AND tags.name = found.name
    )
    SELECT asked.name,
           CASE WHEN found.name IS NULL THEN 'unknown' WHEN found.reason IS NULL THEN 'deleted' ELSE 'refused' END,
           found.reason
      FROM repositories
     CROSS JOIN (SELECT DISTINCT name COLLATE "C" AS name FROM unnest(CAST(:tags AS text[])) AS tag (name)) AS asked
      LEFT JOIN found ON found.name = asked.name
     WHERE repositories.name = :repository
     ORDER BY asked.name
    """,
)


def remove(db: Database, repository: RepositoryName, rank: int = 0) -> Removed | None:
    """Removes all of it or nothing, however long that takes; None if there is no such repository.

    `rank` is that of the caller's role: raises ChangeRefused if the repository, or one of its tags, is kept from it.
    """

    def work(session: Session) -> Removed | None:
        calls: list[Call[Any]] = [ranked(rank), rules.unless_delete_protected(repository), _LOCK(repository=repository)]
        for locked in _LOCK.read(session.batch(calls)[-1]):
            if not locked.can_come_back:
                return end(session, locked.id)
            return _SET_ASIDE.read(session.batch([_UNLESS_TAGS_ARE_KEPT(id=locked.id), _SET_ASIDE(id=locked.id)])[-1])[
                0
            ]
        return None

    return db.transaction(work, is_long=True)


def end(session: Session, repository_id: int) -> Removed:
    """Deletes all rows of a repository that is locked. In the order in which whoever deletes one of them locks them."""
    steps = (_TAGS, _CHILDREN, _WITHDRAWN, _MANIFESTS, _LINKS, _UPLOADS, _REPOSITORY)
    tags, _, _, manifests, links, uploads, _ = session.batch([step(id=repository_id) for step in steps])
    return Removed(tags.count, manifests.count, links.count, uploads.count, None)


def delete_tags(
    db: Database, repository: RepositoryName, tags: Sequence[Tag], rank: int = 0, *, dry_run: bool = False
) -> list[TagRemoval] | None:
    """Returns what became of each, or would; None if there is no such repository. `rank` is the caller's, for the
    rules.
    """
    call = _DELETE_TAGS(repository=repository, tags=list(tags), dry_run=dry_run)
    return _DELETE_TAGS.read(db.batch([ranked(rank), call])[-1]) or None
