"""Which repositories are to be written back into the layout of an older registry, and who is at work on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.imports import problems
from functions.registry.metadata.imports.vocabulary import Problem


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


# What was pushed here and never was there is part of the difference too.
_TAKE_NEW: Final = Statement(
    "exports_take_new",
    int,
    """
    INSERT INTO import_repositories (source_id, path, name, repository_id, state, due_at, imported_at, compared_at)
    SELECT :source_id, here.name, here.name, here.id, 'imported', NULL, now(), now()
      FROM repositories AS here
     WHERE here.deleted_at IS NULL
       AND (CAST(:pattern AS text) IS NULL
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


def finish(db: Database, claim: ExportClaim, found: Sequence[Problem], *, is_handed_back: bool) -> None:
    calls: list[Call[Any]] = [*problems.noting(claim.source_id, found)]
    calls.append(_FINISH(id=claim.id, lease=claim.lease, is_handed_back=is_handed_back))
    db.batch(calls)


def put_off(db: Database, claim: ExportClaim, seconds: float, error: str | None = None) -> None:
    db.count(_PUT_OFF(id=claim.id, lease=claim.lease, seconds=seconds, error=error))
