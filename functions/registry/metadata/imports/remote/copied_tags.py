"""Tags of another registry, applied by the three-way rule: what changed there alone is changed here.

What the tag named there last time is in import_tags. A tag here that names the same since the same moment was put in by
an import, and follows; any other was pushed or deleted here, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Database, Session, Statement
from functions.registry.metadata.imports.claims import Claim
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag


class Overtaken(Exception):
    """Another worker has claimed the repository meanwhile: nothing was changed."""


@dataclass(frozen=True, slots=True)
class TagsApplied:
    """`conflicts` changed there, and here as well; `refused` are kept as they are by a rule of this registry."""

    added: int = 0
    moved: int = 0
    removed: int = 0
    conflicts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def changed(self) -> int:
        return self.added + self.moved + self.removed


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    digest: Digest
    updated_at: datetime


# As a push does, and in the same order: the repository, then the tags, whether they are there or not.
_BEGIN: Final = Statement(
    "copied_tags_begin",
    str,
    """
    SELECT set_config('slipway.importing', 'copy', true) || begin_push(:repository, CAST(:tags AS text[]), '0')
    """,
)

_HOLD: Final = Statement(
    "copied_tags_hold",
    int,
    "SELECT 1 FROM import_repositories WHERE id = :id AND lease = :lease FOR NO KEY UPDATE",
)

_HERE: Final = Statement(
    "copied_tags_here",
    _Named,
    """
    SELECT tags.name, manifests.digest, tags.updated_at
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id AND tags.name > :after AND tags.name <= :upto
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name = :repository
     ORDER BY tags.name
       FOR UPDATE OF tags
    """,
)

_BASES: Final = Statement(
    "copied_tags_bases",
    _Named,
    """
    SELECT name, digest, updated_at FROM import_tags
     WHERE import_id = :id AND name > :after AND name <= :upto
     ORDER BY name
    """,
)

_DELETED: Final = Statement(
    "copied_tags_deleted",
    str,
    "SELECT tag FROM import_deleted WHERE repository = :repository AND tag = ANY (CAST(:tags AS text[]))",
)

_REFUSED: Final = Statement(
    "copied_tags_refused",
    str,
    """
    SELECT changed.name
      FROM unnest(CAST(:tags AS text[])) AS changed (name)
     WHERE tag_refusal(:repository, changed.name, false, 0) IS NOT NULL
        OR deletion_refusal(:repository, changed.name, 0) IS NOT NULL
    """,
)

_PUT: Final = Statement(
    "copied_tags_put",
    int,
    """
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT repositories.id, listed.name, manifests.id
      FROM repositories
     CROSS JOIN unnest(CAST(:tags AS text[]), CAST(:digests AS bytea[])) AS listed (name, digest)
      JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = listed.digest
     WHERE repositories.name = :repository
     ORDER BY listed.name COLLATE "C"
    ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = now()
    """,
)

_REMOVE: Final = Statement(
    "copied_tags_remove",
    int,
    """
    DELETE FROM tags USING repositories
     WHERE repositories.name = :repository AND tags.repository_id = repositories.id
       AND tags.name = ANY (CAST(:tags AS text[]))
    """,
)

# What names the same there as last time keeps its moment: a tag that was pushed here meanwhile, even of the same
# digest, is not taken for one that was imported.
_REMEMBER: Final = Statement(
    "copied_tags_remember",
    int,
    """
    INSERT INTO import_tags AS base (import_id, name, digest, generation, created_at, updated_at, state)
    SELECT :id, listed.name, listed.digest, :generation, now(), coalesce(here.updated_at, now()),
           CASE WHEN here.digest = listed.digest THEN 'applied' ELSE 'overruled' END
      FROM unnest(CAST(:tags AS text[]), CAST(:digests AS bytea[])) AS listed (name, digest)
      LEFT JOIN (SELECT tags.name, tags.updated_at, manifests.digest
                   FROM repositories
                   JOIN tags ON tags.repository_id = repositories.id AND tags.name = ANY (CAST(:tags AS text[]))
                   JOIN manifests ON manifests.id = tags.manifest_id
                  WHERE repositories.name = :repository) AS here ON here.name = listed.name
     ORDER BY listed.name COLLATE "C"
    ON CONFLICT (import_id, name) DO UPDATE
       SET digest = excluded.digest, generation = excluded.generation, updated_at = excluded.updated_at,
           state = excluded.state
     WHERE base.digest <> excluded.digest AND base.generation < excluded.generation
    """,
)

_FORGET: Final = Statement(
    "copied_tags_forget",
    int,
    "DELETE FROM import_tags WHERE import_id = :id AND name = ANY (CAST(:tags AS text[]))",
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The tags of another registry's repository after `after`, up to and with `upto`.

    `listed` are those whose manifests are here; `left_out` are there too, and can't be applied.
    """

    after: str
    upto: str
    listed: Mapping[Tag, Digest]
    left_out: frozenset[str] = frozenset()


