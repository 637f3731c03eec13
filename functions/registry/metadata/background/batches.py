"""The batches of background migrations: what is next, how far one came, and the rows that could not be done.

A batch claims its migration by a lock on the row, in the transaction that does the work and moves `last`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.background.keys import Part
from functions.registry.metadata.db import Database, Session, Statement

# So long a batch waits for a lock of somebody; and so long, all of its locks together, somebody may wait for a batch.
LOCK_MILLISECONDS: Final = 200
LONGEST_MILLISECONDS: Final = 400
# Standby servers that are later than this are waited for.
_LATE_SECONDS: Final = 10
_LATE_BYTES: Final = 256 << 20
# With so many rows that can't be done it is the migration that is wrong.
MOST_FAILURES: Final = 1000
_SHORTEST_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True)
class Look:
    """It is the migration whose turn has come. It is due in `rest_seconds`; `waiting` sessions wait for a lock of
    somebody, and so many standby servers are late. `idle_seconds` have gone by since a batch of it ended, or since it
    was registered.
    """

    id: int
    name: str
    rest_seconds: float
    idle_seconds: float
    waiting: int
    late_standbys: int


# One migration after the other, in the order in which they were registered.
_LOOK: Final = Statement(
    "background_look",
    Look,
    """
    SELECT id, name, CAST(greatest(extract(epoch FROM due_at - now()), 0) AS double precision),
           CAST(extract(epoch FROM now() - coalesce(worked_at, created_at)) AS double precision),
           (SELECT count(*) FROM pg_locks WHERE NOT granted),
           late_standbys(:late_seconds, :late_bytes)
      FROM background_migrations
     WHERE state = 'active'
     ORDER BY id
     LIMIT 1
    """,
)

_LIMITS: Final = Statement(
    "background_limits",
    str,
    """
    SELECT set_config('lock_timeout', CAST(:lock AS int) || 'ms', true),
           set_config('statement_timeout', CAST(:longest AS int) || 'ms', true)
    """,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Nobody else works at this migration until the transaction is over. `failed_key` is one that is due again, the
    first behind `failed_after`; None if there is no such.
    """

    id: int
    name: str
    last: str
    stop: str
    size: int
    rests: bool
    failed_after: str | None
    failed_key: str | None


_CLAIM: Final = Statement(
    "background_claim",
    Claim,
    """
    SELECT migration.id, migration.name, CAST(migration.last AS text), CAST(migration.stop AS text), migration.batch,
           migration.rests, CAST(again.after AS text), CAST(again.key AS text)
      FROM background_migrations AS migration
      LEFT JOIN LATERAL (SELECT failure.after, failure.key FROM background_failures AS failure
                          WHERE failure.migration_id = migration.id AND failure.failed_at < migration.retried_at
                          ORDER BY failure.failed_at LIMIT 1) AS again ON true
     WHERE migration.id = :id AND migration.state = 'active' AND migration.due_at <= clock_timestamp()
       FOR NO KEY UPDATE OF migration SKIP LOCKED
    """,
)

# The rate follows the last few batches. What it waits for beside its rests does not count.
_ADVANCE: Final = Statement(
    "background_advance",
    int,
    """
    UPDATE background_migrations
       SET last = CAST(:last AS jsonb), rows_done = rows_done + :rows, batch = :size, waits_for = NULL,
           rate = 0.8 * coalesce(rate, :rate) + 0.2 * CAST(:rate AS double precision),
           started_at = coalesce(started_at, now()), worked_at = clock_timestamp(),
           due_at = clock_timestamp() + make_interval(secs => :rest)
     WHERE id = :id
    """,
)

_END: Final = Statement(
    "background_end",
    str,
    """
    UPDATE background_migrations
       SET state = CASE WHEN EXISTS (SELECT FROM background_failures WHERE migration_id = :id)
                        THEN 'failed' ELSE 'finished' END,
           waits_for = NULL, started_at = coalesce(started_at, now()), finished_at = now()
     WHERE id = :id
    RETURNING state
    """,
)

_FORGET_FAILURE: Final = Statement(
    "background_forget_failure",
    int,
    "DELETE FROM background_failures WHERE migration_id = :id AND key = CAST(:key AS jsonb)",
)

