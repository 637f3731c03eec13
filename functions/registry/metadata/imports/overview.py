"""How far an import is, as people ask for it: sums over a source, its repositories, what could not be taken over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.imports.vocabulary import ProblemKind, Reason, RepositoryState, SourceKind


@dataclass(frozen=True, slots=True)
class Overview:
    """A source and how far it is; sums of `tags`, `manifests` and `objects` are those of its repositories, as listed.

    `left_out` are manifests that belong to no tag, where somebody chose to leave them there.
    `recent_objects` became part of this registry within the last five minutes. `due` are repositories that somebody is
    at work on, or is to be by now, and pieces of a listing; `failing` are up to five that were tried again and again.
    """

    id: int
    kind: SourceKind
    address: str
    mode: str
    state: str
    reason: str | None
    untagged: str
    workers: int
    created_at: datetime
    opened_at: datetime | None
    listed_at: datetime | None
    sealed_at: datetime | None
    options: dict[str, Any]
    counts: dict[str, Any]
    modes: list[Any]
    repositories: dict[str, int]
    tags: int
    manifests: int
    left_out: int
    objects: int
    imported_tags: int
    imported_objects: int
    recent_objects: int
    due: int
    problems: dict[str, int]
    failing: list[Any]


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """`path` is its name there, `name` the one here."""

    path: str
    name: str | None
    state: RepositoryState
    tags: int
    manifests: int
    imported_at: datetime | None
    compared_at: datetime | None
    exported_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ProblemRow:
    id: int
    repository: str
    kind: ProblemKind
    key: str
    reason: Reason
    detail: str
    seen_at: datetime


_GET: Final = Statement(
    "imports_overview",
    Overview,
    """
    SELECT source.id, source.kind, source.address, source.mode, source.state, source.reason, source.untagged,
           source.workers, source.created_at, source.opened_at, source.listed_at, source.sealed_at,
           source.options - 'credentials' - 'next_page', source.counts,
           (SELECT coalesce(json_agg(json_build_object('repositories', pattern, 'mode', mode) ORDER BY id), '[]')
              FROM import_modes WHERE source_id = source.id),
           coalesce(sums.states, '{}'), CAST(coalesce(sums.tags, 0) AS bigint),
           CAST(coalesce(sums.manifests, 0) AS bigint), CAST(coalesce(sums.left_out, 0) AS bigint),
           CAST(coalesce(sums.objects, 0) AS bigint),
           CAST(coalesce(sums.imported_tags, 0) AS bigint), CAST(coalesce(sums.imported_objects, 0) AS bigint),
           CAST(coalesce(sums.recent_objects, 0) AS bigint),
           CAST(coalesce(sums.due, 0) AS bigint)
           + (SELECT count(*) FROM import_ranges WHERE import_ranges.source_id = source.id)
           + CAST(source.options ? 'again' AS int),
           coalesce(found.reasons, '{}'),
           (SELECT coalesce(json_agg(json_build_object('path', path, 'error', error) ORDER BY attempts DESC), '[]')
              FROM (SELECT path, error, attempts FROM import_repositories
                     WHERE source_id = source.id AND error IS NOT NULL
                     ORDER BY attempts DESC LIMIT 5) AS failing)
      FROM import_sources AS source
      LEFT JOIN LATERAL (
           SELECT json_object_agg(state, number) AS states, sum(tags) AS tags, sum(manifests) AS manifests,
                  sum(left_out) AS left_out, sum(objects) AS objects,
                  sum(tags) FILTER (WHERE state = 'imported') AS imported_tags,
                  sum(objects) FILTER (WHERE state = 'imported') AS imported_objects, sum(recent) AS recent_objects,
                  sum(due) AS due
             FROM (SELECT state, count(*) AS number, sum(tags) AS tags, sum(manifests) AS manifests,
                          sum(left_out) AS left_out, sum(objects) AS objects,
                          sum(objects) FILTER (WHERE imported_at > now() - interval '5 minutes') AS recent,
                          count(*) FILTER (WHERE lease_until > now() OR export_due_at <= now() OR (
                              due_at <= now() AND state IN ('listed', 'importing', 'imported'))) AS due
                     FROM import_repositories WHERE source_id = source.id GROUP BY state) AS by_state) AS sums ON true
      LEFT JOIN LATERAL (
           SELECT json_object_agg(reason, number) AS reasons
             FROM (SELECT reason, count(*) AS number FROM import_problems
                    WHERE source_id = source.id AND gone_at IS NULL GROUP BY reason) AS by_reason) AS found ON true
     WHERE source.id = :id
    """,
)

_REPOSITORY: Final = """
    SELECT path, name, state, tags, manifests, imported_at, compared_at, exported_at, error
      FROM import_repositories
