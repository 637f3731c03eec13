"""A repository with all that it holds, or many of its tags, deleted in one transaction.

Only rows go, and with the links the right to their blobs: what nothing else links is then collected, objects and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from functions.registry.metadata.access import rules
from functions.registry.metadata.db import Database, Session, Statement, ranked
from functions.registry.oci.name import RepositoryName, Tag

MOST_TAGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Removed:
    """It says how much went with the repository; blobs may well be in others still."""

    tags: int
    manifests: int
    blobs: int
    uploads: int


@dataclass(frozen=True, slots=True)
class TagRemoval:
    """`reason` is why it was refused."""

    name: str
    outcome: Literal["deleted", "unknown", "refused"]
    reason: str | None


# Whoever pushes into it is waited for, and whoever comes later finds none, and makes a new one.
_LOCK: Final = Statement(
    "removal_lock", int, "SELECT id FROM repositories WHERE name = :repository FOR UPDATE OF repositories"
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
        ids = _LOCK.read(
            session.batch([ranked(rank), rules.unless_delete_protected(repository), _LOCK(repository=repository)])[-1]
        )
        if not ids:
            return None
        steps = (_TAGS, _CHILDREN, _MANIFESTS, _LINKS, _UPLOADS, _REPOSITORY)
        tags, _, manifests, links, uploads, _ = session.batch([step(id=ids[0]) for step in steps])
        return Removed(tags.count, manifests.count, links.count, uploads.count)

    return db.transaction(work, is_long=True)


def delete_tags(
    db: Database, repository: RepositoryName, tags: Sequence[Tag], rank: int = 0, *, dry_run: bool = False
) -> list[TagRemoval] | None:
    """Returns what became of each, or would; None if there is no such repository. `rank` is the caller's, for the
    rules.
    """
    call = _DELETE_TAGS(repository=repository, tags=list(tags), dry_run=dry_run)
    return _DELETE_TAGS.read(db.batch([ranked(rank), call])[-1]) or None
