"""What is to be written back into the layout of an older registry, and what of it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.imports import mode, problems
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ExportClaim:
    """A repository that is to be written back. `path` is its name there, `name` the one here."""

    id: int
    source_id: int
    path: str
    name: str
    repository_id: int
    lease: int
    is_handing_back: bool


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


# What was pushed here and never was there is part of the difference too.
_TAKE_NEW: Final = Statement(
    "exports_take_new",
    int,
    """
    INSERT INTO import_repositories (source_id, path, name, repository_id, state, due_at, imported_at, compared_at)
    SELECT :source_id, here.name, here.name, here.id, 'imported', NULL, now(), now()
      FROM repositories AS here
     WHERE (CAST(:pattern AS text) IS NULL
            OR (here.name LIKE glob_like(:pattern) AND glob_fits(here.name, :pattern, glob_form(:pattern), :regex)))
       AND NOT EXISTS (SELECT FROM import_repositories AS known
                        WHERE known.repository_id = here.id OR known.name = here.name)
     ORDER BY here.name
    ON CONFLICT DO NOTHING
    """,
)

# Whoever is writing here at this moment is waited for, before the difference is taken.
_ASK: Final = Statement(
    "exports_ask",
    int,
    """
    UPDATE import_repositories
       SET export_due_at = now(), export_after = pg_current_xact_id(), is_handing_back = :is_handing_back
     WHERE source_id = :source_id AND state IN ('listed', 'importing', 'imported', 'handed_back')
       AND (CAST(:pattern AS text) IS NULL
            OR (name LIKE glob_like(:pattern) AND glob_fits(name, :pattern, glob_form(:pattern), :regex)))
    """,
)

_CLAIM: Final = Statement(
    "exports_claim",
    ExportClaim,
    """
    WITH due AS MATERIALIZED (
        SELECT old.id
          FROM import_repositories AS old
          JOIN import_sources AS source ON source.id = old.source_id
         WHERE old.export_due_at <= now() AND old.lease_until <= now() AND old.state IN ('imported', 'handed_back')
           AND old.export_after < pg_snapshot_xmin(pg_current_snapshot())
           AND source.state = 'open' AND source.kind = 'layout' AND old.repository_id IS NOT NULL
         ORDER BY old.export_due_at
         LIMIT 1
           FOR UPDATE OF old SKIP LOCKED
    )
    UPDATE import_repositories AS claimed
       SET lease = claimed.lease + 1, lease_until = now() + interval '5 minutes'
      FROM due
     WHERE claimed.id = due.id
    RETURNING claimed.id, claimed.source_id, claimed.path,
              coalesce((SELECT name FROM repositories WHERE id = claimed.repository_id), claimed.name),
              claimed.repository_id, claimed.lease, claimed.is_handing_back
    """,
)

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

_FINISH: Final = Statement(
    "exports_finish",
    int,
    """
    UPDATE import_repositories AS old
       SET exported_at = now(), lease_until = now(), error = NULL,
           state = CASE WHEN :is_handed_back THEN 'handed_back' ELSE old.state END,
           is_handing_back = false, export_after = pg_current_xact_id(),
           export_due_at = now() + CAST((SELECT source.options ->> 'export_every' FROM import_sources AS source
                                          WHERE source.id = old.source_id) AS interval)
     WHERE old.id = :id AND old.lease = :lease
    """,
)

_PUT_OFF: Final = Statement(
    "exports_put_off",
    int,
    """
    UPDATE import_repositories
       SET lease_until = now(), export_due_at = now() + make_interval(secs => :seconds), error = :error
     WHERE id = :id AND lease = :lease
    """,
)


def ask(db: Database, source_id: int, pattern: str | None, *, is_handing_back: bool = False) -> int:
    """The repositories that fit, or all, are written back as soon as may be. Returns how many there are."""
    regex = None if pattern is None else repository_regex(pattern)
    which = {"source_id": source_id, "pattern": pattern, "regex": regex}
    calls: list[Call[Any]] = [_TAKE_NEW(**which), _ASK(**which, is_handing_back=is_handing_back)]
    return db.transaction(lambda session: session.batch(calls)[-1].count, is_long=True)


def claim(db: Database) -> ExportClaim | None:
    return db.one_or_none(_CLAIM())


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


def finish(db: Database, claim: ExportClaim, found: Sequence[Problem], *, is_handed_back: bool) -> None:
    calls: list[Call[Any]] = [*problems.noting(claim.source_id, found)]
    calls.append(_FINISH(id=claim.id, lease=claim.lease, is_handed_back=is_handed_back))
    db.batch(calls)


def put_off(db: Database, claim: ExportClaim, seconds: float, error: str | None = None) -> None:
    db.count(_PUT_OFF(id=claim.id, lease=claim.lease, seconds=seconds, error=error))
