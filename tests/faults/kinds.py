"""What can happen to the parts of a registry that runs on this machine: kills, stops, no connections left."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from functions.registry.metadata.driver import Connection, ConnectionFailed, DriverError
from local.stack import Stack

_SHORTEST_STOP: Final = 0.5
_LONGEST_STOP: Final = 4.0

Fault = Callable[[Stack, random.Random], None]


def server_of(running: Stack, name: str) -> int:
    """The process that the harness started."""
    [child] = [child for child in running.children._children if child.name == name]
    assert child.process is not None
    return child.process.pid


def workers_of(running: Stack, name: str) -> list[int]:
    """The processes that it has made itself, and that do the work; it alone, if there are none."""
    pid = server_of(running, name)
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] or [pid]


def backends(running: Stack) -> list[int]:
    """PostgreSQL's sessions."""
    return [pid for pid in workers_of(running, "postgres") if _title(pid).startswith("postgres: postgres ")]


def whole_postgres(running: Stack) -> list[int]:
    return [server_of(running, "postgres"), *workers_of(running, "postgres")]


def _title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        send(pids, signal.SIGCONT)


@contextmanager
def no_connection_left(running: Stack) -> Iterator[None]:
    """Somebody else has all of the server's."""
    held: list[Connection] = []
    try:
        with suppress(DriverError, *ConnectionFailed):
            while True:
                held.append(Connection(running.environment["SLIPWAY_DATABASE"]))
        yield
    finally:
        for connection in held:
            connection.close()


def _kill(name: str, running: Stack, _: random.Random) -> None:
    send(workers_of(running, name), signal.SIGKILL)


def _kill_backend(running: Stack, chance: random.Random) -> None:
    """The server then ends all sessions, and recovers as after a crash."""
    send(chance.sample(backends(running), k=min(1, len(backends(running)))), signal.SIGKILL)


def _stop(pids: Callable[[Stack], list[int]], running: Stack, chance: random.Random) -> None:
    with stopped(pids(running)):
        time.sleep(chance.uniform(_SHORTEST_STOP, _LONGEST_STOP))


def _use_up_connections(running: Stack, chance: random.Random) -> None:
    with no_connection_left(running):
        time.sleep(chance.uniform(_SHORTEST_STOP, _LONGEST_STOP))


FAULTS: Final[dict[str, Fault]] = {
    **{f"kill {name}": partial(_kill, name) for name in ("api", "gc", "storage")},
    "kill a backend": _kill_backend,
    **{f"stop {name}": partial(_stop, partial(workers_of, name=name)) for name in ("api", "gc", "storage", "pubsub")},
    "stop the backends": partial(_stop, backends),
    "stop the postmaster": partial(_stop, lambda running: [server_of(running, "postgres")]),
    "stop PostgreSQL": partial(_stop, whole_postgres),
    "use up connections": _use_up_connections,
}
