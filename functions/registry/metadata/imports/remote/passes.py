"""How far a copy from another registry is: the names that it lists, and one pass after the other over each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.imports import problems
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.metadata.imports.claims import Claim
from functions.registry.metadata.imports.vocabulary import Problem, SourceKind


@dataclass(frozen=True, slots=True)
class Named:
    """A repository by its name there, and the name that it gets here; None if it is refused."""

    path: str
    name: str | None


_AT_WORK: Final = Statement(
    "passes_sources_at_work",
    int,
    """
    SELECT id FROM import_sources
     WHERE state NOT IN ('added', 'sealed') AND state IN ('opening', 'listing', 'open') AND kind = 'registry'
     ORDER BY id
    """,
)

_OPTIONS: Final = Statement("passes_options", dict, "SELECT options FROM import_sources WHERE id = :id")

_LISTING: Final = Statement(
    "passes_listing", str, "SELECT options ->> 'next_page' FROM import_sources WHERE id = :id AND state = 'listing'"
)

# A name that another source has is that one's.
_NAME: Final = Statement(
    "passes_name",
    Named,
    """
    INSERT INTO import_repositories (source_id, path, name, state, due_at)
    SELECT :source_id, listed.path, listed.name, CASE WHEN listed.name IS NULL THEN 'refused' ELSE 'listed' END,
           CASE WHEN listed.name IS NULL THEN NULL ELSE now() END
      FROM unnest(CAST(:paths AS text[]), CAST(:names AS text[])) AS listed (path, name)
     ORDER BY listed.path COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING path, name
    """,
)

_TAKEN: Final = Statement(
    "passes_taken",
    str,
    """
    SELECT theirs.name FROM import_repositories AS theirs
     WHERE theirs.source_id <> :source_id AND theirs.name = ANY (CAST(:names AS text[]))
    """,
)

_LIST_AGAIN: Final = Statement(
    "passes_list_again",
    int,
    "UPDATE import_sources SET state = 'listing' WHERE id = :id AND state = 'open' AND kind = 'registry'",
)


@dataclass(frozen=True, slots=True)
class _Late:
    id: int
    kind: SourceKind


_LATE: Final = Statement(
    "passes_list_late",
    _Late,
    """
    UPDATE import_sources SET options = jsonb_set(options, '{listed_again_at}', to_jsonb(CAST(now() AS text)))
     WHERE state NOT IN ('added', 'sealed') AND state = 'open' AND options ->> 'every' IS NOT NULL
       AND coalesce(CAST(options ->> 'listed_again_at' AS timestamptz), listed_at)
           + CAST(options ->> 'every' AS interval) <= now()
    RETURNING id, kind
    """,
)

_TURN: Final = Statement(
    "passes_turn_page",
    int,
    """
    UPDATE import_sources
       SET options = CASE WHEN CAST(:next_page AS text) IS NULL THEN options - 'next_page'
                          ELSE jsonb_set(options, '{next_page}', to_jsonb(CAST(:next_page AS text))) END,
           listed_at = CASE WHEN CAST(:next_page AS text) IS NULL THEN now() ELSE listed_at END,
           state = CASE WHEN CAST(:next_page AS text) IS NULL THEN 'open' ELSE state END, reason = NULL
     WHERE id = :id AND state = 'listing'
    """,
)

_BEGIN: Final = Statement(
    "passes_begin", str, "SELECT cursor FROM import_repositories WHERE id = :id AND lease = :lease"
)

_SAVE: Final = Statement(
    "passes_save",
    int,
    """
    UPDATE import_repositories SET cursor = :cursor, lease_until = now() + interval '5 minutes'
     WHERE id = :id AND lease = :lease
    """,
)

_FINISH: Final = Statement(
    "passes_finish",
    int,
    """
    UPDATE import_repositories AS theirs
       SET state = 'imported', cursor = '', tags = :tags, objects = :tags, lease_until = now(), attempts = 0,
           error = NULL,
           asked_at = NULL, compared_at = now(), imported_at = coalesce(theirs.imported_at, now()),
           due_at = now() + CAST((SELECT source.options ->> 'every' FROM import_sources AS source
                                   WHERE source.id = theirs.source_id) AS interval),
           repository_id = coalesce((SELECT id FROM repositories AS here WHERE here.name = theirs.name),
                                    theirs.repository_id)
     WHERE theirs.id = :id AND theirs.lease = :lease
    """,
)

# What a whole pass did not come upon again. What changed on both sides stays told.
_END_PROBLEMS: Final = Statement(
    "passes_end_problems",
    int,
    """
    UPDATE import_problems AS known SET gone_at = now()
     WHERE known.source_id = :source_id AND known.repository = :path AND known.gone_at IS NULL
       AND known.reason <> 'conflict'
       AND NOT EXISTS (SELECT FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[])) AS seen (kind, key)
                        WHERE seen.kind = known.kind AND seen.key = known.key)
    """,
)

_COUNT: Final = Statement(
    "passes_count",
    int,
    """
    UPDATE import_sources
       SET counts = counts || jsonb_build_object(
               'manifests_copied', coalesce(CAST(counts ->> 'manifests_copied' AS bigint), 0) + :manifests,
               'blobs_copied', coalesce(CAST(counts ->> 'blobs_copied' AS bigint), 0) + :blobs,
               'bytes_copied', coalesce(CAST(counts ->> 'bytes_copied' AS bigint), 0) + :bytes,
               'tags_changed', coalesce(CAST(counts ->> 'tags_changed' AS bigint), 0) + :tags)
     WHERE id = :id
    """,
)


@dataclass(frozen=True, slots=True)
class Travelled:
    """What was copied."""

    manifests: int
    blobs: int
    bytes: int
    tags: int

    @property
    def is_nothing(self) -> bool:
        return not (self.manifests or self.blobs or self.tags)


def sources_at_work(db: Database) -> list[int]:
    """Returns the registries behind an API that are to be copied."""
    return db.all(_AT_WORK())


def options(db: Database, source_id: int) -> Mapping[str, Any]:
    """Returns what somebody chose for the source when it was added."""
    return db.one_or_none(_OPTIONS(id=source_id)) or {}


def next_page(db: Database, source_id: int) -> str | None:
    """Tells where the listing of the catalog goes on; None at its beginning."""
    return db.one_or_none(_LISTING(id=source_id))


def take_page(db: Database, source_id: int, named: Sequence[Named], found: Sequence[Problem], then: str | None) -> int:
    """Notes a page of names, and where the next one is; without one all are known. Returns how many are new."""
    names = [each.name for each in named if each.name is not None]
    taken = set(db.all(_TAKEN(source_id=source_id, names=names)))
    refused = [
        Problem(each.path, "repository", each.path, "name", f"another source has {each.name}")
        for each in named
        if each.name in taken
    ]
    kept = [Named(each.path, None if each.name in taken else each.name) for each in named]
    calls: list[Call[Any]] = [
        _NAME(source_id=source_id, paths=[each.path for each in kept], names=[each.name for each in kept]),
        *problems.noting(source_id, [*found, *refused]),
        _TURN(id=source_id, next_page=then),
    ]
    return db.batch(calls)[0].count


def begin(db: Database, claim: Claim) -> str | None:
    """Tells where the pass goes on; None if somebody else has claimed the repository meanwhile."""
    return db.one_or_none(_BEGIN(id=claim.id, lease=claim.lease))


def list_again(db: Database, source_id: int, kind: SourceKind) -> None:
    """All names are gone through once more, for what came or changed since."""
    if kind == "layout":
        pieces.list_again(db, source_id)
    else:
        db.count(_LIST_AGAIN(id=source_id))


def list_late(db: Database) -> int:
    """Does the same to all sources whose time it is, where somebody said how often. Returns how many there were."""
    late = db.all(_LATE())
    for source in late:
        list_again(db, source.id, source.kind)
    return len(late)


def save(db: Database, claim: Claim, cursor: str) -> None:
    """Keeps where a pass goes on, and the claim for another five minutes."""
    db.count(_SAVE(id=claim.id, lease=claim.lease, cursor=cursor))


def finish(
    db: Database, source_id: int, claim: Claim, tags: int, travelled: Travelled, seen: set[tuple[str, str]] | None
) -> None:
    """The pass came to its end: the repository has `tags` there.

    `seen` are the kinds and keys of all problems there are; None if the pass was not a whole one, and can't tell.
    """
    calls: list[Call[Any]] = [_FINISH(id=claim.id, lease=claim.lease, tags=tags)]
    if seen is not None:
        which = {"source_id": source_id, "path": claim.path}
        calls.append(_END_PROBLEMS(**which, kinds=[kind for kind, _ in seen], keys=[key for _, key in seen]))
    db.batch(calls)
    count(db, source_id, travelled)


def count(db: Database, source_id: int, travelled: Travelled) -> None:
    """Adds to what the source shows as copied."""
    if not travelled.is_nothing:
        db.count(
            _COUNT(
                id=source_id,
                manifests=travelled.manifests,
                blobs=travelled.blobs,
                bytes=travelled.bytes,
                tags=travelled.tags,
            )
        )
