"""What machines of random steps have in common: each begins with an empty registry, and tells what led to a fault."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from functions.migrate.schema import upgrade
from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.gc.reviews import BLOBS, LINKS, MANIFESTS
from functions.registry.metadata.gc.tag_reviews import TAGS
from local.postgres import Postgres
from local.processes import Children
from tests.conftest import administer

# The levels of a garbage collection, in the order of a run.
QUEUES: Final[tuple[Any, ...]] = (TAGS, MANIFESTS, LINKS, BLOBS)
# Steps of one machine in a long run.
_AT_ONCE: Final = 1000


class Machine(Protocol):
    """`log` are the last steps. `step` and `end` raise AssertionError, whatever is wrong."""

    log: list[str]

    def step(self, number: int) -> None: ...

    def end(self) -> None: ...

    def told(self) -> dict[str, int]:
        """What it came to do."""


def collecting(database: Database, queue: Any) -> Callable[[], int]:
    """Returns what collects one batch of a level, and says how many reviews that were."""
    return partial(database.transaction, partial(_batch, queue))


def _batch(queue: Any, session: Session) -> int:
    claimed = queue.claim(session, 500)
    if claimed:
        queue.process(session, claimed)
    return len(claimed)


def run(machine: Machine, steps: int) -> dict[str, int]:
    """Raises AssertionError with the last steps before a fault."""
    try:
        for number in range(1, steps + 1):
            machine.step(number)
        machine.end()
    except Exception as error:
        raise AssertionError("\n".join([*machine.log, f"{type(error).__name__}: {error}"])) from error
    return machine.told()


@contextmanager
def _server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server, children = Postgres(Path(folder) / "data", ephemeral=True), Children()
        try:
            children.wait_until(children.start(server.prepare()), server.is_ready, seconds=60)
            yield server
        finally:
            children.stop()


def run_for_long(make: Callable[[Database, int], Machine]) -> None:
    """Runs one machine after the other, until so many steps are done or the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    started, done = time.monotonic(), 0
    total: dict[str, int] = {}
    with _server() as server:
        upgrade(server.url())
        administer(server, "CREATE DATABASE machine_template TEMPLATE postgres")
        while done < options.steps and time.monotonic() - started < options.minutes * 60:
            seed = options.seed + done // _AT_ONCE
            administer(server, "CREATE DATABASE machine TEMPLATE machine_template")
            with closing(Database(server.url("machine"), 2)) as database:
                told = run(make(database, seed), _AT_ONCE)
            administer(server, "DROP DATABASE machine WITH (FORCE)")
            done += _AT_ONCE
            total = {what: total.get(what, 0) + count for what, count in told.items()}
            shown = ", ".join(f"{what} {count}" for what, count in total.items())
            sys.stdout.write(f"{done} steps up to seed {seed}: {shown}; {time.monotonic() - started:.0f} s\n")
            sys.stdout.flush()
