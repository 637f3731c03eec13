"""The tags of a repository that is imported, put as they are listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Session, Statement
from functions.registry.metadata.imports.bulk import former_names
from functions.registry.metadata.imports.vocabulary import ListedTag


class RisenTags(Exception):
    """Somebody pushed and deleted such tags here meanwhile: they are not to come back."""


# Most are known from the listing: of these not even a lock is written.
# Where the tag here could not follow, for its manifest isn't here or a rule keeps it, the base stays too: as long as
# both are the same the tag follows later.
_PUT_BASES: Final = Statement(
    "imports_put_bases",
    int,
    """
    INSERT INTO import_tags AS base (import_id, name, digest, generation, created_at, updated_at)
    SELECT listed.*
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[]), CAST(:digests AS bytea[]),
                  CAST(:generations AS bigint[]), CAST(:created AS timestamptz[]), CAST(:updated AS timestamptz[]))
           AS listed (id, name, digest, generation, created_at, updated_at)
     WHERE NOT EXISTS (SELECT FROM import_tags AS known
                        WHERE known.import_id = listed.id AND known.name = listed.name
                          AND known.generation >= listed.generation)
     ORDER BY listed.id, listed.name
    ON CONFLICT (import_id, name) DO UPDATE
       SET digest = excluded.digest, generation = excluded.generation, created_at = excluded.created_at,
           updated_at = excluded.updated_at
     WHERE excluded.generation > base.generation
       AND NOT (base.state = 'applied' AND base.digest <> excluded.digest
                AND EXISTS (SELECT FROM import_repositories AS old
                              JOIN tags ON tags.repository_id = old.repository_id AND tags.name = base.name
                              JOIN manifests ON manifests.id = tags.manifest_id
                             WHERE old.id = base.import_id AND tags.updated_at = base.updated_at
                               AND manifests.digest = base.digest))
    """,
    is_hot=True,
)

# Whoever takes one away locks it before its manifest and before the figures: so does this.
_LOCK_TAGS: Final = Statement(
    "imports_bulk_lock_tags",
    str,
    """
    SELECT tags.name
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:names AS text[])) AS listed (repository_id, name)
      JOIN tags ON tags.repository_id = listed.repository_id AND tags.name = listed.name
     ORDER BY tags.repository_id, tags.name
       FOR UPDATE OF tags
    """,
    is_hot=True,
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A tag that was put here, or found that another was here; `id` is that of its import."""

    id: int
    name: str
    generation: int


_SETTLED: Final = Statement(
    "imports_settled_tags",
    Settled,
    """
    SELECT import_id, name, generation FROM import_tags
     WHERE import_id = ANY (CAST(:ids AS bigint[])) AND state <> 'listed'
    """,
    is_hot=True,
)

# Whoever fetches one of the others is waited for: what that makes of it is seen.
_HOLD_SETTLED: Final = Statement(
    "imports_hold_settled_tags",
    Settled,
    """
    WITH held AS MATERIALIZED (
        SELECT import_id, name, generation, state FROM import_tags
         WHERE import_id = ANY (CAST(:ids AS bigint[]))
         ORDER BY import_id, name
           FOR UPDATE
    )
    SELECT import_id, name, generation FROM held WHERE state <> 'listed'
    """,
    is_hot=True,
)

# Looked up one by one: for the planner, whose figures are older, so few are listed that it reads them all.
_PUT_TAGS: Final = Statement(
    "imports_bulk_put_tags",
    int,
    """
    INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at)
    SELECT manifests.repository_id, base.name, manifests.id, base.created_at, base.updated_at
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS listed (id, name)
      JOIN import_repositories AS old ON old.id = listed.id
     CROSS JOIN LATERAL (SELECT name, digest, created_at, updated_at FROM import_tags
                          WHERE import_tags.import_id = listed.id AND import_tags.name = listed.name
                            AND import_tags.state = 'listed'
                         OFFSET 0) AS base
     CROSS JOIN LATERAL (SELECT id, repository_id FROM manifests
                          WHERE manifests.repository_id = old.repository_id AND manifests.digest = base.digest
                         OFFSET 0) AS manifests
     WHERE NOT EXISTS (SELECT FROM import_deleted AS gone
                        WHERE gone.repository = old.name AND gone.tag = base.name AND gone.digest = '')
     ORDER BY manifests.repository_id, base.name
    ON CONFLICT (repository_id, name) DO NOTHING
    """,
    is_hot=True,
)

# A tag that this transaction put in, though somebody has deleted it: seen only now.
_RISEN: Final = Statement(
    "imports_bulk_risen_tags",
    str,
    """
    SELECT base.name
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS listed (id, name)
      JOIN import_repositories AS old ON old.id = listed.id
      JOIN import_tags AS base ON base.import_id = old.id AND base.name = listed.name
      JOIN import_deleted AS gone ON gone.repository = old.name AND gone.tag = base.name AND gone.digest = ''
      JOIN tags ON tags.repository_id = old.repository_id AND tags.name = base.name
     WHERE tags.updated_at = base.updated_at
     LIMIT 1
    """,
    is_hot=True,
)

_APPLY: Final = Statement(
    "imports_apply_tags",
    int,
    """
    UPDATE import_tags AS base
       SET state = CASE WHEN manifests.digest = base.digest THEN 'applied' ELSE 'overruled' END
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS listed (id, name)
      JOIN import_repositories AS old ON old.id = listed.id
      JOIN tags ON tags.repository_id = old.repository_id AND tags.name = listed.name
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE base.import_id = old.id AND base.name = listed.name AND base.state = 'listed'
    """,
    is_hot=True,
)

Bases = Sequence[tuple[int, ListedTag]]


def settled(session: Session, ids: Iterable[int], *, is_held: bool = False) -> dict[tuple[int, str], int]:
    """Returns the generation of each tag that was put here before, by its import and its name. If they are held, nobody
    puts another before the end of the transaction.
    """
    statement = _HOLD_SETTLED if is_held else _SETTLED
    return {(each.id, each.name): each.generation for each in session.all(statement(ids=list(ids)))}


def put_tags(session: Session, bases: Bases) -> None:
    """Puts, of claimed repositories by their ids, the tags as they are listed. Raises RisenTags.

    What is here under such a name stays, and overrules the source; what was deleted here stays so.
    """
    if not bases:
        return
    which = {"ids": [id_ for id_, _ in bases], "names": [tag.name for _, tag in bases]}
    session.batch([putting_bases(bases), _PUT_TAGS(**which)])
    if session.all(_RISEN(**which)):
        raise RisenTags
    session.batch([_APPLY(**which), *former_names.putting(bases)])


def locking_tags(held: Mapping[int, int], bases: Bases) -> list[Call[Any]]:
    """Is to be run before anything is inserted."""
    if not bases:
        return []
    return [_LOCK_TAGS(repository_ids=[held[id_] for id_, _ in bases], names=[tag.name for _, tag in bases])]


def putting_bases(bases: Bases) -> Call[int]:
    return _PUT_BASES(
        ids=[id_ for id_, _ in bases],
        names=[tag.name for _, tag in bases],
        digests=[tag.digest for _, tag in bases],
        generations=[tag.generation for _, tag in bases],
        created=[tag.created_at for _, tag in bases],
        updated=[tag.updated_at for _, tag in bases],
    )
