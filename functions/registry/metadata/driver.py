"""The one module that knows the database driver: pg8000, made to need a single round trip.

As its API stands pg8000 takes three round trips for a statement with parameters. Here Parse, Describe, Bind and
Execute of one or several statements go out in one flush before one Sync: one round trip, and, as the protocol has
it, one implicit transaction (docs/adr/0003-one-round-trip.md). The names used are semi-private: the release is
pinned and a test counts the trips.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.dbapi
import pg8000.native
from pg8000.converters import array_out
from pg8000.core import DATA_ROW, NULL_BYTE, SYNC_MSG, Context, _flush, _write, make_params
from pg8000.native import to_statement

from functions.registry import idle
from functions.registry.metadata import protocol

CONNECT_SECONDS: Final = 10
# How long a statement waits for a lock. Whoever waits holds a connection, and a client comes back anyway; what nobody
# tries again soon, and is rare, may wait longer.
LOCK_SECONDS: Final = 3
PATIENT_LOCK_SECONDS: Final = 10
# Settings of the server and of its roles hold from a session's start: none lives for ever.
LONGEST_LIFE_SECONDS: Final = 3600
# The server gives up a statement sooner than this: past it, the network is broken.
ANSWER_SECONDS: Final = 40
LONGEST_ANSWER_SECONDS: Final = 3600
# Sent with the connection's first message, so they cost no round trip of their own. A statement that takes longer is
# given up; a transaction left open is ended by the server.
_SESSION: Final = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    # It pays for reports over many rows, and costs hundreds of milliseconds before the first.
    "jit": "off",
}
_COMMAND_COMPLETE: Final = b"C"

DriverError = pg8000.native.DatabaseError
# What a broken or refused connection raises: the driver's own, and the socket's.
ConnectionFailed: Final = (pg8000.native.InterfaceError, OSError)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A statement's rows as the driver reads them, and how many it touched."""

    rows: list[list[Any]]
    count: int


class _BatchContext(Context):  # type: ignore[misc]  # the driver has no types
    """Gathers each statement's rows where the driver would run them together."""

    def __init__(self) -> None:
        super().__init__("batch")
        self.outcomes: list[Outcome] = []
        self.rows: list[list[Any]] | None = None

    def complete(self, data: bytes) -> None:
        """`data` is a command's tag: `INSERT 0 3`, `SELECT 1`, `BEGIN`."""
        last = data.rstrip(NULL_BYTE).rsplit(b" ", 1)[-1]
        self.outcomes.append(Outcome(self.rows or [], int(last) if last.isdigit() else 0))
        self.rows, self.columns = None, None


class Connection:
    """One session. It belongs to one thread at a time."""

    def __init__(self, url: str, lock_seconds: int = LOCK_SECONDS) -> None:
        """`url` names the database in one of three ways.

        `postgresql://user@/database?host=DIRECTORY` is a unix socket, `postgresql://user@host:port/database` is TCP,
        `cloudsql://user@/database?instance=PROJECT:REGION:NAME` is the Cloud SQL connector.
        """
        try:
            self._driver = _connect(url, lock_seconds)
        except ConnectionFailed as error:
            raise _reason(error) from error
        self._driver._usock.settimeout(ANSWER_SECONDS)  # noqa: SLF001
        self._driver.message_types[_COMMAND_COMPLETE] = self._command_complete
        self._driver.message_types[DATA_ROW] = self._data_row
        self._driver.pg_types[protocol.BYTEA] = None
        self._driver.register_out_adapter(list, _array)
        self._driver.register_out_adapter(bytes, bytes)
        self._translated: dict[str, tuple[str, Any]] = {}
        self._made_at = self._used_at = time.monotonic()

    def run(self, statements: Sequence[tuple[str, Values]]) -> list[Outcome]:
        """All statements in one round trip and one transaction; an error undoes them all.

        In a transaction opened by `simple("BEGIN")` they are part of that one.
        """
        context, stream = _BatchContext(), self._driver._sock  # noqa: SLF001
        for sql, values in statements:
            statement, order = self._translate(sql)
            self._driver.send_PARSE(NULL_BYTE, statement, ())
            self._driver.send_DESCRIBE_STATEMENT(NULL_BYTE)
            protocol.write_bind(stream, make_params(self._driver.py_types, order(values)))
            self._driver.send_EXECUTE()
        _write(stream, SYNC_MSG)
        _flush(stream)
        self._read_answers(stream, context)
        self._used_at = time.monotonic()
        return context.outcomes

    def simple(self, sql: str) -> None:
        """Text without parameters, by the simple protocol: one round trip, several statements allowed."""
        self._driver.execute_simple(sql)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """In it, an answer may take as long as a request may."""
        self._driver._usock.settimeout(LONGEST_ANSWER_SECONDS)  # noqa: SLF001
        try:
            yield
        finally:
            self._driver._usock.settimeout(ANSWER_SECONDS)  # noqa: SLF001

    def can_be_trusted(self) -> bool:
        """Not if it was idle for long, or is old; nor if the server has closed it: nothing else makes it readable."""
        if not idle.is_trusted(self._used_at) or time.monotonic() - self._made_at > LONGEST_LIFE_SECONDS:
            return False
        poll = select.poll()
        poll.register(self._driver._usock, select.POLLIN)  # noqa: SLF001
        return not poll.poll(0)

    def close(self) -> None:
        with suppress(*ConnectionFailed):  # it may be gone already
            self._driver.close()

    def _translate(self, sql: str) -> tuple[str, Any]:
        if sql not in self._translated:
            self._translated[sql] = to_statement(sql)
        return self._translated[sql]

    def _read_answers(self, stream: BinaryIO, context: _BatchContext) -> None:
        code = b""
        while code != protocol.READY:
            code, data = protocol.read_message(stream)
            self._driver.message_types[code](data, context)
        if context.error is not None:
            raise context.error

    def _data_row(self, data: bytes, context: Context) -> None:
        context.rows.append(protocol.read_row(data, context.input_funcs))

    def _command_complete(self, data: bytes, context: Context) -> None:
        if isinstance(context, _BatchContext):
            context.complete(data)
        else:
            self._driver.handle_COMMAND_COMPLETE(data, context)


