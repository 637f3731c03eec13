"""How far background migrations are, as people ask for it, and what they may want of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.background.vocabulary import Act, State
from functions.registry.metadata.db import Database, Statement, compose

# So many rows that could not be done are shown.
MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Overview:
    """`rows` are gone through, of about `total`; `rows_per_second` of late, rests included; `failures` could not
    be done. `waits_for`: *locks* of others, *standbys* that are late, or a *release* that knows the migration.
    """

    id: int
    name: str
    table: str
    key: list[str]
    state: State
    waits_for: str | None
    rows: int
    total: int
    percent: float
    rows_per_second: float | None
    remaining_seconds: int | None
    failures: int
    batch: int
    rests: bool
    created_at: datetime
    started_at: datetime | None
    worked_at: datetime | None
    finished_at: datetime | None
    first_key: list[Any]
    last_key: list[Any]


# What is done is a hundred percent, and nothing else is: the total is an estimate.
_OVERVIEW: Final = """
    SELECT migration.id, migration.name, migration.table_name, array_to_json(migration.key_columns), migration.state,
           migration.waits_for, migration.rows_done, greatest(migration.total, migration.rows_done),
           CAST(CASE WHEN migration.state = 'finished' THEN 100
                     ELSE least(round(100.0 * migration.rows_done / greatest(migration.total, 1), 1), 99.9)
                END AS double precision),
           CAST(round(CAST(migration.rate AS numeric), 1) AS double precision),
           CASE WHEN migration.state = 'active' AND migration.rate > 0
                THEN CAST(ceil(greatest(migration.total - migration.rows_done, 0) / migration.rate) AS bigint) END,
           (SELECT count(*) FROM background_failures WHERE migration_id = migration.id), migration.batch,
           migration.rests, migration.created_at, migration.started_at, migration.worked_at, migration.finished_at,
           migration.start, migration.stop
      FROM background_migrations AS migration
"""

_LIST: Final = Statement("background_list", Overview, _OVERVIEW + " ORDER BY migration.id")

_GET: Final = Statement("background_get", Overview, _OVERVIEW + " WHERE migration.name = :name")


@dataclass(frozen=True, slots=True)
class Failure:
    key: list[Any]
    error: str
    failed_at: datetime


_FAILURES: Final = Statement(
    "background_failures",
    Failure,
    """
    SELECT key, error, failed_at FROM background_failures
     WHERE migration_id = (SELECT id FROM background_migrations WHERE name = :name)
     ORDER BY key
     LIMIT :most
    """,
)

_CHANGE: Final = "UPDATE background_migrations SET $change WHERE (name = :name OR :name = '*') AND state IN ($states)"


def _changing(act: Act, change: str, states: str) -> Statement[int]:
    return Statement(f"background_{act}", int, compose(_CHANGE, change=change, states=states))


# What fails comes up again once it is asked for, and only then.
_ACTS: Final = {
    "pause": _changing("pause", "state = 'paused', waits_for = NULL", "'active', 'paused'"),
    "resume": _changing("resume", "state = 'active'", "'active', 'paused'"),
    "retry": _changing("retry", "state = 'active', retried_at = now(), finished_at = NULL", "'failed'"),
    "finish": _changing("finish", "state = 'active', rests = false, due_at = now()", "'active', 'paused'"),
}


def list_all(db: Database) -> list[Overview]:
    """Returns all that the schema has registered, in order; they are worked at in this order, too."""
    return db.all(_LIST())


def get(db: Database, name: str) -> Overview | None:
    return db.one_or_none(_GET(name=name))


def list_failures(db: Database, name: str) -> list[Failure]:
    """Returns the first rows that could not be done, by their keys."""
    return db.all(_FAILURES(name=name, most=MOST_SHOWN))


def act(db: Database, name: str, act: Act) -> bool:
    """Pauses it, goes on with it, tries again the rows that failed, or goes on without rests.

    False if it is not in a state for that. A batch that is under way is waited for.
    """
    return db.count(_ACTS[act](name=name)) > 0


def act_on_all(db: Database, act: Act) -> int:
    """Does the same with each that is in a state for it. Returns how many are."""
    return db.count(_ACTS[act](name="*"))
