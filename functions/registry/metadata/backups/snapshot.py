"""All rows as they stood at one moment: one read-only transaction, and COPY of one table after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, Self

from functions.registry.metadata.connections.opening import connect_copying
from functions.registry.metadata.db import MetadataUnavailable, compose
from functions.registry.metadata.driver import ConnectionFailed, DriverError, sqlstate

_BEGIN: Final = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_MOMENT: Final = "SELECT now()"
_REVISIONS: Final = "SELECT version_num FROM alembic_version ORDER BY version_num"
_SEQUENCES: Final = """
    SELECT sequencename::text, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1
"""
# What is made of other columns is made again.
_COLUMNS: Final = """
    SELECT relname::text, array_agg(attname::text ORDER BY attnum)
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
       AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
     GROUP BY relname ORDER BY relname
"""
_COPY: Final = "COPY public.$table ($columns) TO STDOUT"
# In the order of their names, as a bucket lists them.
OBJECTS: Final = """
    COPY (SELECT object_name, size, encode(digest, 'hex'), damaged_at IS NOT NULL FROM blobs ORDER BY object_name)
    TO STDOUT
"""


class Sink(Protocol):
    """Takes a row at a time."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class State:
    """What a snapshot is of: `columns` by table, `sequences` with the last value that each gave."""

    moment: datetime
    revisions: list[str]
    sequences: dict[str, int]
    columns: dict[str, list[str]]


class Snapshot:
    """Names of tables and columns come from the database itself, and are put in quotes."""

    def __init__(self, connection: Any) -> None:
        self._cursor = connection.cursor()
        self._cursor.execute(_BEGIN)
        self.state = State(
            self._rows(_MOMENT)[0][0],
            [name for (name,) in self._rows(_REVISIONS)],
            dict(self._rows(_SEQUENCES)),
            dict(self._rows(_COLUMNS)),
        )

    def copy_table(self, table: str, sink: Sink) -> None:
        columns = ", ".join(map(quoted, self.state.columns[table]))
        self._copy(compose(_COPY, table=quoted(table), columns=columns), sink)

    def copy_objects(self, sink: Sink) -> None:
        """Copies, of each blob, the object's name, the size, the digest in hexadecimal, and whether it is marked as
        damaged.
        """
        self._copy(OBJECTS, sink)

    def _copy(self, sql: str, sink: Sink) -> None:
        with translating():
            self._cursor.execute(sql, stream=sink)

    def _rows(self, sql: str) -> Any:
        with translating():
            self._cursor.execute(sql)
            return self._cursor.fetchall()

    @classmethod
    @contextmanager
    def of(cls, url: str) -> Iterator[Self]:
        """Raises MetadataUnavailable, and so does all that is done with it."""
        with connected(url) as connection, translating():
            yield cls(connection)


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """A connection without limits of time; what was not committed at the end of the block is undone."""
    with translating():
        connection = connect_copying(url)
    try:
        yield connection
    finally:
        with suppress(DriverError, *ConnectionFailed):
            connection.close()


@contextmanager
def translating() -> Iterator[None]:
    try:
        yield
    except DriverError as error:
        state, _ = sqlstate(error)
        said = error.args[0].get("M", "") if error.args and isinstance(error.args[0], dict) else error
        raise MetadataUnavailable(f"the database answered SQLSTATE {state}: {said}") from error
    except ConnectionFailed as error:
        raise MetadataUnavailable(str(error)) from error


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
