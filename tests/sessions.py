"""Sessions with the database of a worker's tests, which one test leaves to the next.

A new one reads the catalog and compiles every trigger that it meets: its first push takes 70 ms, the next ones 12.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from functions.registry.metadata.connections.pool import Pool
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection, ConnectionFailed, DriverError

# Of one kind. Nearly all tests use one at a time; those with many open the others themselves.
_MOST: Final = 3
# What holds beyond a transaction, but for the statements that both sides know to be prepared.
_FORGET: Final = "ROLLBACK; RESET ALL; UNLISTEN *; DISCARD TEMP; SELECT pg_advisory_unlock_all()"
_PROCESS: Final = "SELECT pg_backend_pid()"

# By the server's process, for each address and patience with locks.
_Kept = dict[int, Connection]


class KeptSessions:
    """They are lent to a pool before it is used, and taken back, as if they were new, when it is closed."""

    def __init__(self) -> None:
        self._urls: set[str] = set()
        self._kept: defaultdict[tuple[str, int], _Kept] = defaultdict(dict)

    def keep(self, url: str) -> None:
        """From now on, those with this database."""
        self._urls.add(url)

    def drop(self, url: str) -> None:
        """Closes all those with this database, and keeps none any more."""
        self._urls.discard(url)
        for kind in [kind for kind in self._kept if kind[0] == url]:
            for connection in self._kept.pop(kind).values():
                connection.close()

    def processes(self, url: str) -> list[int]:
        return [process for kind, kept in self._kept.items() if kind[0] == url for process in kept]

    def lend(self, database: Database) -> None:
        for connection in self._kept.pop(_kind(database._pool), {}).values():
            database._pool._idle.put(connection)

    def close(self, database: Database) -> None:
        pool = database._pool
        kept = self._kept[_kind(pool)]
        while pool._url in self._urls and not pool._idle.empty() and len(kept) < _MOST:
            connection = pool._idle.get_nowait()
            try:
                connection.simple(_FORGET)
                kept[connection.run([(_PROCESS, {})])[0].rows[0][0]] = connection
            except (DriverError, *ConnectionFailed):  # the test has ended it
                connection.close()
        database.close()


def _kind(pool: Pool) -> tuple[str, int]:
    return pool._url, pool._lock_seconds


SESSIONS: Final = KeptSessions()
