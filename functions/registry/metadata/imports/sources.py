"""Registries that are moved in: how one is opened, who decides about it, and whether anybody works at it.

Opening is what holds its objects: from that commit on no collection deletes any of them (docs/gc.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement
from functions.registry.metadata.imports.vocabulary import Mode, Source, SourceKind, Untagged


class SourceExists(Exception):
    """There is a source of that address already, and it is not sealed."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """`prefix` is what its objects' names begin with in this registry's bucket; None if it lies elsewhere.

    `renames` has the names that repositories are to get instead of those that they have there. `options` are whatever
    else was chosen, by name.
    """

    kind: SourceKind
    address: str
    prefix: str | None = None
    untagged: Untagged = "grace"
    workers: int = 8
    renames: Mapping[str, str] | None = None
    options: Mapping[str, Any] | None = None


_COLUMNS: Final = "id, kind, address, prefix, mark, mode, state, reason, untagged, workers, listed_at"

_ADD: Final = Statement(
    "imports_add_source",
    Source,
    f"""
    INSERT INTO import_sources (kind, address, prefix, untagged, workers, options)
    VALUES (:kind, :address, :prefix, :untagged, :workers, CAST(:options AS jsonb))
    RETURNING {_COLUMNS}
    """,  # noqa: S608  # a constant of this module
)

_GET: Final = Statement("imports_get_source", Source, f"SELECT {_COLUMNS} FROM import_sources WHERE id = :id")  # noqa: S608  # as above

_LIST: Final = Statement(
    "imports_list_sources",
    Source,
    f"SELECT {_COLUMNS} FROM import_sources WHERE id > :after ORDER BY id LIMIT :limit",  # noqa: S608  # as above
)

# Others queue behind a lock that waits, so it doesn't wait long.
_LOCK_DELETIONS: Final = Statement("imports_lock_deletions", str, "SELECT lock_deletions()")

_OPEN: Final = Statement(
    "imports_open_source",
    int,
    "UPDATE import_sources SET state = 'opening', opened_at = now() WHERE id = :id AND state = 'added'",
)

_CHOOSE: Final = Statement(
    "imports_choose",
    int,
    """
    UPDATE import_sources
       SET options = options || CAST(:options AS jsonb), workers = coalesce(:workers, workers),
           untagged = coalesce(:untagged, untagged)
     WHERE id = :id AND state <> 'sealed'
    """,
)

_BEING_DELETED: Final = Statement(
    "imports_being_deleted",
    int,
    """
    SELECT count(*)
      FROM import_sources AS source
      JOIN deletions
        ON deletions.object_name >= source.prefix AND deletions.object_name < rtrim(source.prefix, '/') || '0'
     WHERE source.id = :id AND is_being_deleted(deletions.attempts, deletions.not_before)
    """,
)

_HAS_MARK: Final = Statement("imports_has_mark", int, "SELECT id FROM import_sources WHERE mark = :mark")

# Another source of the same place, also one that is sealed, has its blobs there.
_IS_HANDED_BACK: Final = Statement(
    "imports_is_handed_back",
    bool,
    """
    SELECT EXISTS (SELECT FROM import_repositories WHERE source_id = source.id AND state = 'handed_back')
       AND NOT EXISTS (SELECT FROM import_repositories
                        WHERE source_id = source.id AND state IN ('listed', 'importing', 'imported'))
       AND NOT EXISTS (SELECT FROM import_sources AS other
                        WHERE other.prefix = source.prefix AND other.id <> source.id AND other.state <> 'added')
      FROM import_sources AS source WHERE source.id = :id
    """,
)

_BEGIN: Final = Statement(
    "imports_begin_listing", int, "UPDATE import_sources SET state = 'listing' WHERE id = :id AND state = 'opening'"
)

_PAUSE: Final = Statement(
    "imports_pause_source",
    int,
    """
    UPDATE import_sources SET state = 'paused', reason = :reason
     WHERE id = :id AND state IN ('opening', 'listing', 'open')
    """,
)

_LONGEST_REASON: Final = 1000

# Whoever has listed all takes it away.
_WAIT: Final = Statement(
    "imports_note_waiting",
    int,
    """
    UPDATE import_sources SET reason = :reason
     WHERE id = :id AND state IN ('opening', 'listing') AND reason IS DISTINCT FROM :reason
    """,
)

_RESUME: Final = Statement(
    "imports_resume_source",
    int,
    """
    UPDATE import_sources SET state = CASE WHEN listed_at IS NULL THEN 'opening' ELSE 'open' END, reason = NULL
     WHERE id = :id AND state = 'paused'
    """,
)

_SET_MODE: Final = Statement("imports_set_source_mode", int, "UPDATE import_sources SET mode = :mode WHERE id = :id")

_FORGET_PATTERNS: Final = Statement("imports_forget_patterns", int, "DELETE FROM import_modes WHERE source_id = :id")

_FORGET_PATTERN: Final = Statement(
    "imports_forget_pattern", int, "DELETE FROM import_modes WHERE source_id = :id AND pattern = :pattern"
)

_ADD_PATTERN: Final = Statement(
    "imports_add_pattern",
    int,
    """
    INSERT INTO import_modes (source_id, pattern, pattern_regex, mode) VALUES (:id, :pattern, :pattern_regex, :mode)
    """,
)


def add(db: Database, new: NewSource) -> Source:
    """Nothing happens to it before it is opened. Raises SourceExists, and Conflict for what the schema refuses."""
    call = _ADD(
        kind=new.kind,
        address=new.address,
        prefix=new.prefix,
        untagged=new.untagged,
        workers=new.workers,
        options=json.dumps({**(new.options or {}), "renames": dict(new.renames or {})}),
    )
    try:
        return _ADD.read(db.batch([call])[0])[0]
    except Conflict as conflict:
        if conflict.constraint != "import_sources_address":
            raise
        raise SourceExists(new.address) from conflict


def get(db: Database, source_id: int) -> Source | None:
    return db.one_or_none(_GET(id=source_id))


def list_all(db: Database, after: int = 0, limit: int = 100) -> list[Source]:
    """Lists the eldest first, sealed ones too."""
    return db.all(listing(after, limit))


def listing(after: int = 0, limit: int = 100) -> Call[Source]:
    """Returns what `list_all` asks, for a batch."""
    return _LIST(after=after, limit=limit)


def choose(
    db: Database,
    source_id: int,
    options: Mapping[str, Any],
    workers: int | None = None,
    untagged: Untagged | None = None,
) -> bool:
    """Changes those options, and the others that are given. False if there is no such source, or it is sealed."""
    call = _CHOOSE(id=source_id, options=json.dumps(dict(options)), workers=workers, untagged=untagged)
    return db.count(call) > 0


def open_up(db: Database, source_id: int) -> bool:
    """From now on its objects are held, and its repositories belong to it; False unless it was only added.

    Raises MetadataUnavailable while a long deletion goes on: another time it works.
    """

    def work(session: Session) -> bool:
        session.batch([_LOCK_DELETIONS()])
        return session.count(_OPEN(id=source_id)) > 0

    return db.transaction(work)


def has_mark(db: Database, mark: UUID) -> bool:
    """Says whether a source of this registry, also one that is sealed, has this mark."""
    return db.one_or_none(_HAS_MARK(mark=mark)) is not None


def is_handed_back(db: Database, source_id: int) -> bool:
    """Says whether the other registry has all of it for itself again: all repositories that it had here."""
    return db.one_or_none(_IS_HANDED_BACK(id=source_id)) or False


def begin_listing(db: Database, source_id: int) -> bool:
    """Begins once no deletion from before it was opened may still be under way. Until then nothing may be taken
    over: an object that is seen may be gone a moment later. False if that is so, or if it is not opening.
    """
    if db.one_or_none(_BEING_DELETED(id=source_id)):
        return False
    return db.count(_BEGIN(id=source_id)) > 0


def pause(db: Database, source_id: int, reason: str) -> bool:
    """Nobody works at it until it is resumed. What is held stays held, and what clients ask for is fetched."""
    return db.count(_PAUSE(id=source_id, reason=reason)) > 0


def note_waiting(db: Database, source_id: int, reason: str) -> None:
    """Keeps why a listing doesn't go on. It is tried again all the same, and once it has succeeded nothing is kept."""
    db.count(_WAIT(id=source_id, reason=reason[:_LONGEST_REASON]))


def resume(db: Database, source_id: int) -> bool:
    return db.count(_RESUME(id=source_id)) > 0


def set_mode(db: Database, source_id: int, mode: Mode, pattern: str | None = None) -> bool:
    """Sets who decides, from the next transaction on: about the whole source, or about the repositories that fit a
    pattern.

    The latest pattern wins, and the whole source takes all patterns away. False if there is no such source. Raises
    PatternInvalid.
    """
    if pattern is None:
        calls: list[Call[Any]] = [_FORGET_PATTERNS(id=source_id), _SET_MODE(id=source_id, mode=mode)]
    else:
        regex = repository_regex(pattern)
        calls = [
            _FORGET_PATTERN(id=source_id, pattern=pattern),
            _ADD_PATTERN(id=source_id, pattern=pattern, pattern_regex=regex, mode=mode),
        ]
    try:
        return db.batch(calls)[-1].count > 0
    except Conflict as conflict:
        if conflict.constraint != "import_modes_source_id_fkey":
            raise
        return False
