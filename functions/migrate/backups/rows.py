"""The rows of a backup, back in their tables: one transaction, in which nobody else has the tables.

Foreign keys are taken away and made again, which checks all of them at once in half the time of one by one. The tables'
own triggers are off: figures come along, and neither reviews nor events are made. Whoever owns the tables may do all of
it; nobody else may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from functions.migrate.backups import layout
from functions.migrate.backups.layout import BackupInvalid, Seal
from functions.migrate.backups.stores import Store
from functions.migrate.backups.tables import COPIED, EMPTY, LEFT_OUT, OVER, UNTOUCHED
from functions.registry.metadata.backups.snapshot import connected, quoted, translating
from functions.registry.metadata.db import compose

# What moves is due no sooner, and not all at once.
_LEAST_AHEAD: Final = "24 hours"
_SPREAD: Final = "1 hour"
_TOGETHER: Final = "0"
_TABLES: Final = """
    SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1
"""
_KEYS: Final = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
      FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY 1, 2
"""
_ANY: Final = "SELECT true FROM $table LIMIT 1"
_MOVE: Final = """
    UPDATE $table
       SET $column = greatest($column + (now() - %s::timestamptz), now() + interval '$least')
                     + random() * interval '$spread'
     WHERE $column < 'infinity'
"""


class NotEmpty(Exception):
    """The database holds something already: nothing is ever restored over it. The message says what it holds."""


def require_empty(url: str) -> None:
    """Raises NotEmpty; a database without a schema is empty."""
    with connected(url) as connection:
        _require_empty(connection.cursor())


def _require_empty(cursor: Any) -> None:
    there = _tables(cursor)
    held = [table for table in EMPTY if table in there and _rows(cursor, compose(_ANY, table=quoted(table)))]
    if held:
        raise NotEmpty(
            f"the database has {', '.join(held)}: a backup is restored into one that was just made, and where nobody"
            " has pushed yet"
        )


def restore(url: str, store: Store, seal: Seal, damaged: Sequence[str], tell: Callable[[str], None]) -> None:
    """All rows as they were, but for what must not be as it was (tables.py). `damaged` are names of objects that are
    not there: their blobs are marked. Raises NotEmpty, BackupInvalid, MetadataUnavailable; then nothing has changed.
    """
    with connected(url) as connection, translating():
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        try:
            _Restore(cursor, store, seal, tell).run(damaged)
            cursor.execute("COMMIT")
        except BaseException:
            # In the middle of a COPY there is no way but to leave the session.
            with suppress(Exception):
                connection._usock.shutdown(2)  # noqa: SLF001
            raise
        tell("statistics")
        cursor.execute("ANALYZE")


def settle(url: str, moment: datetime) -> None:
    """Does to rows what a restore does, where a database went back to `moment` with all that it had: whatever is due
    moves, what acts on the world outside waits, and whoever was signed in signs in again. Raises MetadataUnavailable.
    """
    with connected(url) as connection, translating():
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        there = _tables(cursor)
        for table in sorted(there & COPIED.keys()):
            _move_on(cursor, table, moment, "")
        # In the same bucket, what was to go then may go, once it is certain that nobody needs it.
        for table, column in (("deletions", "not_before"), ("uploads", "expires_at")):
            _move(cursor, table, column, moment, _SPREAD)
        for table in OVER:
            if table in there:
                cursor.execute(compose("DELETE FROM $table", table=quoted(table)))
        cursor.execute("COMMIT")


def _move_on(cursor: Any, table: str, moment: datetime, backup: str) -> None:
    """What is due moves by the time that has passed; the rest of the world waits for somebody to look at it."""
    for column in COPIED[table].due:
        _move(cursor, table, column, moment, _SPREAD)
    for column in COPIED[table].until:
        _move(cursor, table, column, moment, _TOGETHER)
    if COPIED[table].afterwards:
        cursor.execute(COPIED[table].afterwards.replace(":name", _literal(backup)))


def _move(cursor: Any, table: str, column: str, moment: datetime, spread: str) -> None:
    sql = compose(_MOVE, table=quoted(table), column=quoted(column), least=_LEAST_AHEAD, spread=spread)
    cursor.execute(sql, (moment.isoformat(),))


class _Restore:
    def __init__(self, cursor: Any, store: Store, seal: Seal, tell: Callable[[str], None]) -> None:
        self._cursor = cursor
        self._store = store
        self._seal = seal
        self._tell = tell
        there = _tables(cursor)
        self._copied = [table for table in sorted(COPIED) if table in there and table in seal.tables]
        self._emptied = [table for table in sorted({*COPIED, *LEFT_OUT} - UNTOUCHED) if table in there]

    def run(self, damaged: Sequence[str]) -> None:
        self._lock()
        _require_empty(self._cursor)
        keys = _rows(self._cursor, _KEYS)
        for table, key, _ in keys:
            self._run("ALTER TABLE $table DROP CONSTRAINT $key", table=table, key=quoted(key))
        self._for_each(self._emptied, "ALTER TABLE $table DISABLE TRIGGER USER")
        self._for_each(self._emptied, "DELETE FROM $table")
        for table in self._copied:
            self._copy(table)
        self._tell("foreign keys")
        for table, key, definition in keys:
            self._run(
                "ALTER TABLE $table ADD CONSTRAINT $key $definition",
                table=table,
                key=quoted(key),
                definition=definition,
            )
        self._set_sequences()
        self._mark(damaged)
        for table in self._copied:
            _move_on(self._cursor, table, self._seal.snapshot_at, self._seal.name)
        self._for_each(self._emptied, "ALTER TABLE $table ENABLE TRIGGER USER")

    def _lock(self) -> None:
        """Whoever pushes at this moment is waited for, and then the database isn't empty any more."""
        tables = ", ".join(map(quoted, self._emptied))
        self._run("LOCK TABLE $tables IN ACCESS EXCLUSIVE MODE", tables=tables)

    def _copy(self, table: str) -> None:
        part = self._seal.tables[table]
        self._tell(f"{table}: {part.rows} rows")
        pieces = layout.unpack(self._store, layout.rows_name(self._seal.name, table), part)
        columns = ", ".join(map(quoted, part.columns))
        copy = compose("COPY $table ($columns) FROM STDIN", table=quoted(table), columns=columns)
        self._cursor.execute(copy, stream=pieces)
        if self._cursor.rowcount != part.rows:
            raise BackupInvalid(f"{table} has {self._cursor.rowcount} rows, and the seal says {part.rows}")

    def _set_sequences(self) -> None:
        """No number is given twice, not even those of rows that were gone before the backup."""
        for name, last in self._seal.sequences.items():
            if last:
                self._cursor.execute("SELECT setval(to_regclass(%s), %s)", (f"public.{quoted(name)}", last))

    def _mark(self, damaged: Sequence[str]) -> None:
        for name in damaged:
            self._cursor.execute(
                "UPDATE blobs SET damaged_at = now() WHERE object_name = %s AND damaged_at IS NULL", (name,)
            )

    def _for_each(self, tables: Iterable[str], sql: str) -> None:
        for table in tables:
            self._run(sql, table=quoted(table))

    def _run(self, sql: str, **pieces: str) -> None:
        self._cursor.execute(compose(sql, **pieces))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _tables(cursor: Any) -> set[str]:
    return {name for (name,) in _rows(cursor, _TABLES)}


def _rows(cursor: Any, sql: str) -> Any:
    with translating():
        cursor.execute(sql)
        return cursor.fetchall()
