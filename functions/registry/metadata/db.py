"""The database as the rest of the program sees it: typed statements, one round trip each.

A statement is a named constant beside the function that runs it. Its name labels logs and metrics, and every one is
listed in STATEMENTS, so that a test can look at each one's plan.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from string import Template
from typing import Any, Final, Generic, TypeVar, get_type_hints

from functions.registry import telemetry, told
from functions.registry.metadata.connections.opening import LOCK_SECONDS, PATIENT_LOCK_SECONDS
from functions.registry.metadata.connections.pool import NoConnection, Pool
from functions.registry.metadata.driver import (
    LONGEST_ANSWER_SECONDS,
    Connection,
    DriverError,
    Outcome,
    OutOfDate,
    sqlstate,
)
from functions.registry.oci.digest import Digest

Row = TypeVar("Row")

# Serialization failure, deadlock, a session that the server ended: nothing was committed, all of it may be run again.
# One that names a constraint is raised by the schema: it takes more than to run the same again.
_RETRIABLE: Final = ("40001", "40P01", "57P01")
# Out of connections, shutting down, gone, or not answering in time.
_UNAVAILABLE_CLASSES: Final = ("08", "53", "57", "58")
# A lock that was not had in time, a statement that took too long, and those of the first two above.
_CROWDED: Final = ("55P03", "57014", "40001", "40P01")
# Raised by the rules of functions/migrate/versions/pre/0001_baseline/rules.sql, and by imports (0002_imports.sql).
_AGAINST_THE_RULES: Final = "SW001"
_FOLLOWED: Final = "SW002"
# A table, a column, a function or a right that this release needs: migrate has not been called yet.
_NOT_MIGRATED: Final = ("42P01", "42703", "42883", "42501")
_ATTEMPTS: Final = 3
# The transaction that survived a deadlock needs time to take its lock: one that is run again at once may be faster.
_PAUSE_SECONDS: Final = 0.02
# How long a request waits for a connection.
WAIT_SECONDS: Final = 2
# What may have to wait for the locks of others. Functions are named that write or lock, where the text alone does not
# show it; a test asks the database for them.
_BLOCKING: Final = re.compile(
    r"\b(INSERT|UPDATE|DELETE|SHARE|LOCK|begin_push|claim_quota|fan_out|lock_deletions|tell_of_retention"
    r"|pg_try_advisory_xact_lock)\b"
)
# What is changed on somebody's behalf: triggers of these changes ask who it was, and why. A test asks the database for
# those triggers.
_CHANGING: Final = re.compile(
    r"\b((INSERT INTO|UPDATE|DELETE FROM)\s+(tags|manifests)|(UPDATE|DELETE FROM)\s+repositories"
    r"|DELETE FROM\s+(manifest_children|manifest_blobs|sparse_references))\b"
)
# The parameters of a statement that tells who and why by the way, which are filled in here.
_TELLING: Final = "set_config('slipway.actor', :actor, true)"


class MetadataUnavailable(Exception):
    """The database can't be reached or can't answer now. Trying again later may work."""


class Crowded(MetadataUnavailable):
    """Others were in the way, or it took longer than it may: less at once may work, or later."""


class NotMigrated(MetadataUnavailable):
    """The database lacks something that migrate makes."""


class Conflict(Exception):
    """A constraint refused the change: `constraint` names it (a column, for a missing value)."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class ChangeRefused(Exception):
    """A rule refused the change; the message names it, and who may make the change."""


class Followed(Exception):
    """The registry that the repository is imported from still decides about it; the message says to write there."""


STATEMENTS: Final[dict[str, Statement[Any]]] = {}
# The texts of those that connections keep prepared.
_PREPARED: Final[set[str]] = set()