def apply(db: Database, theirs: Claim, stretch: Stretch, *, removes: bool) -> TagsApplied:
    """Applies all in one transaction. With `removes`, a tag that is gone there goes here too. Raises Overtaken."""

    def work(session: Session) -> TagsApplied:
        names = sorted(stretch.listed)
        where = {"repository": theirs.name, "after": stretch.after, "upto": stretch.upto}
        session.batch([_BEGIN(repository=theirs.name, tags=names)])
        if not session.all(_HOLD(id=theirs.id, lease=theirs.lease)):
            raise Overtaken
        here = {named.name: named for named in session.all(_HERE(**where))}
        bases = {
            named.name: named for named in session.all(_BASES(id=theirs.id, after=stretch.after, upto=stretch.upto))
        }
        deleted = set(session.all(_DELETED(repository=theirs.name, tags=names)))
        plan = _planned(stretch, here, bases, deleted)
        gone = sorted(set(bases) - set(stretch.listed) - stretch.left_out)
        removed = [name for name in gone if removes and _is_base(here.get(name), bases[name])]
        refused = set(session.all(_REFUSED(repository=theirs.name, tags=[*plan.moved, *removed])))
        put = {name: stretch.listed[Tag(name)] for name in sorted([*plan.added, *plan.moved]) if name not in refused}
        removed = [name for name in removed if name not in refused]
        if put:
            session.count(_PUT(repository=theirs.name, tags=list(put), digests=list(put.values())))
        if removed:
            session.count(_REMOVE(repository=theirs.name, tags=removed))
        if gone:
            session.count(_FORGET(id=theirs.id, tags=gone))
        news = [name for name in names if name not in bases or bases[name].digest != stretch.listed[Tag(name)]]
        if news:
            digests = [stretch.listed[Tag(name)] for name in news]
            key = {"id": theirs.id, "repository": theirs.name, "generation": theirs.lease}
            session.count(_REMEMBER(**key, tags=news, digests=digests))
        moved = len([name for name in plan.moved if name not in refused])
        return TagsApplied(len(plan.added), moved, len(removed), plan.conflicts, sorted(refused))

    return db.transaction(work)


def unchanged(db: Database, theirs: Claim, after: str, heads: Mapping[Tag, Digest]) -> set[Tag]:
    """Returns, of the tags after `after`, those that name there what they named last time."""
    if not heads:
        return set()
    bases = db.all(_BASES(id=theirs.id, after=after, upto=max(heads)))
    return {Tag(base.name) for base in bases if heads.get(Tag(base.name)) == base.digest}


@dataclass(frozen=True, slots=True)
class _Plan:
    added: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def _planned(stretch: Stretch, here: Mapping[str, _Named], bases: Mapping[str, _Named], deleted: set[str]) -> _Plan:
    plan = _Plan()
    for name, digest in stretch.listed.items():
        ours, base = here.get(name), bases.get(name)
        if base is not None and base.digest == digest:
            continue  # nothing new there
        if ours is None:
            # Taken away here, or never here: of the first there is a base, or a mark.
            (plan.conflicts if base is not None or name in deleted else plan.added).append(str(name))
        elif ours.digest != digest:
            (plan.moved if base is not None and _is_base(ours, base) else plan.conflicts).append(str(name))
    return plan


def _is_base(ours: _Named | None, base: _Named) -> bool:
    return ours is not None and ours.digest == base.digest and ours.updated_at == base.updated_at
