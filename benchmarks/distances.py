"""The api as far from its database and its store as it is in a cloud: what a request takes then, most of it waiting.

The distance is added by a relay of ours on loopback: what comes is passed on half a round trip later, each way.
"""

from __future__ import annotations

import argparse
import itertools
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from benchmarks.answering import LONGEST_SECONDS, wait_for_answer
from benchmarks.measure import Report, percentile, table
from benchmarks.rivals.asking import do
from benchmarks.rivals.scenarios import fill, scenarios
from local import programs
from local.guard import HOST, choose_port
from local.processes import Children
from local.programs import Data
from local.stack import Options, Stack

_PIECE: Final = 1 << 16
_JOBS: Final = 30
_SOCKET: Final = ".s.PGSQL.5432"

# The name of a scenario, and its round trips to the database and to the store, as tests/api/test_costs.py holds them: a
# push asks for each of seven blobs first. One into a new repository takes a few more.
_KINDS: Final = {
    "manifest GET by tag": (1, 0),
    "manifest HEAD by digest": (1, 0),
    "blob HEAD": (1, 0),
    "blob GET, first answer": (1, 0),
    "tags, 100 of 1000": (1, 0),
    "catalog, n=100": (1, 0),
    "mount": (1, 0),
    "push, 6 layers, as docker": (43, 7),
    "push, 6 layers, as containerd": (29, 7),
}


class Relay:
    """Listens on loopback, or at a path, and passes on what comes with a delay."""

    def __init__(self, listener: socket.socket, connect: Callable[[], socket.socket], seconds: float) -> None:
        self._listener = listener
        self._connect = connect
        self._half = seconds / 2
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed at the end
            while True:
                near, _ = self._listener.accept()
                far = self._connect()
                for source, target in ((near, far), (far, near)):
                    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    threading.Thread(target=self._read, args=(source, waiting), daemon=True).start()
                    threading.Thread(target=_write, args=(target, waiting), daemon=True).start()

    def _read(self, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        piece = b"x"
        while piece:
            try:
                piece = source.recv(_PIECE)
            except OSError:
                piece = b""
            waiting.put((time.perf_counter() + self._half, piece))


def _write(target: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    while True:
        due, piece = waiting.get()
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            if not piece:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(piece)
        except OSError:
            return


@contextmanager
def _relayed(path: Path, database: Path, storage_port: int, arguments: Any) -> Iterator[tuple[Path, int]]:
    """Returns the folder of the database's socket, and the store's port, from afar."""
    with socket.socket(socket.AF_UNIX) as near_database, socket.create_server((HOST, 0)) as near_store:
        near_database.bind(str(path / database.name))
        near_database.listen()
        Relay(near_database, lambda: _unix(database), arguments.database_ms / 1000)
        Relay(near_store, lambda: socket.create_connection((HOST, storage_port)), arguments.store_ms / 1000)
        yield path, near_store.getsockname()[1]


def _unix(path: Path) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(path))
    return connected


@contextmanager
def _far_api(folder: Path, arguments: Any) -> Iterator[str]:
    """Returns the address of an api that is far from what it needs, beside a registry that runs."""
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(Options(port=0, data=folder)))
        near = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="slipway-far-")))
        url, _, home = stack.environment["SLIPWAY_DATABASE"].partition("host=")
        database = Path(unquote(home)) / _SOCKET
        far = opened.enter_context(_relayed(near, database, stack.ports.storage, arguments))
        environment = {
            **stack.environment,
            "SLIPWAY_DATABASE": f"{url}host={quote(str(far[0]))}",
            "STORAGE_EMULATOR_HOST": f"http://{HOST}:{far[1]}",
        }
        children, port = Children(), choose_port(0)
        opened.callback(children.stop)
        child = children.start(programs.function("api", Data(folder), port, environment))
        wait_for_answer(child, port, time.perf_counter() + LONGEST_SECONDS)
        yield f"{HOST}:{port}"


def _rows(address: str, arguments: Any) -> Iterator[list[str]]:
    # No number comes twice: two ways of pushing would push one image.
    numbers = itertools.count()
    for scenario in scenarios(0):
        if scenario.name not in _KINDS:
            continue
        database, store = _KINDS[scenario.name]
        do(address, [scenario.make(next(numbers))], 1)
        seconds = do(address, [scenario.make(number) for number in itertools.islice(numbers, _JOBS)], 1)
        distance = database * arguments.database_ms + store * arguments.store_ms
        yield [
            scenario.name,
            str(database),
            str(store),
            f"{distance:.0f}",
            *(f"{percentile(seconds, percent) * 1000:.1f}" for percent in (50, 99)),
        ]
        print(scenario.name, flush=True)


def run(arguments: Any) -> None:
    report = Report("At a cloud's distances", "benchmarks.distances")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name,
        _far_api(Path(name), arguments) as address,
    ):
        fill(address)
        rows = list(_rows(address, arguments))
    header = ["one client", "trips to the database", "to the store", "distance, ms", "p50 ms", "p99 ms"]
    report.add(
        f"A round trip to the database takes {arguments.database_ms:g} ms, one to the store {arguments.store_ms:g} ms, "
        "added by a relay; the distance is what the trips take alone.",
        table(header, rows),
    )
    report.write("distances")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distances", description=__doc__)
    parser.add_argument("--database-ms", type=float, default=1.0, help="a round trip to the database (default 1)")
    parser.add_argument("--store-ms", type=float, default=20.0, help="one to the store (default 20)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
