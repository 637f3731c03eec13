"""The SQLite database behind the fake: one connection, one lock, transactions that nest."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = """
    PRAGMA journal_mode = WAL;
    -- A power cut may lose the last writes; a fake has no need to wait for the disk.
    PRAGMA synchronous = OFF;

    CREATE TABLE IF NOT EXISTS buckets (
        name     TEXT PRIMARY KEY,
        resource TEXT NOT NULL
    );

    CREATE TABLE IF NOT EXISTS objects (
        generation INTEGER PRIMARY KEY,
        bucket     TEXT NOT NULL,
        name       TEXT NOT NULL,
        is_live    INTEGER NOT NULL,
        resource   TEXT NOT NULL
    );
    CREATE UNIQUE INDEX IF NOT EXISTS live_objects ON objects (bucket, name) WHERE is_live = 1;
    CREATE INDEX IF NOT EXISTS soft_deleted_objects ON objects (bucket, name, generation) WHERE is_live = 0;

    CREATE TABLE IF NOT EXISTS sessions (
        upload_id  TEXT PRIMARY KEY,
        bucket     TEXT NOT NULL,
        name       TEXT NOT NULL,
        metadata   TEXT NOT NULL,
        conditions TEXT NOT NULL,
        started_at REAL NOT NULL,
        resource   TEXT
    );
"""


class Database:
    """Rows by SQL. Threads take turns for as long as a statement or a transaction lasts, which is never long."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def rows(self, statement: str, *parameters: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def first(self, statement: str, *parameters: object) -> Any:
        """Returns the first row, or None."""
        with self._lock:
            return self._connection.execute(statement, parameters).fetchone()

    def change(self, statement: str, *parameters: object) -> int:
        """Run a statement and say how many rows it changed."""
        with self._lock:
            return self._connection.execute(statement, parameters).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nobody else reads or writes meanwhile; all of it happens, or none. One inside another joins it."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