class _Driver(pg8000.native.Connection):  # type: ignore[misc]  # the driver has no types
    def __init__(self, **arguments: Any) -> None:
        """Closes the socket where the server refuses the session: the driver leaves that to the interpreter."""
        try:
            super().__init__(**arguments)
        except BaseException:
            with suppress(AttributeError, OSError):  # there may be none yet, or no more
                self._usock.close()
            raise


def connect_dbapi(url: str) -> Any:
    """A plain DB-API connection, for Alembic."""
    connection = _connect(url, PATIENT_LOCK_SECONDS, pg8000.dbapi.connect)
    connection._usock.settimeout(None)  # noqa: SLF001  # a migration takes as long as it takes
    return connection


def _connect(url: str, lock_seconds: int, connect: Any = _Driver) -> Any:
    parts = urlsplit(url)
    session = {**_SESSION, "lock_timeout": f"{lock_seconds}s"}
    # A folder's name need not be UTF-8.
    options = {name: values[0] for name, values in parse_qs(parts.query, errors="surrogateescape").items()}
    user, database = unquote(parts.username or "postgres"), parts.path.lstrip("/")
    if parts.scheme == "cloudsql":
        network = options.get("network", "private")
        return _connector(network).connect(
            options["instance"], "pg8000", user=user, db=database, startup_params=session
        )
    arguments: dict[str, Any] = {
        "user": user,
        "database": database,
        "timeout": CONNECT_SECONDS,
        "startup_params": session,
    }
    if parts.password:
        arguments["password"] = unquote(parts.password)
    if parts.hostname:
        arguments |= {"host": parts.hostname, "port": parts.port or 5432}
    else:
        # Building a TLS context costs 25 ms, and a unix socket has no use for it.
        arguments |= {"unix_sock": f"{options['host']}/.s.PGSQL.{options.get('port', '5432')}", "ssl_context": False}
    return connect(**arguments)


def _reason(error: BaseException) -> BaseException:
    """What the server said. The driver then closes what the server has closed, and raises the error of that instead."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, DriverError):
        found = found.__context__
    return found or error


def _array(values: Sequence[Any]) -> str:
    """As the driver writes it, but for the word null, which it leaves bare: a tag may be named so."""
    items = (
        f'"{value}"' if isinstance(value, str) and value.lower() == "null" else array_out(value) for value in values
    )
    return f"{{{','.join(items)}}}"


@cache
def _connector(network: str) -> Any:
    # Imported here: it costs half a second of a cold start, and only this kind of address needs it.
    from google.cloud.sql.connector import Connector  # noqa: PLC0415

    return Connector(refresh_strategy="lazy", enable_iam_auth=True, ip_type=network)


def sqlstate(error: Exception) -> tuple[str, str]:
    """The SQLSTATE and the constraint's name of a driver error, empty if it has none."""
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return fields.get("C", ""), fields.get("n", "")
