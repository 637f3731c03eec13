"""How each transaction of an import begins: with the repository here, which is made if need be, and held; then with a
look at what may still be done with it.

The look comes second, in the next statement: whoever deletes the repository, or seals its source, has the same row
first, or waits until this transaction is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import Call, Session, Statement
from functions.registry.metadata.imports.vocabulary import Mode, RepositoryState
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag


class Ended(Exception):
    """There is nothing to import here any more: the repository was deleted, or its source is being sealed."""


class BeginAnew(Exception):
    """Something came in between: the same once more may work."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A repository as it stands in this transaction: `id` is its row here, `import_id` that of its import."""

    id: int
    import_id: int
    state: RepositoryState
    mode: Mode
    is_attached: bool


# As old as what it has there: a new one would have gained all its bytes today.
_CREATE: Final = Statement(
    "imports_create_repository",
    int,
    """
    INSERT INTO repositories (namespace_id, name, created_at)
    SELECT namespaces.id, :repository,
           coalesce((SELECT oldest FROM import_repositories WHERE name = :repository), now())
      FROM namespaces WHERE namespaces.name = :namespace
    ON CONFLICT (name) DO NOTHING
    """,
)

_HOLD: Final = Statement(
    "imports_hold_repository", int, "SELECT id FROM repositories WHERE name = :repository FOR KEY SHARE"
)

_LOOK: Final = Statement(
    "imports_look",
    Standing,
    """
    SELECT CAST(:repository_id AS bigint), old.id, old.state, import_mode(old.source_id, old.name),
           old.repository_id IS NOT NULL AND old.asked_at IS NOT NULL
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id
     WHERE old.name = :repository AND source.id = :source_id
       AND source.state NOT IN ('added', 'opening', 'sealing', 'sealed')
    """,
)

_ATTACH: Final = Statement(
    "imports_attach_repository",
    int,
    """
    UPDATE import_repositories
       SET repository_id = coalesce(repository_id, :repository_id), asked_at = coalesce(asked_at, now()),
           due_at = CASE WHEN lease_until > now() THEN due_at ELSE least(due_at, now()) END
     WHERE id = :import_id AND state IN ('listed', 'importing', 'imported')
    """,
)

# Before anything is inserted: whoever deletes a tag locks it before the figures, and the other way round both would
# wait.
_LOCK_TAGS: Final = Statement(
    "imports_lock_tags",
    str,
    """
    SELECT name FROM tags
     WHERE repository_id = :repository_id AND name = ANY (CAST(:tags AS text[]))
     ORDER BY name
       FOR UPDATE
    """,
)

# The end of an import waits, or is waited for: it compares what is here with what is there.
_LOCK_BASES: Final = Statement(
    "imports_lock_bases",
    str,
    """
    SELECT name FROM import_tags
     WHERE import_id = :import_id AND name = ANY (CAST(:tags AS text[]))
     ORDER BY name
       FOR UPDATE
    """,
)

_DELETED_HERE: Final = Statement(
    "imports_deleted_digests",
    Digest,
    """
    SELECT digest FROM import_deleted
     WHERE repository = :repository AND tag = '' AND digest = ANY (CAST(:digests AS bytea[]))
    """,
)

_PUT_TAGS: Final = Statement(
    "imports_put_tags",
    int,
    """
    INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at)
    SELECT manifests.repository_id, listed.name, manifests.id, listed.created_at, listed.updated_at
      FROM import_tags AS listed
      JOIN manifests ON manifests.repository_id = :repository_id AND manifests.digest = listed.digest
     WHERE listed.import_id = :import_id AND listed.name = ANY (CAST(:tags AS text[])) AND listed.state = 'listed'
       AND NOT EXISTS (SELECT FROM import_deleted AS gone
                        WHERE gone.repository = :repository AND gone.tag = listed.name AND gone.digest = '')
     ORDER BY listed.name
    ON CONFLICT (repository_id, name) DO NOTHING
    """,
)

# Somebody pushed and deleted them between the look at what was deleted and the insertion: from that on nobody can.
_RISEN: Final = Statement(
    "imports_risen_tags",
    str,
    """
    SELECT listed.name
      FROM import_tags AS listed
      JOIN import_deleted AS gone
        ON gone.repository = :repository AND gone.tag = listed.name AND gone.digest = ''
      JOIN tags
        ON tags.repository_id = :repository_id AND tags.name = listed.name AND tags.updated_at = listed.updated_at
     WHERE listed.import_id = :import_id AND listed.name = ANY (CAST(:tags AS text[]))
    """,
)

_SETTLE: Final = Statement(
    "imports_settle_tags",
    int,
    """
    UPDATE import_tags AS listed
       SET state = CASE WHEN manifests.digest = listed.digest THEN 'applied' ELSE 'overruled' END
      FROM tags JOIN manifests ON manifests.id = tags.manifest_id
     WHERE listed.import_id = :import_id AND listed.name = ANY (CAST(:tags AS text[])) AND listed.state = 'listed'
       AND tags.repository_id = :repository_id AND tags.name = listed.name
    """,
)


def begin(session: Session, mode: Call[str], source_id: int, repository: RepositoryName) -> Standing:
    """`mode` comes first. Raises Ended, also where the name belongs to another source, and BeginAnew if the repository
    was renamed or deleted just now.
    """
    outcomes = session.batch(
        [
            mode,
            repositories.creating_namespace(repository.namespace),
            _CREATE(repository=repository, namespace=repository.namespace),
            _HOLD(repository=repository),
        ]
    )
    held = _HOLD.read(outcomes[-1])
    if not held:
        raise BeginAnew
    standing = session.one_or_none(_LOOK(repository=repository, repository_id=held[0], source_id=source_id))
    if standing is None or standing.state in ("refused", "dropped"):
        raise Ended
    return standing


def attach(session: Session, standing: Standing) -> None:
    """The repository here is that of the import, and is imported next. Nothing is written where that is so."""
    if not standing.is_attached:
        session.count(_ATTACH(repository_id=standing.id, import_id=standing.import_id))


def lock_tags(session: Session, standing: Standing, tags: list[Tag]) -> None:
    """Locks those that are here, before anything else is written, then those that are listed."""
    names = sorted(tags)
    session.batch(
        [
            _LOCK_TAGS(repository_id=standing.id, tags=names),
            _LOCK_BASES(import_id=standing.import_id, tags=names),
        ]
    )


def deleted_here(session: Session, repository: RepositoryName, digests: list[Digest]) -> list[Digest]:
    """Returns the manifests and blobs that somebody deleted here: to be asked before they are inserted, and once more
    after it.
    """
    return session.all(_DELETED_HERE(repository=repository, digests=digests))


def put_tags(session: Session, standing: Standing, repository: RepositoryName, tags: list[Tag]) -> bool:
    """Puts the tags as they are listed, whose manifests are here. False if one was deleted meanwhile: then all of this
    transaction is to be undone.
    """
    where = {"import_id": standing.import_id, "repository_id": standing.id, "tags": sorted(tags)}
    session.batch([_PUT_TAGS(**where, repository=repository)])
    if session.all(_RISEN(**where, repository=repository)):
        return False
    session.count(_SETTLE(**where))
    return True
