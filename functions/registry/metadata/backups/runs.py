"""What is to be done about backups, and who is at work on it: one thing at a time, claimed for five minutes at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.backups import drills, holds
from functions.registry.metadata.backups.vocabulary import Claim, Run, RunKind, RunState
from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement, compose

LEASE_SECONDS: Final = 300


class RunUnderWay(Exception):
    """Something is being done about backups already."""


class LeaseLost(Exception):
    """Somebody else is at work on it, or it is over."""


class HoldEnded(Exception):
    """The hold ended before it was renewed: objects may have been deleted that the rows name."""


_RUN: Final = compose(
    """
    id, kind, state, destination, name, options, snapshot_at, counts, cardinality(missing), error, created_at,
    ended_at, $drill
    """,
    drill=drills.OF_THE_RUN,
)

_GET: Final = Statement("backups_get", Run, compose("SELECT $run FROM backup_runs WHERE id = :id", run=_RUN))

_LIST: Final = Statement(
    "backups_list",
    Run,
    compose(
        """
        SELECT $run FROM backup_runs
         WHERE kind = ANY (CAST(:kinds AS text[])) AND id < :before
         ORDER BY id DESC LIMIT :size
        """,
        run=_RUN,
    ),
)

_ASK: Final = Statement(
    "backups_ask",
    int,
    """
    INSERT INTO backup_runs (kind, destination, name, options)
    VALUES (:kind, :destination, :name, CAST(:options AS jsonb))
    RETURNING id
    """,
)


@dataclass(frozen=True, slots=True)
class Latest:
    """When the last backup was asked for, and when the last one that was sealed had read its rows."""

    asked_at: datetime | None
    sealed_at: datetime | None
    is_due: bool
    is_late: bool


# A backup that fails is tried again after a quarter of the time. It is late by two hours.
_LATEST: Final = Statement(
    "backups_latest",
    Latest,
    """
    SELECT asked.created_at, sealed.snapshot_at,
           coalesce(asked.created_at + make_interval(
               secs => CASE asked.state WHEN 'failed' THEN :seconds / 4.0 ELSE :seconds END) <= now(), true),
           coalesce(sealed.snapshot_at, asked.created_at, now()) + make_interval(secs => :seconds + 7200) <= now()
      FROM (VALUES (true)) AS always
      LEFT JOIN (SELECT created_at, state FROM backup_runs WHERE kind = 'backup' ORDER BY id DESC LIMIT 1) AS asked
        ON true
      LEFT JOIN (SELECT snapshot_at FROM backup_runs WHERE kind = 'backup' AND state = 'sealed'
                  ORDER BY id DESC LIMIT 1) AS sealed
        ON true
    """,
)

_CLAIM: Final = Statement(
    "backups_claim",
    Claim,
    """
    WITH due AS MATERIALIZED (
        SELECT id FROM backup_runs
         WHERE (ended_at IS NULL) AND lease_until <= now()
         LIMIT 1
           FOR UPDATE SKIP LOCKED
    )
    UPDATE backup_runs AS run
       SET lease = run.lease + 1, lease_until = now() + make_interval(secs => :seconds), attempts = run.attempts + 1
      FROM due
     WHERE run.id = due.id
    RETURNING run.id, run.kind, run.state, run.destination, run.name, run.options, run.snapshot, run.snapshot_at,
              run.hold_id, run.cursor, run.tokens, run.counts, run.lease, run.attempts, CAST('[]' AS jsonb)
    """,
)

# Every step begins with the run's row, and ends unless it is still the worker's own.
_MINE: Final = "id = :id AND lease = :lease AND ended_at IS NULL"

_PUT_OFF: Final = Statement(
    "backups_put_off",
    int,
    compose(
        """
        UPDATE backup_runs
           SET lease_until = now() + make_interval(secs => :seconds), error = CAST(:error AS text),
               attempts = CASE WHEN CAST(:error AS text) IS NULL THEN 0 ELSE attempts END
         WHERE $mine
        """,
        mine=_MINE,
    ),
)

_BEGIN: Final = Statement(
    "backups_begin",
    int,
    compose(
        "UPDATE backup_runs SET name = :name, hold_id = :hold_id, cursor = '' WHERE $mine RETURNING id", mine=_MINE
    ),
)

_NOTE_SNAPSHOT: Final = Statement(
    "backups_note_snapshot",
    int,
    compose(
        """
        UPDATE backup_runs
           SET state = 'copying', snapshot = CAST(:snapshot AS jsonb), snapshot_at = :moment,
               counts = CAST(:counts AS jsonb)
         WHERE $mine
        RETURNING id
        """,
        mine=_MINE,
    ),
)

_ADVANCE: Final = Statement(
    "backups_advance",
    int,
    compose(
        """
        UPDATE backup_runs
           SET lease_until = now() + make_interval(secs => :seconds), cursor = :cursor,
               tokens = CAST(:tokens AS jsonb), counts = CAST(:counts AS jsonb),
               attempts = CASE WHEN cursor = :cursor THEN attempts ELSE 0 END,
               missing = CASE WHEN cursor = '' THEN '{}' ELSE missing END || CAST(:missing AS text[])
         WHERE $mine
        RETURNING id
        """,
        mine=_MINE,
    ),
)

_MISSING: Final = Statement("backups_missing", list, "SELECT missing FROM backup_runs WHERE id = :id")

_END: Final = Statement(
    "backups_end",
    int,
    compose(
        """
        UPDATE backup_runs SET state = :state, error = :error, ended_at = now(), hold_id = NULL, tokens = '{}'
         WHERE $mine
        RETURNING id
        """,
        mine=_MINE,
    ),
)

_FORGET_PRUNED: Final = Statement(
    "backups_forget_pruned",
    int,
    "UPDATE backup_runs SET state = 'pruned' WHERE name = :name AND kind = 'backup' AND state = 'sealed'",
)


def get(db: Database, run_id: int) -> Run | None:
    return db.one_or_none(_GET(id=run_id))


def list_(db: Database, kinds: list[RunKind], before: int, size: int) -> list[Run]:
    """The latest first: one more than `size`, if there are more."""
    return db.all(listing(kinds, before, size))


def listing(kinds: list[RunKind], before: int, size: int) -> Call[Run]:
    """Returns what `list_` asks, for a batch."""
    return _LIST(kinds=kinds, before=before, size=size + 1)


def ask(db: Database, kind: RunKind, destination: str, name: str = "", **options: Any) -> int:
    """Notes what is to be done, and returns its id. Raises RunUnderWay."""
    try:
        asked = db.one_or_none(_ASK(kind=kind, destination=destination, name=name, options=json.dumps(options)))
    except Conflict as conflict:
        raise RunUnderWay from conflict
    return int(asked or 0)


def latest(db: Database, seconds: int) -> Latest:
    """Returns the latest, with whether a backup is due, and whether the last one is too old, if there is to be one
    every `seconds`.
    """
    return db.all(_LATEST(seconds=seconds))[0]


def claim(db: Database) -> Claim | None:
    return db.one_or_none(_CLAIM(seconds=LEASE_SECONDS))


def put_off(db: Database, run: Claim, seconds: float, error: str | None = None) -> None:
    """Gives it back: somebody may claim it so much later. With an error, the attempt counts."""
    db.count(_PUT_OFF(id=run.id, lease=run.lease, seconds=seconds, error=error))


def begin(db: Database, run: Claim, name: str) -> None:
    """Gives the backup a name and a hold, which is committed before anything is read; one of an earlier attempt ends.
    Raises LeaseLost.
    """

    def work(session: Session) -> int | None:
        session.count(holds.FORGET_ENDED())
        if run.hold_id is not None:
            session.count(holds.END(id=run.hold_id))
        hold = session.one_or_none(holds.BEGIN(reason=f"backup {name}", seconds=holds.SECONDS))
        if session.one_or_none(_BEGIN(id=run.id, lease=run.lease, name=name, hold_id=hold)) is None:
            raise LeaseLost
        return hold

    run.hold_id, run.name, run.cursor = db.transaction(work), name, ""


def note_snapshot(db: Database, run: Claim, snapshot: dict[str, Any], moment: datetime) -> None:
    """The rows are at the destination. Raises LeaseLost."""
    values = {"snapshot": json.dumps(snapshot), "moment": moment, "counts": json.dumps(run.counts)}
    if db.one_or_none(_NOTE_SNAPSHOT(id=run.id, lease=run.lease, **values)) is None:
        raise LeaseLost
    run.state, run.snapshot, run.snapshot_at = "copying", snapshot, moment


def advance(db: Database, run: Claim) -> None:
    """Notes how far it is, and renews the lease and the hold. Raises LeaseLost and HoldEnded."""
    call = _ADVANCE(
        id=run.id,
        lease=run.lease,
        seconds=LEASE_SECONDS,
        cursor=run.cursor,
        # Others go on with their copies meanwhile.
        tokens=json.dumps(dict(run.tokens)),
        counts=json.dumps(run.counts),
        missing=run.missing,
    )
    renewing = [] if run.hold_id is None else [holds.RENEW(id=run.hold_id, seconds=holds.SECONDS)]
    mine, *held = db.batch([call, *renewing])
    if not mine.rows:
        raise LeaseLost
    if held and not held[0].rows:
        raise HoldEnded
    run.missing = []


def missing(db: Database, run: Claim) -> list[str]:
    """The objects that the registry's bucket was found to lack, by name."""
    return db.one_or_none(_MISSING(id=run.id)) or []


def end(db: Database, run: Claim, state: RunState, error: str | None = None, *, needs_hold: bool = False) -> None:
    """Ends it, and its hold. Raises LeaseLost; and HoldEnded, where one is needed and isn't there any more."""

    def work(session: Session) -> None:
        held = None if run.hold_id is None else session.one_or_none(holds.END(id=run.hold_id))
        if needs_hold and held is None:
            raise HoldEnded
        if session.one_or_none(_END(id=run.id, lease=run.lease, state=state, error=error)) is None:
            raise LeaseLost

    db.transaction(work)


def forget_pruned(db: Database, name: str) -> None:
    db.count(_FORGET_PRUNED(name=name))