@dataclass(frozen=True)
class Statement(Generic[Row]):
    """SQL with `:name` parameters, and what its rows become.

    `row` is a dataclass whose fields stand in the order of the columns, or the type of the only column. A column
    whose field is a Digest is read as one; a field that is a dataclass takes as many columns as it has fields.

    A brief one writes only rows that nobody holds for long, so it never waits for a push or a move. A hot one is run so
    often that connections keep it prepared; its plan is then made for whatever parameters come.
    """

    name: str
    row: type[Row]
    sql: str
    is_brief: bool = False
    is_hot: bool = False

    def __post_init__(self) -> None:
        if self.name in STATEMENTS:
            raise ValueError(f"two statements are named {self.name}")
        STATEMENTS[self.name] = self
        if self.is_hot:
            _PREPARED.add(self.sql)

    @cached_property
    def _reader(self) -> Callable[[Iterator[Any]], Any]:
        return _reader(self.row)

    @cached_property
    def may_block(self) -> bool:
        """Says whether it may have to wait for the locks of others: it is then kept from the connections of reads."""
        return not self.is_brief and _BLOCKING.search(self.sql) is not None

    @cached_property
    def is_change(self) -> bool:
        """Says whether it changes something of which is kept who changed it, and why."""
        return _CHANGING.search(self.sql) is not None

    @cached_property
    def is_telling(self) -> bool:
        """Says whether it tells the transaction who and why, beside what it is for."""
        return _TELLING in self.sql

    def read(self, outcome: Outcome) -> list[Row]:
        reader = self._reader
        return [reader(iter(row)) for row in outcome.rows]

    def __call__(self, **values: object) -> Call[Row]:
        """Returns the statement with its parameters, to be run alone or in a batch."""
        return Call(self, {name: _parameter(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class Call(Generic[Row]):
    statement: Statement[Row]
    values: Mapping[str, Any]


def compose(sql: str, **pieces: str) -> str:
    """Returns the SQL with its `$places` filled. Pieces are constants of the program, as all SQL is."""
    return Template(sql).substitute(pieces)


def _reader(kind: Any) -> Callable[[Iterator[Any]], Any]:
    """Takes from a row's columns what makes one value."""
    if kind == Digest:
        return lambda columns: Digest.from_bytes(next(columns))
    if kind == (Digest | None):
        return lambda columns: None if (stored := next(columns)) is None else Digest.from_bytes(stored)
    if not is_dataclass(kind):
        return next
    made: Any = kind
    hints = get_type_hints(kind)
    readers = [_reader(hints[column.name]) for column in fields(kind)]
    return lambda columns: made(*[read(columns) for read in readers])


def _parameter(value: object) -> object:
    if isinstance(value, Digest):
        return value.to_bytes()
    if isinstance(value, list | tuple):
        return [_parameter(item) for item in value]
    return str(value) if isinstance(value, str) else value


# What a transaction is told before it changes anything. It is a part of what transactions begin with, where they begin
# with a statement that is there anyway, so that they need no other.
TELL: Final = """set_config('slipway.actor', :actor, true), set_config('slipway.cause', :cause, true),
       set_config('slipway.request', :request, true)"""

_TELL: Final = Statement("tell", str, compose("SELECT $tell", tell=TELL), is_hot=True)

_SET_RANK: Final = Statement(
    "set_rank", str, compose("SELECT set_config('slipway.rank', :rank, true), $tell", tell=TELL), is_hot=True
)

_SET_PATIENCE: Final = Statement(
    "set_patience",
    str,
    """
    SELECT set_config('statement_timeout', CAST(:seconds AS int) || 's', true),
           set_config('lock_timeout', CAST(:lock_seconds AS int) || 's', true)
    """,
)


def ranked(rank: int) -> Call[str]:
    """Returns what to put in front of a batch that rules may refuse: the rank of the caller's role, 0 for none."""
    return _SET_RANK(rank=str(rank))


def _values_told() -> dict[str, str]:
    known = told.current()
    if known is None:
        return {"actor": "", "cause": "", "request": ""}
    return {
        "actor": known.actor,
        "cause": known.cause,
        "request": known.request.as_json() if known.request is not None else "",
    }


class Session:
    """Runs statements on one connection. A transaction is told who changes something, and why, before anything is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_told = False

    def all(self, call: Call[Row]) -> list[Row]:
        return call.statement.read(self.batch([call])[0])

    def one_or_none(self, call: Call[Row]) -> Row | None:
        rows = self.all(call)
        return rows[0] if rows else None

    def count(self, call: Call[Any]) -> int:
        """Returns how many rows the statement touched."""
        return self.batch([call])[0].count

    def batch(self, calls: Sequence[Call[Any]]) -> list[Outcome]:
        run = self._telling(calls)
        started = time.monotonic()
        try:
            outcomes = self._connection.run([(call.statement.sql, call.values) for call in run], _PREPARED)
        finally:
            telemetry.count_statements([call.statement.name for call in run], time.monotonic() - started)
        return outcomes[len(run) - len(calls) :]

    def _telling(self, calls: Sequence[Call[Any]]) -> Sequence[Call[Any]]:
        """Returns them, told on whose behalf they are: by the first that tells it by the way, or by one put in front of
        all if there is something to tell, and something that changes before that.
        """
        if not any(call.statement.is_change or call.statement.is_telling for call in calls):
            return calls
        values = _values_told()
        run = [Call(call.statement, {**call.values, **values}) if call.statement.is_telling else call for call in calls]
        first = next(call for call in calls if call.statement.is_change or call.statement.is_telling)
        if not self._is_told and not first.statement.is_telling and told.current() is not None:
            run.insert(0, Call(_TELL, values))
        self._is_told = True
        return run


class Database:
    """Statements on connections of a small pool, which a thread waits for no longer than `wait_seconds`.

    A lock is waited for as long as `lock_seconds`. All methods raise MetadataUnavailable, and Conflict, ChangeRefused
    or Followed where a constraint, a rule or an import can refuse.
    """

    def __init__(
        self, url: str, size: int, *, wait_seconds: float = WAIT_SECONDS, lock_seconds: int = LOCK_SECONDS
    ) -> None:
        self._pool = Pool(url, size, wait_seconds, lock_seconds)

    def all(self, call: Call[Row]) -> list[Row]:
        return self._run(lambda session: session.all(call), [call])

    def one_or_none(self, call: Call[Row]) -> Row | None:
        return self._run(lambda session: session.one_or_none(call), [call])

    def count(self, call: Call[Any]) -> int:
        return self._run(lambda session: session.count(call), [call])

    def batch(self, calls: Sequence[Call[Any]]) -> list[Outcome]:
        """Runs all of them, in order, in one round trip and one transaction."""
        return self._run(lambda session: session.batch(calls), calls)

    def transaction(self, work: Callable[[Session], Row], *, is_long: bool = False) -> Row:
        """Runs `work` in one transaction; it may be run again if others got in its way, so it touches nothing else.

        A long one is given an hour, the longest that a request may take, where others have half a minute a statement;
        and it waits longer for a lock.
        """

        def run(session: Session, connection: Connection) -> Row:
            connection.simple("BEGIN")
            with connection.patient() if is_long else nullcontext():
                if is_long:
                    patience = {"seconds": LONGEST_ANSWER_SECONDS, "lock_seconds": PATIENT_LOCK_SECONDS}
                    session.one_or_none(_SET_PATIENCE(**patience))
                result = work(session)
                connection.simple("COMMIT")
            return result

        return self._retrying(run, may_block=True)

    def reach(self) -> None:
        """Takes a connection that works, or makes one. Raises MetadataUnavailable."""
        self._retrying(lambda _, __: None, may_block=False)

    def close(self) -> None:
        self._pool.close()

    def _run(self, work: Callable[[Session], Row], calls: Sequence[Call[Any]]) -> Row:
        may_block = any(call.statement.may_block for call in calls)
        return self._retrying(lambda session, _: work(session), may_block=may_block)

    def _retrying(self, work: Callable[[Session, Connection], Row], *, may_block: bool) -> Row:
        for attempt in range(_ATTEMPTS):
            try:
                with self._pool.connection(may_block=may_block) as connection:
                    return work(Session(connection), connection)
            except NoConnection as error:
                raise MetadataUnavailable(str(error)) from error
            except DriverError as error:
                state, constraint = sqlstate(error)
                is_retriable = state in _RETRIABLE or isinstance(error, OutOfDate)
                if is_retriable and not constraint and attempt + 1 < _ATTEMPTS:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                raise _translated(error, state, constraint) from error
        raise AssertionError  # the last attempt returns or raises


def _translated(error: Exception, state: str, constraint: str) -> Exception:
    if state == _AGAINST_THE_RULES:
        return ChangeRefused(error.args[0]["M"])
    if state == _FOLLOWED:
        return Followed(error.args[0]["M"])
    if state.startswith("23") or (state in _RETRIABLE and constraint):
        return Conflict(constraint or str(error.args[0].get("c", "")))
    if state in _CROWDED or state in _RETRIABLE or state[:2] in _UNAVAILABLE_CLASSES:
        kind = Crowded if state in _CROWDED else MetadataUnavailable
        return kind(f"the database answered SQLSTATE {state}")
    if state in _NOT_MIGRATED:
        return NotMigrated(f"the schema is not this release's, call migrate: {error.args[0]['M']}")
    return error
