"""What a repository has that is to be written back, and what of it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.imports import mode
from functions.registry.metadata.imports.exporting.exports import ExportClaim
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class TagHere:
    name: str
    digest: Digest
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TagBase:
    """What both sides had when they were last compared; `generation` is the source's."""

    name: str
    digest: Digest
    generation: int


@dataclass(frozen=True, slots=True)
class Payload:
    digest: Digest
    media_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Located:
    digest: Digest
    size: int
    object_name: str


@dataclass(frozen=True, slots=True)
class WrittenTag:
    """A tag as it is on both sides now."""

    name: str
    digest: Digest
    generation: int
    updated_at: datetime


_TAGS: Final = Statement(
    "exports_tags",
    TagHere,
    """
    SELECT tags.name, manifests.digest, tags.updated_at
      FROM tags JOIN manifests ON manifests.id = tags.manifest_id
     WHERE tags.repository_id = :repository_id
     ORDER BY tags.name
    """,
)

_BASES: Final = Statement(
    "exports_bases",
    TagBase,
    "SELECT name, digest, generation FROM import_tags WHERE import_id = :id ORDER BY name",
)

# Tags about which both sides have a mind of their own: nobody's is written over the other's.
_CONFLICTS: Final = Statement(
    "exports_conflicts",
    str,
    """
    SELECT key FROM import_problems
     WHERE source_id = :source_id AND repository = :path AND kind = 'tag' AND reason = 'conflict' AND gone_at IS NULL
    """,
)

_MANIFESTS: Final = Statement(
    "exports_manifests",
    Digest,
    "SELECT digest FROM manifests WHERE repository_id = :repository_id ORDER BY digest",
)

_PAYLOADS: Final = Statement(
    "exports_payloads",
    Payload,
    """
    SELECT digest, media_type, payload FROM manifests
     WHERE repository_id = :repository_id AND digest = ANY (CAST(:digests AS bytea[]))
     ORDER BY digest
    """,
)

_LOCATE: Final = Statement(
    "exports_locate",
    Located,
    """
    SELECT blobs.digest, blobs.size, blobs.object_name
      FROM repository_blobs AS link JOIN blobs ON blobs.digest = link.digest
     WHERE link.repository_id = :repository_id AND link.digest = ANY (CAST(:digests AS bytea[]))
     ORDER BY blobs.digest
    """,
)

_DELETED: Final = Statement(
    "exports_deleted_manifests",
    Digest,
    """
    SELECT gone.digest FROM import_deleted AS gone
     WHERE gone.repository = :name AND gone.tag = ''
       AND NOT EXISTS (SELECT FROM manifests
                        WHERE manifests.repository_id = :repository_id AND manifests.digest = gone.digest)
    """,
)

# Named before it is written, and never due: it belongs to the source until that is sealed.
_EXPECT: Final = Statement(
    "exports_expect",
    int,
    """
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, 'infinity'
      FROM unnest(CAST(:object_names AS text[]), CAST(:sizes AS bigint[])) AS written (object_name, size)
     ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING
    """,
)

_WROTE: Final = Statement(
    "exports_wrote_tags",
    int,
    """
    INSERT INTO import_tags AS base (import_id, name, digest, generation, created_at, updated_at, state)
    SELECT :id, written.*, 'applied'
      FROM (SELECT name, digest, generation, updated_at AS created_at, updated_at
              FROM unnest(CAST(:names AS text[]), CAST(:digests AS bytea[]), CAST(:generations AS bigint[]),
                          CAST(:updated AS timestamptz[])) AS written (name, digest, generation, updated_at)) AS written
     ORDER BY written.name COLLATE "C"
    ON CONFLICT (import_id, name) DO UPDATE
       SET digest = excluded.digest, generation = excluded.generation, updated_at = excluded.updated_at,
           state = excluded.state
     WHERE base.generation < excluded.generation OR base.digest <> excluded.digest
    """,
)

_REMOVED: Final = Statement(
    "exports_removed_tags",
    int,
    "DELETE FROM import_tags WHERE import_id = :id AND name = ANY (CAST(:names AS text[]))",
)


def tags(db: Database, claim: ExportClaim) -> dict[str, TagHere]:
    return {tag.name: tag for tag in db.all(_TAGS(repository_id=claim.repository_id))}


def bases(db: Database, claim: ExportClaim) -> dict[str, TagBase]:
    return {base.name: base for base in db.all(_BASES(id=claim.id))}


def conflicts(db: Database, claim: ExportClaim) -> set[str]:
    return set(db.all(_CONFLICTS(source_id=claim.source_id, path=claim.path)))


def manifests(db: Database, claim: ExportClaim) -> list[Digest]:
    return db.all(_MANIFESTS(repository_id=claim.repository_id))


def payloads(db: Database, claim: ExportClaim, digests: Sequence[Digest]) -> list[Payload]:
    return db.all(_PAYLOADS(repository_id=claim.repository_id, digests=list(digests)))


def locate(db: Database, claim: ExportClaim, digests: Sequence[Digest]) -> list[Located]:
    """Tells where the bytes of the repository's blobs are; those that it does not hold are left out."""
    return db.all(_LOCATE(repository_id=claim.repository_id, digests=list(digests)))


def deleted_manifests(db: Database, claim: ExportClaim) -> list[Digest]:
    return db.all(_DELETED(name=claim.name, repository_id=claim.repository_id))


def expect(db: Database, written: Sequence[tuple[str, int]]) -> None:
    """Takes objects by their names and sizes, which are about to be written."""
    if written:
        db.count(_EXPECT(object_names=[name for name, _ in written], sizes=[size for _, size in written]))


def wrote_tags(db: Database, claim: ExportClaim, written: Sequence[WrittenTag], removed: Sequence[str]) -> None:
    """What both sides have now is what later changes are compared with."""
    calls: list[Call[Any]] = [mode.importing()]
    if written:
        calls.append(
            _WROTE(
                id=claim.id,
                names=[tag.name for tag in written],
                digests=[tag.digest for tag in written],
                generations=[tag.generation for tag in written],
                updated=[tag.updated_at for tag in written],
            )
        )
    if removed:
        calls.append(_REMOVED(id=claim.id, names=list(removed)))
    if len(calls) > 1:
        db.batch(calls)
