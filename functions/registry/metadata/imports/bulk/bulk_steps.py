"""A step of a bulk import: the repositories that it is about, held until it is over, if they are still its own.

Locks go in one order: the source, the repositories by name, their rows in import_repositories, tags by name, then what
is inserted, by keys. What else a step reads it reads in later statements, so under those locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Session, Statement
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Target:
    """A claimed repository: `name` is what it gets here, `created_at` when it began where it comes from."""

    id: int
    lease: int
    name: str
    created_at: datetime
    keeps_untagged: bool = False


class Lost(Exception):
    """Some are somebody else's by now, or are not to be imported any more; `left` are the ids of the others."""

    def __init__(self, left: set[int]) -> None:
        super().__init__(f"{len(left)} are left")
        self.left = left


@dataclass(frozen=True, slots=True)
class _Held:
    id: int
    repository_id: int


@dataclass(frozen=True, slots=True)
class _Pair:
    id: int
    digest: Digest


# A seal or a pause waits for the steps under way, and is seen by those that come later.
_HOLD_SOURCE: Final = Statement(
    "imports_hold_source",
    int,
    "SELECT id FROM import_sources WHERE id = :source_id AND state IN ('listing', 'open') FOR SHARE",
    is_hot=True,
)

_CREATE_NAMESPACES: Final = Statement(
    "imports_create_namespaces",
    int,
    """
    INSERT INTO namespaces (name)
    SELECT DISTINCT split_part(new.name, '/', 1) COLLATE "C" FROM unnest(CAST(:names AS text[])) AS new (name)
     ORDER BY 1
    ON CONFLICT (name) DO NOTHING
    """,
    is_hot=True,
)

# Those that are there are locked, though nothing of them changes: they keep their names until the end.
_CREATE: Final = Statement(
    "imports_create_repositories",
    int,
    """
    INSERT INTO repositories (namespace_id, name, created_at, keep_untagged)
    SELECT namespaces.id, new.name, new.created_at, new.keep_untagged
      FROM unnest(CAST(:names AS text[]), CAST(:created AS timestamptz[]), CAST(:keeps AS boolean[]))
           AS new (name, created_at, keep_untagged)
      JOIN namespaces ON namespaces.name = split_part(new.name, '/', 1) COLLATE "C"
     ORDER BY new.name COLLATE "C"
    ON CONFLICT (name) DO UPDATE SET created_at = repositories.created_at WHERE false
    """,
    is_hot=True,
)

_ATTACH: Final = Statement(
    "imports_attach_repositories",
    int,
    """
    UPDATE import_repositories AS old SET repository_id = here.id
      FROM repositories AS here
     WHERE old.id = ANY (CAST(:ids AS bigint[])) AND old.repository_id IS NULL AND here.name = old.name
    """,
    is_hot=True,
)

_HOLD: Final = Statement(
    "imports_hold_repositories",
    int,
    """
    SELECT here.id
      FROM import_repositories AS old JOIN repositories AS here ON here.id = old.repository_id
     WHERE old.id = ANY (CAST(:ids AS bigint[]))
     ORDER BY here.name
       FOR NO KEY UPDATE OF here
    """,
    is_hot=True,
)

# In the statement after the repositories were locked: a deletion of one of them is seen, or waits.
_FENCE: Final = Statement(
    "imports_fence",
    _Held,
    """
    SELECT old.id, old.repository_id
      FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[])) AS mine (id, lease)
      JOIN import_repositories AS old ON old.id = mine.id AND old.lease = mine.lease
      JOIN repositories AS here ON here.id = old.repository_id
     WHERE old.state IN ('importing', 'imported')
     ORDER BY old.id
       FOR NO KEY UPDATE OF old
    """,
    is_hot=True,
)

_HERE: Final = Statement(
    "imports_manifests_here",
    _Pair,
    """
    SELECT asked.id, manifests.digest
      FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS bytea[])) AS asked (id, digest)
      JOIN import_repositories AS old ON old.id = asked.id
      JOIN manifests ON manifests.repository_id = old.repository_id AND manifests.digest = asked.digest
    """,
    is_hot=True,
)

# Hardly anywhere: of the others nothing more is asked.
_WITH_DELETED: Final = Statement(
    "imports_with_deleted",
    int,
    """
    SELECT old.id FROM import_repositories AS old
     WHERE old.id = ANY (CAST(:ids AS bigint[]))
       AND EXISTS (SELECT FROM import_deleted AS gone WHERE gone.repository = old.name AND gone.tag = '')
    """,
    is_hot=True,
)

