"""The database driver, pg8000, which connections/opening.py knows besides: made to need a single round trip.

As its API stands pg8000 takes three round trips for a statement with parameters. Here Parse, Describe, Bind and
Execute of one or several statements go out in one flush before one Sync: one round trip, and, as the protocol has
it, one implicit transaction (docs/adr/0003-one-round-trip.md). What the session keeps prepared is bound and executed
alone (docs/adr/0024-prepared-statements.md). The names used are semi-private: the release is pinned and a test counts
the trips.
"""

from __future__ import annotations

import select
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import pg8000.native
from pg8000.converters import array_out
from pg8000.core import DATA_ROW, IN_TRANSACTION, NULL_BYTE, SYNC_MSG, Context, _flush, _write, make_params
from pg8000.native import to_statement

from functions.registry import idle
from functions.registry.metadata.connections import messages
from functions.registry.metadata.connections.opening import LOCK_SECONDS, SESSION_OF_REQUESTS, open_session
from functions.registry.metadata.connections.prepared import Plan, PreparedStatements, Step
from functions.registry.patience import stream_of, wait_at_most

# Settings of the server and of its roles hold from a session's start, and a plan that is kept does not see a table
# grow: no session lives for ever.
LONGEST_LIFE_SECONDS: Final = 900
# The server gives up a statement sooner than this: past it, the network is broken.
ANSWER_SECONDS: Final = 40
LONGEST_ANSWER_SECONDS: Final = 3600
_COMMAND_COMPLETE: Final = b"C"
_ROW_DESCRIPTION: Final = b"T"
_NO_DATA: Final = b"n"
_BIND_COMPLETE: Final = b"2"
# What the server says of a statement that it was told earlier and that no longer fits: another type of a result or of a
# parameter, a function that is gone, a number too large for the type of then, a name that it doesn't know.
_OUT_OF_DATE: Final = ("0A000", "42804", "42883", "22003", "26000")

DriverError = pg8000.native.DatabaseError
# What a broken or refused connection raises: the driver's own, and the socket's.
ConnectionFailed: Final = (pg8000.native.InterfaceError, OSError)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A statement's rows as the driver reads them, and how many it touched."""

    rows: list[list[Any]]
    count: int


class OutOfDate(pg8000.native.DatabaseError):  # type: ignore[misc]  # the driver has no types
    """A statement prepared earlier no longer fits the schema; it is forgotten, and the transaction may be run again."""


class _BatchContext(Context):  # type: ignore[misc]  # the driver has no types
    """Gathers each statement's rows where the driver would run them together."""

    rows: Any
    input_funcs: Any

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__("batch")
        self.outcomes: list[Outcome] = []
        self._steps = steps

    @property
    def _step(self) -> Step:
        return self._steps[len(self.outcomes)]

    def describe(self) -> None:
        """The driver has read the columns of the statement at hand, if it has any."""
        self._step.statement.readers = self.input_funcs
        self.input_funcs = []

    def begin(self) -> None:
        """The rows of the statement at hand follow."""
        self.rows, self.input_funcs = [], self._step.statement.readers

    def complete(self, data: bytes) -> None:
        """`data` is a command's tag: `INSERT 0 3`, `SELECT 1`, `BEGIN`."""
        last = data.rstrip(NULL_BYTE).rsplit(b" ", 1)[-1]
        self.outcomes.append(Outcome(self.rows, int(last) if last.isdigit() else 0))
        self.input_funcs = []


