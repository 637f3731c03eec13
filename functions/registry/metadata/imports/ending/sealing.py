"""The end of an import: its source decides about nothing any more.

Each step may be run again, in this order (functions/migrate/imports/seal.py). Not undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest

# So that no statement holds anything for longer than a moment.
REPOSITORIES: Final = 200


@dataclass(frozen=True, slots=True)
class Awaited:
    """A reference of an imported manifest whose target isn't here; `path` is its repository in the source."""

    path: str
    digest: Digest


# A repository that is to be compared by now, or is being compared, or could not be. One that is copied now and then, at
# its own time, is none.
_IS_DUE: Final = """
    due_at IS NOT NULL AND state = 'imported' AND (due_at <= now() OR lease_until > now() OR error IS NOT NULL)
"""

_BEGIN: Final = Statement(
    "imports_begin_seal",
    int,
    f"""
    UPDATE import_sources SET state = 'sealing', reason = NULL
     WHERE id = :id AND state IN ('open', 'paused') AND listed_at IS NOT NULL AND NOT options ? 'again'
       AND NOT EXISTS (SELECT FROM import_ranges WHERE source_id = :id AND tree = 'repositories')
       AND NOT EXISTS (SELECT FROM import_repositories
                        WHERE source_id = :id AND state IN ('listed', 'importing'))
       AND NOT EXISTS (SELECT FROM import_repositories WHERE source_id = :id AND {_IS_DUE})
    """,  # noqa: S608  # a constant of this module
)

_UNFINISHED: Final = Statement(
    "imports_unfinished",
    str,
    f"""
    SELECT path FROM import_repositories
     WHERE name >= '' AND source_id = :id
       AND (state IN ('listed', 'importing') OR {_IS_DUE})
     ORDER BY name LIMIT :limit
    """,  # noqa: S608  # as above
)

# Somebody is at work on it, or is to be; what fails again and again is not waited for.
_IS_BUSY: Final = Statement(
    "imports_is_busy",
    bool,
    f"""
    SELECT options ? 'again'
        OR EXISTS (SELECT FROM import_ranges WHERE source_id = :id AND tree = 'repositories')
        OR EXISTS (SELECT FROM import_repositories
                    WHERE source_id = :id AND error IS NULL AND (state IN ('listed', 'importing') OR {_IS_DUE}))
      FROM import_sources WHERE id = :id
    """,  # noqa: S608  # as above
)

# But for what is reported: somebody knows of it; and for what was deleted here: it is to stay away.
_AWAITED: Final = Statement(
    "imports_awaited",
    Awaited,
    """
    SELECT DISTINCT old.path, awaited.digest
      FROM import_repositories AS old
      JOIN sparse_references AS awaited ON awaited.repository_id = old.repository_id
     WHERE old.repository_id = ANY (CAST(:ids AS bigint[])) AND old.source_id = :id
       AND NOT EXISTS (SELECT FROM import_problems AS reported
                        WHERE reported.source_id = :id AND reported.repository = old.path
                          AND reported.key = digest_text(awaited.digest) AND reported.gone_at IS NULL)
       AND NOT EXISTS (SELECT FROM import_deleted AS gone
                        WHERE gone.repository = old.name AND gone.tag = '' AND gone.digest = awaited.digest)
     ORDER BY old.path, awaited.digest
    """,
)

_REPOSITORY_PAGE: Final = Statement(
    "imports_page_of_repositories",
    int,
    """
    SELECT repository_id FROM import_repositories
     WHERE repository_id > :after AND source_id = :id
     ORDER BY repository_id
     LIMIT :limit
    """,
)

_END: Final = Statement(
    "imports_end_seal",
    int,
    """
    UPDATE import_sources AS source
       SET state = 'sealed', sealed_at = now(),
           counts = source.counts || jsonb_build_object('repositories', (
               SELECT coalesce(jsonb_object_agg(found.state, found.count), '{}')
                 FROM (SELECT state, count(*) AS count FROM import_repositories
                        WHERE source_id = source.id GROUP BY state) AS found))
     WHERE id = :id AND state = 'sealing'
    """,
)

_WISH: Final = Statement(
    "imports_wish_seal",
    int,
    """
    UPDATE import_sources SET options = options || '{"wish": "seal"}', reason = NULL
     WHERE id = :id AND state <> 'sealed'
    """,
)

_WISHED: Final = Statement(
    "imports_wished_seal",
    int,
    """
    SELECT id FROM import_sources
     WHERE state NOT IN ('added', 'sealed') AND (state = 'sealing' OR (state = 'open' AND options ->> 'wish' = 'seal'))
     ORDER BY id
    """,
)

_REFUSE: Final = Statement(
    "imports_refuse_seal",
    int,
    "UPDATE import_sources SET options = options - 'wish', reason = :reason WHERE id = :id",
)


def wish(db: Database, source_id: int) -> None:
    """Whoever works at it seals it, as soon as it may be."""
    db.count(_WISH(id=source_id))


def wished(db: Database) -> list[int]:
    """Returns the sources that somebody wants to be sealed."""
    return db.all(_WISHED())


def refuse(db: Database, source_id: int, reason: str) -> None:
    """It can't be sealed yet: the reason shows, and whoever wants it says so again."""
    db.count(_REFUSE(id=source_id, reason=reason))


def begin(db: Database, source_id: int) -> bool:
    """Nothing is imported from now on, once all transactions that are open are over. False if repositories of it aren't
    imported yet or are to be compared, or if it is being listed, or sealed.
    """
    return db.count(_BEGIN(id=source_id)) > 0


def is_busy(db: Database, source_id: int) -> bool:
    """Says whether something is being listed, imported or compared, or is to be."""
    return db.one_or_none(_IS_BUSY(id=source_id)) or False


def unfinished(db: Database, source_id: int, limit: int) -> list[str]:
    """Paths of repositories that keep it from being sealed."""
    return db.all(_UNFINISHED(id=source_id, limit=limit))


def awaited(db: Database, source_id: int) -> Iterator[Awaited]:
    """Returns references whose target wasn't there: nothing looks for it after the seal."""
    for ids in repositories_of(db, source_id):
        yield from db.all(_AWAITED(id=source_id, ids=ids))


def repositories_of(db: Database, source_id: int) -> Iterator[list[int]]:
    """Yields those that are here, some at a time."""
    last = 0
    while ids := db.all(_REPOSITORY_PAGE(id=source_id, after=last, limit=REPOSITORIES)):
        yield ids
        last = ids[-1]


def end(db: Database, source_id: int) -> bool:
    """What is held isn't any more, once all transactions that are open are over."""
    return db.count(_END(id=source_id)) > 0