_DELETED: Final = Statement(
    "imports_deleted_here",
    _Pair,
    """
    SELECT asked.id, gone.digest
      FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS bytea[])) AS asked (id, digest)
      JOIN import_repositories AS old ON old.id = asked.id
      JOIN import_deleted AS gone ON gone.repository = old.name AND gone.tag = '' AND gone.digest = asked.digest
    """,
    is_hot=True,
)

_UNLINKED: Final = Statement(
    "imports_unlinked",
    _Pair,
    """
    SELECT asked.id, asked.digest
      FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS bytea[])) AS asked (id, digest)
      JOIN import_repositories AS old ON old.id = asked.id
     WHERE NOT EXISTS (SELECT FROM repository_blobs AS link
                        WHERE link.repository_id = old.repository_id AND link.digest = asked.digest)
    """,
    is_hot=True,
)


@dataclass(frozen=True, slots=True)
class _Size:
    digest: Digest
    size: int


_SIZES: Final = Statement(
    "imports_blob_sizes",
    _Size,
    "SELECT digest, size FROM blobs WHERE digest = ANY (CAST(:digests AS bytea[]))",
    is_hot=True,
)


def begin(session: Session, source_id: int, targets: Sequence[Target], first: Call[Any]) -> dict[int, int]:
    """Makes and holds them; gives the id here of each. `first` is the mode of the transaction. Raises Lost."""
    names = [target.name for target in targets]
    calls: list[Call[Any]] = [
        first,
        _HOLD_SOURCE(source_id=source_id),
        _CREATE_NAMESPACES(names=names),
        _CREATE(
            names=names,
            created=[target.created_at for target in targets],
            keeps=[target.keeps_untagged for target in targets],
        ),
        _ATTACH(ids=[target.id for target in targets]),
    ]
    return _fence(session, targets, is_open=session.batch(calls)[1].count > 0)


def begin_again(session: Session, source_id: int, targets: Sequence[Target], first: Call[Any]) -> dict[int, int]:
    """Does as `begin`, for those that are imported: they may have other names by now. Raises Lost."""
    calls: list[Call[Any]] = [
        first,
        _HOLD_SOURCE(source_id=source_id),
        _HOLD(ids=[target.id for target in targets]),
    ]
    return _fence(session, targets, is_open=session.batch(calls)[1].count > 0)


def _fence(session: Session, targets: Sequence[Target], *, is_open: bool) -> dict[int, int]:
    mine = {"ids": [target.id for target in targets], "leases": [target.lease for target in targets]}
    held = {each.id: each.repository_id for each in session.all(_FENCE(**mine))} if is_open else {}
    if len(held) < len(targets):
        raise Lost(set(held))
    return held


Pairs = Iterable[tuple[int, Digest]]


def manifests_here(session: Session | Database, asked: Pairs) -> set[tuple[int, Digest]]:
    """Returns those that the repositories hold already; each is the id of a claimed repository, and a digest."""
    return _pairs(session, _HERE, asked)


def deleted_here(session: Session | Database, asked: Pairs) -> set[tuple[int, Digest]]:
    """Returns those that somebody deleted here, and that are not to come back."""
    pairs = list(asked)
    if not pairs:
        return set()
    some = set(session.all(_WITH_DELETED(ids=sorted({id_ for id_, _ in pairs}))))
    return _pairs(session, _DELETED, (pair for pair in pairs if pair[0] in some))


def unlinked(session: Session | Database, asked: Pairs) -> set[tuple[int, Digest]]:
    """Returns those blobs to which the repositories have no link."""
    return _pairs(session, _UNLINKED, asked)


def _pairs(session: Session | Database, statement: Statement[_Pair], asked: Pairs) -> set[tuple[int, Digest]]:
    pairs = list(asked)
    if not pairs:
        return set()
    call = statement(ids=[id_ for id_, _ in pairs], digests=[digest for _, digest in pairs])
    return {(pair.id, pair.digest) for pair in session.all(call)}


def sizes(session: Session | Database, digests: Iterable[Digest]) -> dict[Digest, int]:
    """Returns how large the blobs are, of those that there are."""
    asked = sorted(set(digests))
    return {found.digest: found.size for found in session.all(_SIZES(digests=asked))} if asked else {}