"""

_LIST: Final = Statement(
    "imports_show_repositories",
    RepositoryRow,
    f"{_REPOSITORY} WHERE source_id = :source_id AND path > :last ORDER BY path LIMIT :size",
)

_LIST_STATE: Final = Statement(
    "imports_show_repositories_in_state",
    RepositoryRow,
    f"""
    {_REPOSITORY}
     WHERE source_id = :source_id AND state = :state
       AND id > coalesce((SELECT id FROM import_repositories WHERE source_id = :source_id AND path = :last), 0)
     ORDER BY id LIMIT :size
    """,  # noqa: S608  # a constant of this module
)

_PROBLEM: Final = "SELECT id, repository, kind, key, reason, detail, seen_at FROM import_problems"

_PROBLEMS: Final = Statement(
    "imports_show_problems",
    ProblemRow,
    f"{_PROBLEM} WHERE source_id = :source_id AND gone_at IS NULL AND id > :last ORDER BY id LIMIT :size",
)

_PROBLEMS_OF_REASON: Final = Statement(
    "imports_show_problems_of_reason",
    ProblemRow,
    f"""
    {_PROBLEM}
     WHERE source_id = :source_id AND gone_at IS NULL AND reason = :reason AND id > :last ORDER BY id LIMIT :size
    """,
)

# Whether it was imported or not: what changed there since is brought here.
_DUE: Final = Statement(
    "imports_make_due",
    int,
    """
    UPDATE import_repositories SET due_at = now(), attempts = 0, error = NULL
     WHERE source_id = :source_id AND state IN ('listed', 'importing', 'imported')
       AND (CAST(:pattern AS text) IS NULL
            OR (name LIKE glob_like(:pattern) AND glob_fits(name, :pattern, glob_form(:pattern), :regex)))
    """,
)

_RETRY: Final = Statement(
    "imports_retry",
    int,
    """
    UPDATE import_repositories AS theirs
       SET due_at = now(), attempts = 0, error = NULL,
           state = CASE theirs.state WHEN 'imported' THEN 'listed' ELSE theirs.state END
     WHERE theirs.source_id = :source_id AND theirs.state IN ('listed', 'importing', 'imported')
       AND theirs.lease_until <= now()
       AND (theirs.error IS NOT NULL
            OR EXISTS (SELECT FROM import_problems AS found
                        WHERE found.source_id = theirs.source_id AND found.repository = theirs.path
                          AND found.gone_at IS NULL))
    """,
)

# One that was paused before its listing began has given nothing yet either.
_REMOVE: Final = Statement(
    "imports_remove_source",
    int,
    """
    DELETE FROM import_sources AS source
     WHERE source.id = :id
       AND (source.state IN ('added', 'sealed')
            OR (source.state = 'paused' AND source.listed_at IS NULL AND source.kind = 'layout'
                AND NOT EXISTS (SELECT FROM import_ranges WHERE source_id = :id)))
    """,
)


def get(db: Database, source_id: int) -> Overview | None:
    return db.one_or_none(reading(source_id))


def reading(source_id: int) -> Call[Overview]:
    """Returns what `get` asks, for a batch."""
    return _GET(id=source_id)


def list_repositories(
    db: Database, source_id: int, state: RepositoryState | None, last: str, size: int
) -> list[RepositoryRow]:
    """Lists those after the one whose path is `last`; one more than `size` if there are more."""
    return db.all(listing_repositories(source_id, state, last, size))


def listing_repositories(source_id: int, state: RepositoryState | None, last: str, size: int) -> Call[RepositoryRow]:
    """Returns what `list_repositories` asks, for a batch."""
    if state is None:
        return _LIST(source_id=source_id, last=last, size=size + 1)
    return _LIST_STATE(source_id=source_id, state=state, last=last, size=size + 1)


def list_problems(db: Database, source_id: int, reason: Reason | None, last: int, size: int) -> list[ProblemRow]:
    """Lists those after the one whose id is `last`; one more than `size` if there are more."""
    return db.all(listing_problems(source_id, reason, last, size))


def listing_problems(source_id: int, reason: Reason | None, last: int, size: int) -> Call[ProblemRow]:
    """Returns what `list_problems` asks, for a batch."""
    if reason is None:
        return _PROBLEMS(source_id=source_id, last=last, size=size + 1)
    return _PROBLEMS_OF_REASON(source_id=source_id, reason=reason, last=last, size=size + 1)


def make_due(db: Database, source_id: int, pattern: str | None = None) -> int:
    """The repositories that fit, or all, are looked at as soon as may be. Returns how many there are."""
    regex = None if pattern is None else repository_regex(pattern)
    call = _DUE(source_id=source_id, pattern=pattern, regex=regex)
    return db.transaction(lambda session: session.count(call), is_long=True)


def retry(db: Database, source_id: int) -> int:
    """What failed, or could be taken over only in part, is tried once more. Returns how many repositories there are."""
    call = _RETRY(source_id=source_id)
    return db.transaction(lambda session: session.count(call), is_long=True)


def remove(db: Database, source_id: int) -> bool:
    """Forgets a source that was not started, or is sealed, or could not be listed at all. False otherwise."""
    return db.count(_REMOVE(id=source_id)) > 0
