"""The table of outcomes of every pair, raced by two processes: `python -m tests.races.table 2 > docs/gc-races.md`."""

from __future__ import annotations

import io
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from functions.migrate.schema import upgrade
from local.postgres import Postgres
from local.processes import Children
from tests.conftest import WITHOUT_UNDO, administer
from tests.races import schedules
from tests.races.pairs import PAIRS, Arena, Pair
from tests.races.scenes import SCENES
from tests.races.schedules import Perform
from tests.races.stage import Performance

_START_SECONDS: Final = 60
_TEMPLATE: Final = "races"
_RACES: Final = [(pair, scene) for pair in PAIRS for scene in pair.scenes]
_INTRODUCTION: Final = f"""\
# Races: what comes of every pair of operations

Written by `python -m tests.races.table`, which runs the registry's own functions on a real PostgreSQL, two at a time,
and stops each before every statement and every COMMIT. Of each pair all orders of those steps are run; where two that
do not disturb each other have more than {schedules.MOST} orders, {schedules.DRAWN} of them, drawn evenly.
Undo is switched off: what is deleted goes by the graces alone. After each order it is checked that

- every manifest holds all its blobs and children, with their links; no live blob's object is to be deleted or gone;
- whatever nothing needs is queued for review, or held by something that is, and every object is named by a row;
- usage counters are what counting anew gives;
- what a client was told is there (by a push, a mount, a HEAD) is still there, unless the other operation deleted it;
- a blob that was pushed can be pulled, also where its object was lost; none is marked whose object is there;
- nobody ended with an error, other than the answers listed here, and no collector ran into a constraint.

On {{date}} these were {{orders}} orders of {{races}} pairs in scenes, with 0 faults. The first one would have
ended the run.

## Scenes

What is there when the two meet. All manifests are due for review, and so are the links and blobs that are fought over.

"""
_WORDS: Final = """
## Outcomes

Outcomes are those of the first / those of the second, with the number of orders that led to each. *Waits*: for a lock
of the other. *Retried*: by the registry itself, once more or after the server ended a deadlock, unseen by the client.
Collectors *collect* what nothing holds, *keep* what something holds, and *leave* what the other has locked, renewed or
settled.

| First | Second | Scene | Orders | Outcomes |
|---|---|---|---|---|
"""

Outcomes = dict[tuple[str, str, str], Counter[str]]


def row(pair: Pair, scene: str, outcomes: Counter[str]) -> str:
    told = "; ".join(f"{words} ({count})" for words, count in sorted(outcomes.items(), key=lambda one: (-one[1], one)))
    return f"| {pair.first.name} | {pair.second.name} | {scene} | {outcomes.total()} | {told} |"


def parse(document: str) -> Outcomes:
    """The rows of a table that was written before."""
    outcomes: Outcomes = {}
    for line in document.partition("|---|---|---|---|---|\n")[2].splitlines():
        first, second, scene, _, told = (cell.strip() for cell in line.strip("|").split("|"))
        counted = (one.rpartition(" (") for one in told.split("; "))
        outcomes[first, second, scene] = Counter({words: int(count.rstrip(")")) for words, _, count in counted})
    return outcomes


@contextmanager
def server() -> Iterator[Postgres]:
    """A server of its own, gone afterwards, with a migrated database to copy from, in which undo is switched off."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "data", ephemeral=True)
        children = Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, seconds=_START_SECONDS)
            administer(server, f"CREATE DATABASE {_TEMPLATE}")
            upgrade(server.url(_TEMPLATE))
            administer(server, WITHOUT_UNDO, _TEMPLATE)
            yield server
        finally:
            children.stop()


def drawn(arena: Arena, pairs: Sequence[Pair], orders: int) -> tuple[list[str], int]:
    """The rows of all pairs in all their scenes, of so many orders each, and how many orders that were."""

    def sample(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, orders, seed)

    rows: list[str] = []
    total = 0
    for pair in pairs:
        for scene in pair.scenes:
            with redirect_stdout(io.StringIO()):  # what the collectors log
                outcomes = arena.race(pair, scene, sample)
            total += outcomes.total()
            rows.append(row(pair, scene, outcomes))
            sys.stderr.write(f"{rows[-1]}\n")
    return rows, total


@contextmanager
def server_url() -> Iterator[str]:
    """The migrated database of such a server."""
    with server() as postgres:
        yield postgres.url(_TEMPLATE)


def document(rows: Sequence[str], made_on: date) -> str:
    orders = sum(outcomes.total() for outcomes in parse(_WORDS + "\n".join(rows)).values())
    introduction = _INTRODUCTION.format(date=made_on, orders=f"{orders:,}", races=len(rows))
    scenes = "\n".join(f"- *{scene.name}*: {scene.told}." for scene in SCENES.values())
    return introduction + scenes + "\n" + _WORDS + "\n".join(rows) + "\n"


def _race(url: str, numbers: Sequence[int]) -> dict[int, str]:
    """Races those of `_RACES` in one database, and returns the row of each; says each on the way."""
    rows = {}
    with Arena(url) as arena:
        for number in numbers:
            pair, scene = _RACES[number]
            with redirect_stdout(io.StringIO()):  # what the collectors log
                rows[number] = row(pair, scene, arena.race(pair, scene, schedules.bounded))
            sys.stderr.write(f"{rows[number]}\n")
            sys.stderr.flush()
    return rows


def main(jobs: int) -> None:
    """Deals the races out to so many processes, each with a database of its own."""
    rows: dict[int, str] = {}
    with server() as postgres, ProcessPoolExecutor(jobs, get_context("spawn")) as processes:
        racing = []
        for job in range(jobs):
            administer(postgres, f"CREATE DATABASE races_{job} TEMPLATE {_TEMPLATE}")
            racing.append(processes.submit(_race, postgres.url(f"races_{job}"), range(job, len(_RACES), jobs)))
        for each in as_completed(racing):
            rows |= each.result()
    sys.stdout.write(document([rows[number] for number in sorted(rows)], datetime.now(UTC).date()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
