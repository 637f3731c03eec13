"""The connections of one process, kept from one statement to the next."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from functions.registry import telemetry
from functions.registry.metadata.connections.places import NoPlace, Places
from functions.registry.metadata.driver import Connection, ConnectionFailed, DriverError, sqlstate

_TOO_MANY_CONNECTIONS: Final = "53300"
# A server that takes no more connections may take one again before one of ours is given back.
_AGAIN_SECONDS: Final = 0.25


class NoConnection(Exception):
    """The message says why there is none."""


class Pool:
    """It has at most `size` connections, made when there is none to take. One is used by one thread at a time."""

    def __init__(self, url: str, size: int, wait_seconds: float, lock_seconds: int) -> None:
        self._url = url
        self._wait_seconds = wait_seconds
        self._lock_seconds = lock_seconds
        self._places = Places(size, wait_seconds)
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._is_closed = False

    @contextmanager
    def connection(self, *, may_block: bool) -> Iterator[Connection]:
        """Gives a connection that works as far as can be told; it is kept only if it still does afterwards.

        Raises NoConnection, also where it breaks, and DriverError.
        """
        connection = self._acquire(may_block=may_block)
        try:
            yield connection
        except ConnectionFailed as error:
            connection.close()
            raise NoConnection("the connection to the database broke") from error
        except BaseException:
            self._put_back_after_error(connection)
            raise
        else:
            self._keep(connection)
        finally:
            self._places.leave(may_block=may_block)

    def close(self) -> None:
        """Closes them all; one that is in use is closed when it is given back."""
        self._is_closed = True
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _acquire(self, *, may_block: bool) -> Connection:
        began = time.monotonic()
        try:
            self._places.enter(may_block=may_block)
            try:
                return self._take(deadline=began + self._wait_seconds)
            except BaseException:
                self._places.leave(may_block=may_block)
                raise
        except NoPlace as error:
            raise NoConnection("no connection became free in time") from error
        finally:
            telemetry.count_wait(time.monotonic() - began)

    def _take(self, deadline: float) -> Connection:
        """Returns an idle one, or a new one; where the server has no room for another, one that is given back
        meanwhile.
        """
        seconds = 0.0
        while True:
            connection = self._idle_one(seconds)
            if connection is not None:
                return connection
            try:
                return Connection(self._url, self._lock_seconds)
            except ConnectionFailed as error:
                raise NoConnection("the database can't be reached") from error
            except DriverError as error:
                state, _ = sqlstate(error)
                seconds = min(_AGAIN_SECONDS, deadline - time.monotonic())
                if state != _TOO_MANY_CONNECTIONS or seconds <= 0:
                    raise NoConnection(f"the database takes no connection: SQLSTATE {state}") from error

    def _idle_one(self, seconds: float) -> Connection | None:
        """Returns a connection that can be trusted; None if there is none within so many seconds."""
        with suppress(queue.Empty):
            while True:
                connection = self._idle.get(block=seconds > 0, timeout=seconds)
                if connection.can_be_trusted():
                    return connection
                connection.close()
        return None

    def _put_back_after_error(self, connection: Connection) -> None:
        """Ends the transaction that may be open, and keeps the connection only if that works."""
        try:
            connection.simple("ROLLBACK")
        except (DriverError, *ConnectionFailed):
            connection.close()
        else:
            self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        if self._is_closed:
            connection.close()
        else:
            self._idle.put(connection)
