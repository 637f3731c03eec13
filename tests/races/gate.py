"""A connection that stops before every step: each statement and each COMMIT is taken when the stage lets it be.

The product sends a batch in one flush, which the server runs as one transaction. Here the same statements go one by
one in a transaction of their own: the same snapshots and locks, with a place to stop in between.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from functions.registry.metadata.db import STATEMENTS, Database
from functions.registry.metadata.driver import Connection, DriverError, Outcome, Values, sqlstate

# A deadlock is found by whoever has waited so long.
_DEADLOCK_TIMEOUT: Final = "5ms"
# They touch nothing that others change here, so they belong to the step after them, the last of a batch to the one
# before.
_UNSHARED: Final = (
    "tell",
    "set_rank",
    "set_patience",
    "rules_unless_kept",
    "quotas_claim",
    "quotas_nearly_used",
)

Step = Callable[[str], None]
Rewrite = Callable[[str], str]


class GatedConnection(Connection):
    """`step` is called before each step with its name; `rewrite` may break a statement, to see that it is noticed.

    `refused` are the errors it met, `touched` the rows of each statement of the last transaction.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        super().simple(f"SET deadlock_timeout = '{_DEADLOCK_TIMEOUT}'")
        self.pid = int(super().run([("SELECT pg_backend_pid()", {})])[0].rows[0][0])
        self.step: Step = _pass
        self.rewrite: Rewrite = _as_it_is
        self.refused: list[str] = []
        self.touched: dict[str, int] = {}
        self._in_transaction = False
        self._kept: Container[str] = ()

    def run(self, statements: Sequence[tuple[str, Values]], kept: Container[str] = ()) -> list[Outcome]:
        self._kept = kept
        try:
            return self._one_by_one(statements) if self._in_transaction else self._batch(statements)
        except DriverError as error:
            self.refused.append(sqlstate(error)[0])
            raise

    def can_be_trusted(self) -> bool:
        """Whatever its age: the pool is not to open another one, which would not stop before any step."""
        return True

    def simple(self, sql: str) -> None:
        if sql != "ROLLBACK":  # the error before it has let go of every lock
            self.step(sql)
        if sql == "BEGIN":
            self.touched = {}
        self._in_transaction = sql == "BEGIN"
        super().simple(sql)

    def _batch(self, statements: Sequence[tuple[str, Values]]) -> list[Outcome]:
        """The transaction begins with its first statement, as it does in a batch."""
        try:
            outcomes = self._one_by_one(statements, opening=super().simple)
            self.step("COMMIT")
            super().simple("COMMIT")
        except DriverError:
            super().simple("ROLLBACK")
            raise
        return outcomes

    def _one_by_one(
        self, statements: Sequence[tuple[str, Values]], opening: Callable[[str], None] | None = None
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        names = [_name(sql) for sql, _ in statements]
        for number, (sql, values) in enumerate(statements):
            label = next((name for name in names[number:] if name not in _UNSHARED), None)
            if label and (number == 0 or names[number - 1] not in _UNSHARED):
                self.step(label)
            if opening and not outcomes:
                opening("BEGIN")
            outcomes += super().run([(self.rewrite(sql), values)], self._kept)
            self.touched[names[number]] = outcomes[-1].count
        return outcomes


class GatedDatabase(Database):
    """The product's own pool and retries, around one gated connection."""

    def __init__(self, url: str) -> None:
        super().__init__(url, size=1)
        self.gate = GatedConnection(url)
        self._pool._idle.put(self.gate)

    def require_gate(self) -> None:
        """Raises AssertionError if what was run may have passed by the gate."""
        assert list(self._pool._idle.queue) == [self.gate], "the pool has made a connection of its own"


def _name(sql: str) -> str:
    return next(statement.name for statement in STATEMENTS.values() if statement.sql == sql)


def _pass(step: str) -> None:
    """Nobody watches."""


def _as_it_is(sql: str) -> str:
    return sql
