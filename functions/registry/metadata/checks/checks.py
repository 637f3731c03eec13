"""Checks: how one is asked for, how far it is, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.checks.vocabulary import CheckState, Kind
from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement


class CheckRunning(Exception):
    """There is a check that has not come to its end."""


@dataclass(frozen=True, slots=True)
class Check:
    """`asked_by` is None for one that began by itself; `counts` have what was looked at, and what was done."""

    id: int
    state: CheckState
    asked_by: str | None
    options: Mapping[str, Any]
    counts: Mapping[str, int]
    reason: str | None
    started_at: datetime
    planned_at: datetime | None
    finished_at: datetime | None


_COLUMNS: Final = "id, state, asked_by, options, counts, reason, started_at, planned_at, finished_at"

_START: Final = Statement(
    "checks_start",
    Check,
    f"INSERT INTO checks (asked_by, options) VALUES (:asked_by, CAST(:options AS jsonb)) RETURNING {_COLUMNS}",  # noqa: S608  # a constant of this module
)

# Of several workers that come to the same end one begins it.
_START_DUE: Final = Statement(
    "checks_start_due",
    int,
    """
    INSERT INTO checks (options)
    SELECT CAST(:options AS jsonb)
     WHERE NOT EXISTS (SELECT FROM checks WHERE started_at > now() - make_interval(days => :days))
       AND NOT EXISTS (SELECT FROM checks WHERE state = 'running')
    ON CONFLICT DO NOTHING
    """,
)

_GET: Final = Statement("checks_get", Check, f"SELECT {_COLUMNS} FROM checks WHERE id = :id")  # noqa: S608  # as above

_RUNNING: Final = Statement("checks_running", Check, f"SELECT {_COLUMNS} FROM checks WHERE state = 'running'")  # noqa: S608  # as above

_LIST: Final = Statement(
    "checks_list",
    Check,
    f"SELECT {_COLUMNS} FROM checks WHERE id < :before ORDER BY id DESC LIMIT :limit",  # noqa: S608  # as above
)

# Whoever plans a check, or ends it, does so alone.
_LOCK: Final = Statement(
    "checks_lock",
    Check,
    f"SELECT {_COLUMNS} FROM checks WHERE id = :id AND state = 'running' FOR NO KEY UPDATE",  # noqa: S608  # as above
)

_PLANNED: Final = Statement("checks_planned", int, "UPDATE checks SET planned_at = now() WHERE id = :id")

# Numbers are added, and a key that is new begins with its own.
_COUNT: Final = Statement(
    "checks_count",
    int,
    """
    UPDATE checks
       SET counts = counts || (SELECT coalesce(jsonb_object_agg(
               added.key, coalesce(CAST(counts ->> added.key AS bigint), 0) + CAST(added.value AS bigint)), '{}')
             FROM jsonb_each_text(CAST(:added AS jsonb)) AS added)
     WHERE id = :id
    """,
)

_NOTE_REASON: Final = Statement(
    "checks_note_reason", int, "UPDATE checks SET reason = coalesce(reason, :reason) WHERE id = :id"
)

_NOTE_HASHED: Final = Statement("checks_note_hashed", int, "UPDATE checks SET hashed_to = :hashed_to WHERE id = :id")

_HASHED_TO: Final = Statement(
    "checks_hashed_to",
    str,
    "SELECT hashed_to FROM checks WHERE id > 0 AND hashed_to IS NOT NULL ORDER BY id DESC LIMIT 1",
)

_END: Final = Statement(
    "checks_end",
    int,
    """
    UPDATE checks SET state = :state, reason = coalesce(:reason, reason), finished_at = now()
     WHERE id = :id AND state = 'running'
    """,
)

_DROP_PIECES: Final = Statement("checks_drop_pieces", int, "DELETE FROM check_pieces WHERE check_id = :id")

# What it did not come upon, of the kinds that it looked for, is no more.
_CLOSE_GONE: Final = Statement(
    "checks_close_gone",
    int,
    """
    UPDATE findings SET gone_at = now()
     WHERE id > 0 AND gone_at IS NULL AND check_id < :id AND kind = ANY (CAST(:kinds AS text[]))
    """,
)

_FORGET_FINDINGS: Final = Statement(
    "checks_forget_findings", int, "DELETE FROM findings WHERE gone_at < now() - interval '90 days'"
)

_FORGET: Final = Statement(
    "checks_forget",
    int,
    """
    DELETE FROM checks
     WHERE started_at < now() - interval '400 days' AND state <> 'running'
       AND NOT EXISTS (SELECT FROM findings WHERE findings.check_id = checks.id)
    """,
)


def start(db: Database, asked_by: str | None, options: Mapping[str, Any]) -> Check:
    """Nothing is looked at before somebody works at it. Raises CheckRunning: there is one at a time."""
    call = _START(asked_by=asked_by, options=json.dumps(dict(options)))
    try:
        return _START.read(db.batch([call])[0])[0]
    except Conflict as conflict:
        if conflict.constraint != "checks_running":
            raise
        raise CheckRunning from conflict


def start_due(db: Database, days: int, hash_bytes: int) -> bool:
    """Starts one if none was started in so many days; 0 is never. It reads so many bytes of objects, those that were
    read longest ago.
    """
    options = json.dumps({"hash_bytes": hash_bytes} if hash_bytes else {})
    return days > 0 and db.count(_START_DUE(days=days, options=options)) > 0


def get(db: Database, check_id: int) -> Check | None:
    return db.one_or_none(_GET(id=check_id))


def running(db: Database) -> Check | None:
    return db.one_or_none(_RUNNING())


def list_all(db: Database, before: int, limit: int) -> list[Check]:
    """The latest first, one more than `limit` if there are more."""
    return db.all(listing(before, limit))


def listing(before: int, limit: int) -> Call[Check]:
    """Returns what `list_all` asks, for a batch."""
    return _LIST(before=before, limit=limit + 1)


def lock(session: Session, check_id: int) -> Check | None:
    """Returns None if it is not running any more."""
    return session.one_or_none(_LOCK(id=check_id))


def planned(check_id: int) -> Call[int]:
    return _PLANNED(id=check_id)


def counting(check_id: int, added: Mapping[str, int]) -> Call[int]:
    return _COUNT(id=check_id, added=json.dumps({name: number for name, number in added.items() if number}))


def note_reason(db: Database, check_id: int, reason: str) -> None:
    """Something could not be looked at: it ends as incomplete. The first reason stays."""
    db.count(_NOTE_REASON(id=check_id, reason=reason))


def noting_hashed(check_id: int, digest: str) -> Call[int]:
    """The check has read objects up to that digest, in hexadecimal as it is kept; empty: to the last one."""
    return _NOTE_HASHED(id=check_id, hashed_to=digest)


def hashed_to(db: Database) -> str:
    """Where the next check goes on that is to read so many bytes; empty: at the first digest."""
    return db.one_or_none(_HASHED_TO()) or ""


def ending(check_id: int, state: CheckState, reason: str | None, kinds: Sequence[Kind]) -> list[Call[Any]]:
    """Ends it: of `kinds` all was looked at. What is long gone is forgotten by the way."""
    return [
        _END(id=check_id, state=state, reason=reason),
        _DROP_PIECES(id=check_id),
        _CLOSE_GONE(id=check_id, kinds=list(kinds)),
        _FORGET_FINDINGS(),
        _FORGET(),
    ]


def stop(db: Database, check_id: int, reason: str) -> bool:
    """Whoever works at it ends with the piece in hand. False if it is not running. What was found stays."""
    ended, _ = db.batch([_END(id=check_id, state="stopped", reason=reason), _DROP_PIECES(id=check_id)])
    return ended.count > 0
