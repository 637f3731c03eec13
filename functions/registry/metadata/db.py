"""The database as the rest of the program sees it: typed statements, one round trip each.

A statement is a named constant beside the function that runs it. Its name labels logs and metrics, and every one is
listed in STATEMENTS, so that a test can look at each one's plan. Whoever writes or runs one imports from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Final

from functions.registry import telemetry, told
from functions.registry.metadata.connections.opening import LOCK_SECONDS, PATIENT_LOCK_SECONDS
from functions.registry.metadata.connections.pool import NoConnection, Pool
from functions.registry.metadata.driver import LONGEST_ANSWER_SECONDS, Connection, DriverError, Outcome
from functions.registry.metadata.statements.failures import (
    ChangeRefused,
    Conflict,
    Crowded,
    Followed,
    MetadataUnavailable,
    NotMigrated,
    may_work_again,
    translated,
)
from functions.registry.metadata.statements.statement import PREPARED, STATEMENTS, Call, Row, Statement, compose
from functions.registry.metadata.statements.telling import TELL, TELLING, ranked, values_told

__all__ = [
    "STATEMENTS",
    "TELL",
    "Call",
    "ChangeRefused",
    "Conflict",
    "Crowded",
    "Database",
    "Followed",
    "MetadataUnavailable",
    "NotMigrated",
    "Row",
    "Session",
    "Statement",
    "compose",
    "ranked",
]

_ATTEMPTS: Final = 3
# The transaction that survived a deadlock needs time to take its lock: one that is run again at once may be faster.
_PAUSE_SECONDS: Final = 0.02
# How long a request waits for a connection.
WAIT_SECONDS: Final = 2

_SET_PATIENCE: Final = Statement(
    "set_patience",
    str,
    """
    SELECT set_config('statement_timeout', CAST(:seconds AS int) || 's', true),
           set_config('lock_timeout', CAST(:lock_seconds AS int) || 's', true)
    """,
)


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
            outcomes = self._connection.run([(call.statement.sql, call.values) for call in run], PREPARED)
        finally:
            telemetry.count_statements([call.statement.name for call in run], time.monotonic() - started)
        return outcomes[len(run) - len(calls) :]

    def _telling(self, calls: Sequence[Call[Any]]) -> Sequence[Call[Any]]:
        """Returns them, told on whose behalf they are: by the first that tells it by the way, or by one put in front of
        all if there is something to tell, and something that changes before that.
        """
        if not any(call.statement.is_change or call.statement.is_telling for call in calls):
            return calls
        values = values_told()
        run = [Call(call.statement, {**call.values, **values}) if call.statement.is_telling else call for call in calls]
        first = next(call for call in calls if call.statement.is_change or call.statement.is_telling)
        if not self._is_told and not first.statement.is_telling and told.current() is not None:
            run.insert(0, Call(TELLING, values))
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
                if may_work_again(error) and attempt + 1 < _ATTEMPTS:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                raise translated(error) from error
        raise AssertionError  # the last attempt returns or raises
