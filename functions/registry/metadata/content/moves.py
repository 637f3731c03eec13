"""A repository under another name, alone or with everything below it, in its own namespace or in another.

All but the name and the namespace stays: tags, manifests, links and open uploads lie with the repository's id. Whoever
pushes holds the repository's row, so a move waits for them, and they for it (docs/gc.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import Conflict, Database, Session, Statement, compose
from functions.registry.metadata.usage import quotas
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import NAME_LENGTH, RepositoryName


class NothingToMove(Exception):
    """There is no such repository, and none below it where those were asked for."""


class NameTaken(Exception):
    """A repository has one of the new names, or lies among them; `name` is its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ImportUnfinished(Exception):
    """A repository that is still being imported has one of the names, or may have: `name` is its own, empty while
    nobody knows yet which names there are.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Moved:
    """How many repositories have another name now."""

    repositories: int


@dataclass(frozen=True, slots=True)
class _Locked:
    """`longest` is the length of the longest of their names."""

    repositories: int
    longest: int


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """`is_old` tells a repository of another registry, which isn't imported yet, from one that is here."""

    name: str
    is_old: bool


class _Tried(Exception):
    """Ends the transaction of a dry run, so that nothing of it stays."""

    def __init__(self, moved: Moved) -> None:
        super().__init__()
        self.moved = moved


# What lies below a name sorts from the slash to the character after it.
_MOVING: Final = """(name = :old OR (CAST(:with_below AS boolean)
                     AND name >= CAST(:old AS text) || '/' AND name < CAST(:old AS text) || '0'))"""

# In one order, so that two moves never wait for each other crosswise.
_LOCK: Final = Statement(
    "moves_lock",
    _Locked,
    compose(
        """
    SELECT count(*), coalesce(max(length(locked.name)), 0)
      FROM (SELECT name FROM repositories WHERE $moving AND deleted_at IS NULL ORDER BY id FOR UPDATE) AS locked
    """,
        moving=_MOVING,
    ),
)

_NEW: Final = """(name = :new OR (CAST(:with_below AS boolean)
                  AND name >= CAST(:new AS text) || '/' AND name < CAST(:new AS text) || '0'))"""

# Whatever would come to lie among what moves, and of what moves itself, whatever has a name that another is to get. And
# whatever of another registry has one of the names and isn't imported yet, or takes no writes here: what is fetched by
# its name would get mixed up. Until all its names are known any may be one of them.
_TAKEN: Final = Statement(
    "moves_taken",
    _Obstacle,
    compose(
        """
    (SELECT name, false
       FROM repositories AS target
      WHERE $new AND target.deleted_at IS NULL
        AND (NOT $moving
             OR EXISTS (SELECT FROM repositories AS source
                         WHERE source.name = CAST(:old AS text) || substr(target.name, length(:new) + 1)))
      ORDER BY name
      LIMIT 1)
    UNION ALL
    (SELECT name, true
       FROM import_repositories AS old
      WHERE ($new OR $moving)
        AND EXISTS (SELECT FROM import_sources AS source
                     WHERE source.id = old.source_id AND source.state NOT IN ('added', 'sealed'))
        AND (state IN ('listed', 'importing')
             OR (state IN ('imported', 'handed_back') AND import_mode(source_id, name) = 'follow'))
      ORDER BY name
      LIMIT 1)
    UNION ALL
    SELECT '', true FROM import_sources WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL
     LIMIT 1
    """,
        new=_NEW,
        moving=_MOVING,
    ),
)

# Triggers take the figures along, and obey the quotas of the namespace.
_RENAME: Final = Statement(
    "moves_rename",
    int,
    compose(
        """
    UPDATE repositories
       SET name = CAST(:new AS text) || substr(name, length(:old) + 1),
           namespace_id = (SELECT namespaces.id FROM namespaces WHERE namespaces.name = :namespace)
     WHERE $moving AND deleted_at IS NULL
    """,
        moving=_MOVING,
    ),
)


def move(db: Database, old: RepositoryName, new: RepositoryName, *, with_below: bool, dry_run: bool) -> Moved:
    """Moves all of it or nothing, in one transaction, however long that takes; a dry run tells what would come of it.

    `with_below` moves `old/…` to `new/…` too, whether `old` itself is a repository or not; then nothing may lie below
    `new`. Raises NothingToMove, NameTaken, ImportUnfinished, NameInvalid if a name became too long, and ChangeRefused
    if a quota of the new namespace has no room.
    """
    asked = {"old": old, "new": new, "with_below": with_below}

    def work(session: Session) -> Moved:
        locked = _LOCK.read(
            session.batch(
                [
                    quotas.claiming(new.namespace),
                    repositories.creating_namespace(new.namespace),
                    _LOCK(old=old, with_below=with_below),
                ]
            )[-1]
        )[0]
        if not locked.repositories:
            raise NothingToMove
        if locked.longest - len(old) + len(new) > NAME_LENGTH:
            raise NameInvalid(f"a repository name has at most {NAME_LENGTH} characters: one below {old} would get more")
        taken = session.one_or_none(_TAKEN(**asked))
        if taken is not None:
            raise ImportUnfinished(taken.name) if taken.is_old else NameTaken(taken.name)
        moved = Moved(session.count(_RENAME(**asked, namespace=new.namespace)))
        if dry_run:
            raise _Tried(moved)
        return moved

    try:
        return db.transaction(work, is_long=True)
    except _Tried as tried:
        return tried.moved
    except Conflict as conflict:
        # Somebody was first, between the look and the change.
        taken = db.one_or_none(_TAKEN(**asked))
        raise NameTaken(taken.name if taken is not None else new) from conflict