class Connection:
    """One session. It belongs to one thread at a time."""

    def __init__(self, url: str, lock_seconds: int = LOCK_SECONDS) -> None:
        """Opens the session; connections/opening.py says what `url` may be. Raises ConnectionFailed and DriverError."""
        try:
            self._driver = open_session(url, {**SESSION_OF_REQUESTS, "lock_timeout": f"{lock_seconds}s"}, _Driver)
        except ConnectionFailed as error:
            raise _reason(error) from error
        self._driver.wait_at_most(ANSWER_SECONDS)
        self._driver.message_types |= {
            DATA_ROW: self._data_row,
            _ROW_DESCRIPTION: self._row_description,
            _NO_DATA: self._no_data,
            _BIND_COMPLETE: self._bind_complete,
            _COMMAND_COMPLETE: self._command_complete,
        }
        self._driver.pg_types[messages.BYTEA] = None
        self._driver.register_out_adapter(list, _array)
        self._driver.register_out_adapter(bytes, bytes)
        self._translated: dict[str, tuple[str, Any]] = {}
        self._prepared = PreparedStatements()
        self._made_at = self._used_at = time.monotonic()

    def run(self, statements: Sequence[tuple[str, Values]], kept: Container[str] = ()) -> list[Outcome]:
        """Runs all statements in one round trip and one transaction; an error undoes them all.

        In a transaction opened by `simple("BEGIN")` they are part of that one. Those whose text is in `kept` stay
        prepared. Raises OutOfDate where one of these no longer fits and only the transaction as a whole can be run
        again; outside of one the batch is.
        """
        plan = self._plan(statements, kept)
        is_in_transaction = self._driver._transaction_status == IN_TRANSACTION  # noqa: SLF001
        try:
            return self._send(plan, statements)
        except DriverError as error:
            if sqlstate(error)[0] not in _OUT_OF_DATE or not plan.uses_what_is_known():
                raise
            self._prepared.forget()
            if is_in_transaction:
                raise OutOfDate(*error.args) from error
            return self._send(self._plan(statements, kept), statements)

    def simple(self, sql: str) -> None:
        """Runs text without parameters, by the simple protocol: one round trip, several statements allowed."""
        self._driver.execute_simple(sql)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """In it, an answer may take as long as a request may."""
        self._driver.wait_at_most(LONGEST_ANSWER_SECONDS)
        try:
            yield
        finally:
            self._driver.wait_at_most(ANSWER_SECONDS)

    def can_be_trusted(self) -> bool:
        """Is false if it was idle for long, or is old; nor if the server has closed it: nothing else makes it
        readable.
        """
        if not idle.is_trusted(self._used_at) or time.monotonic() - self._made_at > LONGEST_LIFE_SECONDS:
            return False
        poll = select.poll()
        poll.register(self._driver._usock, select.POLLIN)  # noqa: SLF001
        return not poll.poll(0)

    def close(self) -> None:
        with suppress(*ConnectionFailed):  # it may be gone already
            self._driver.close()

    def _plan(self, statements: Sequence[tuple[str, Values]], kept: Container[str]) -> Plan:
        return self._prepared.plan([sql for sql, _ in statements], kept)

    def _send(self, plan: Plan, statements: Sequence[tuple[str, Values]]) -> list[Outcome]:
        pieces = [messages.close(name) for name in plan.forgotten]
        for step, (_, values) in zip(plan.steps, statements, strict=True):
            pieces += self._messages(step, values)
        pieces.append(SYNC_MSG)
        context = _BatchContext(plan.steps)
        try:
            self._write(pieces)
            self._read_answers(self._driver._sock, context)  # noqa: SLF001
        finally:
            self._prepared.note(plan)
            self._used_at = time.monotonic()
        return context.outcomes

    def _messages(self, step: Step, values: Values) -> list[bytes]:
        text, order = self._translate(step.sql)
        name = step.statement.name
        parsed = []
        if step.is_parsed:
            # A session that a pooler gave to another client before may have one of this name, from the same text.
            parsed = [messages.close(name)] if name else []
            parsed += (messages.parse(name, text), messages.describe(name))
        parameters = make_params(self._driver.py_types, order(values))
        return [*parsed, *messages.bind(name, parameters), messages.EXECUTE]

    def _write(self, pieces: Sequence[bytes]) -> None:
        """Writes piece by piece into the socket's buffer: a large one is not joined with the others, which would copy
        it.
        """
        for piece in pieces:
            _write(self._driver._sock, piece)  # noqa: SLF001
        _flush(self._driver._sock)  # noqa: SLF001

    def _translate(self, sql: str) -> tuple[str, Any]:
        if sql not in self._translated:
            self._translated[sql] = to_statement(sql)
        return self._translated[sql]

    def _read_answers(self, stream: BinaryIO, context: _BatchContext) -> None:
        code = b""
        while code != messages.READY:
            code, data = messages.read_message(stream)
            self._driver.message_types[code](data, context)
        if context.error is not None:
            raise context.error

    def _data_row(self, data: bytes, context: Context) -> None:
        context.rows.append(messages.read_row(data, context.input_funcs))

    def _row_description(self, data: bytes, context: Context) -> None:
        self._driver.handle_ROW_DESCRIPTION(data, context)
        if isinstance(context, _BatchContext):
            context.describe()

    def _no_data(self, _: bytes, context: Context) -> None:
        if isinstance(context, _BatchContext):
            context.describe()

    def _bind_complete(self, _: bytes, context: Context) -> None:
        if isinstance(context, _BatchContext):
            context.begin()

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
        # Nothing is in the one that the driver made: the server has said that it is ready.
        made: Any = self._sock
        self._sock: Any = stream_of(self._usock)
        made.close()

    def wait_at_most(self, seconds: int) -> None:
        """Has an answer that takes longer raise OSError."""
        wait_at_most(self._usock, seconds)

    def close(self) -> None:
        """Closes what holds bytes that the server no longer takes as well: the interpreter would complain of it later,
        in the middle of something else.
        """
        held = self._sock
        try:
            super().close()
        finally:
            if held is not None:
                with suppress(OSError, ValueError):
                    held.close()


def _reason(error: BaseException) -> BaseException:
    """Returns what the server said. The driver then closes what the server has closed, and raises the error of that
    instead.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, DriverError):
        found = found.__context__
    return found or error


def _array(values: Sequence[Any]) -> str:
    """Writes an array, each text in quotes: a tag may be named null. An import sends hundreds of thousands of items,
    and the driver's own way looks at each sign of a text.
    """
    return f"{{{','.join(map(_item, values))}}}"


def _item(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    if type(value) is int:
        return str(value)
    return str(array_out(value))


def sqlstate(error: Exception) -> tuple[str, str]:
    """Returns the SQLSTATE and the constraint's name of a driver error, empty if it has none."""
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return fields.get("C", ""), fields.get("n", "")
