"""Tags that are compared three ways: as they were when they were last compared, as they are there now, and here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Database, Session, Statement
from functions.registry.metadata.imports.bulk import listed_tags
from functions.registry.metadata.imports.vocabulary import ListedTag
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class _Base:
    id: int
    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """`tag` stays as it is here, though it has changed in the source; `id` is that of the import."""

    id: int
    tag: str
    here: Digest | None
    there: Digest | None
    rule: str | None

    @property
    def detail(self) -> str:
        there = f"it names {self.there} there" if self.there is not None else "it is gone there"
        return "; ".join(filter(None, (there, f"and {self.here} here" if self.here else None, self.rule)))


_BASES: Final = Statement(
    "imports_bases",
    _Base,
    "SELECT import_id, name, generation FROM import_tags WHERE import_id = ANY (CAST(:ids AS bigint[]))",
)

# What is still here as it was imported: the same manifest, and the time that it had there. A push here sets another.
_IS_BASE: Final = """
      JOIN import_repositories AS old ON old.id = listed.id
      JOIN import_tags AS base ON base.import_id = old.id AND base.name = listed.name AND base.state = 'applied'
      JOIN repositories AS here ON here.id = old.repository_id
      JOIN tags ON tags.repository_id = here.id AND tags.name = listed.name AND tags.updated_at = base.updated_at
      JOIN manifests ON manifests.id = tags.manifest_id AND manifests.digest = base.digest
"""

_MOVE: Final = Statement(
    "imports_move_tags",
    int,
    f"""
    WITH moved AS MATERIALIZED (
        SELECT tags.repository_id, tags.name, new.id AS manifest_id, listed.updated_at
          FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[]), CAST(:digests AS bytea[]),
                      CAST(:generations AS bigint[]), CAST(:updated AS timestamptz[]))
               AS listed (id, name, digest, generation, updated_at)
          {_IS_BASE}
          JOIN manifests AS new ON new.repository_id = here.id AND new.digest = listed.digest
         WHERE listed.generation > base.generation
           AND (new.id = tags.manifest_id OR tag_refusal(here.name, tags.name, false, 0) IS NULL)
    )
    UPDATE tags SET manifest_id = moved.manifest_id, updated_at = moved.updated_at
      FROM moved WHERE tags.repository_id = moved.repository_id AND tags.name = moved.name
    """,  # noqa: S608  # a constant of this module
)

_DELETE: Final = Statement(
    "imports_delete_tags",
    int,
    f"""
    WITH gone AS MATERIALIZED (
        SELECT tags.repository_id, tags.name
          FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS listed (id, name)
          {_IS_BASE}
         WHERE tag_refusal(here.name, tags.name, false, 0) IS NULL AND deletion_refusal(here.name, tags.name, 0) IS NULL
    )
    DELETE FROM tags USING gone WHERE tags.repository_id = gone.repository_id AND tags.name = gone.name
    """,  # noqa: S608  # as above
)

# After the tags have followed: what is here now is not what the source has, and was something else there before.
_CONFLICTS: Final = Statement(
    "imports_conflicts",
    Conflict,
    """
    SELECT listed.id, listed.name, manifests.digest, listed.digest,
           tag_refusal(here.name, tags.name, false, 0)
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[]), CAST(:digests AS bytea[]))
           AS listed (id, name, digest)
      JOIN import_repositories AS old ON old.id = listed.id
      JOIN import_tags AS base ON base.import_id = old.id AND base.name = listed.name AND base.state <> 'listed'
      JOIN repositories AS here ON here.id = old.repository_id
      JOIN tags ON tags.repository_id = here.id AND tags.name = listed.name
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE manifests.digest <> listed.digest AND base.digest <> listed.digest
    """,
)

# Gone there, and still here though nobody changed it: a rule keeps it.
_KEPT: Final = Statement(
    "imports_kept_tags",
    Conflict,
    f"""
    SELECT listed.id, listed.name, manifests.digest, NULL,
           coalesce(tag_refusal(here.name, tags.name, false, 0), deletion_refusal(here.name, tags.name, 0))
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS listed (id, name)
      {_IS_BASE}
    """,  # noqa: S608  # as above
)

_FORGET: Final = Statement(
    "imports_forget_bases",
    int,
    """
    DELETE FROM import_tags AS base
     USING unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS gone (id, name)
     WHERE base.import_id = gone.id AND base.name = gone.name
    """,
)

_LOCK: Final = Statement(
    "imports_delta_lock_tags",
    str,
    """
    SELECT tags.name
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:names AS text[])) AS touched (repository_id, name)
      JOIN tags ON tags.repository_id = touched.repository_id AND tags.name = touched.name
     ORDER BY tags.repository_id, tags.name
       FOR UPDATE OF tags
    """,
    is_hot=True,
)

Changed = Sequence[tuple[int, ListedTag]]
Gone = Sequence[tuple[int, str]]


def bases(db: Database, ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """Returns the generation of each tag as it was last compared, by its import and its name."""
    return {(base.id, base.name): base.generation for base in db.all(_BASES(ids=list(ids)))}


def lock_tags(session: Session, held: Mapping[int, int], changed: Changed, gone: Gone) -> None:
    """Locks those that are here and may be touched, before anything is inserted."""
    touched = [(held[id_], tag.name) for id_, tag in changed] + [(held[id_], name) for id_, name in gone]
    if touched:
        session.all(_LOCK(repository_ids=[id_ for id_, _ in touched], names=[name for _, name in touched]))


def follow(session: Session, changed: Changed, gone: Gone, *, keeps_deleted: bool = False) -> list[Conflict]:
    """Moves and deletes the tags that are here as they were imported; gives those that stay though they changed there.

    From then on what the source has now is what is compared with. With `keeps_deleted` what is gone there stays here,
    as if it had been pushed here.
    """
    conflicts: list[Conflict] = []
    if changed:
        which: dict[str, Any] = {
            "ids": [id_ for id_, _ in changed],
            "names": [tag.name for _, tag in changed],
            "digests": [tag.digest for _, tag in changed],
        }
        moving = _MOVE(
            **which,
            generations=[tag.generation for _, tag in changed],
            updated=[tag.updated_at for _, tag in changed],
        )
        found = session.batch([moving, _CONFLICTS(**which), listed_tags.putting_bases(changed)])[1]
        conflicts += _CONFLICTS.read(found)
    if gone:
        names = {"ids": [id_ for id_, _ in gone], "names": [name for _, name in gone]}
        if keeps_deleted:
            session.count(_FORGET(**names))
            return conflicts
        kept = session.batch([_DELETE(**names), _KEPT(**names), _FORGET(**names)])[1]
        conflicts += _KEPT.read(kept)
    return conflicts