# Nothing, if somebody has come further meanwhile.
_PUT_OFF: Final = Statement(
    "background_put_off",
    int,
    """
    UPDATE background_migrations
       SET batch = :size, waits_for = :reason, due_at = clock_timestamp() + make_interval(secs => :seconds)
     WHERE id = :id AND state = 'active' AND last = CAST(:last AS jsonb)
    """,
)

_WAIT: Final = Statement(
    "background_wait",
    int,
    """
    UPDATE background_migrations SET waits_for = :reason
     WHERE id = :id AND state = 'active' AND waits_for IS DISTINCT FROM :reason
    """,
)

# The row is passed by; with too many of them the migration stops where it is. Nothing, if somebody has come further.
_GIVE_UP: Final = Statement(
    "background_give_up_row",
    str,
    """
    WITH passed AS (
        UPDATE background_migrations
           SET last = CAST(:key AS jsonb), rows_done = rows_done + 1, worked_at = clock_timestamp(),
               started_at = coalesce(started_at, now()),
               state = CASE WHEN (SELECT count(*) FROM background_failures WHERE migration_id = :id) + 1 >= :most
                            THEN 'failed' ELSE state END
         WHERE id = :id AND state = 'active' AND last = CAST(:after AS jsonb)
        RETURNING id, state
    ), failed AS (
        INSERT INTO background_failures (migration_id, key, after, error)
        SELECT id, CAST(:key AS jsonb), CAST(:after AS jsonb), :error FROM passed
        ON CONFLICT (migration_id, key) DO UPDATE SET error = excluded.error, failed_at = clock_timestamp()
    )
    SELECT state FROM passed
    """,
)

_FAIL_AGAIN: Final = Statement(
    "background_fail_row_again",
    int,
    """
    UPDATE background_failures SET error = :error, failed_at = clock_timestamp()
     WHERE migration_id = :id AND key = CAST(:key AS jsonb)
    """,
)


def look(db: Database) -> Look | None:
    """Returns the migration that is to be worked at; None if there is none."""
    return db.one_or_none(_LOOK(late_seconds=_LATE_SECONDS, late_bytes=_LATE_BYTES))


def claim(session: Session, id_: int) -> Claim | None:
    """Limits how long the transaction waits and may be waited for. None if it is not due, or somebody works at it."""
    limits = _LIMITS(lock=LOCK_MILLISECONDS, longest=LONGEST_MILLISECONDS)
    claimed = session.batch([limits, _CLAIM(id=id_)])[-1]
    return next(iter(_CLAIM.read(claimed)), None)


def advance(session: Session, claim: Claim, part: Part, size: int, seconds: float, rest: float) -> None:
    """Notes that the part is done, which took so many seconds. The next batch is of `size`, after `rest`."""
    rate = part.rows / max(seconds + rest, _SHORTEST_SECONDS)
    session.count(_ADVANCE(id=claim.id, last=part.upto, rows=part.rows, size=size, rate=rate, rest=rest))


def end(session: Session, id_: int) -> str:
    """Returns the state in which it ends: *finished*, or *failed* if there are rows that could not be done."""
    return session.all(_END(id=id_))[0]


def forget_failure(session: Session, id_: int, key: str) -> None:
    session.count(_FORGET_FAILURE(id=id_, key=key))


def put_off(db: Database, id_: int, last: str, size: int, seconds: float, reason: str | None) -> None:
    """Notes that the batch behind `last` was not done: another of `size` is due in so many seconds."""
    db.count(_PUT_OFF(id=id_, last=last, size=size, seconds=seconds, reason=reason))


def wait(db: Database, id_: int, reason: str) -> None:
    """Says what the migration waits for, for people to see."""
    db.count(_WAIT(id=id_, reason=reason))


def give_up(db: Database, id_: int, after: str, key: str, error: str) -> str | None:
    """Remembers that the row `key`, the first behind `after`, can't be done, and passes it by. Returns the state."""
    return db.one_or_none(_GIVE_UP(id=id_, after=after, key=key, error=error, most=MOST_FAILURES))


def fail_again(db: Database, id_: int, key: str, error: str) -> None:
    db.count(_FAIL_AGAIN(id=id_, key=key, error=error))
