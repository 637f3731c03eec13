"""The table of outcomes, from racing every pair, in minutes: `python -m tests.races.table > docs/gc-races.md`."""

from __future__ import annotations

import io
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

from functions.migrate.schema import upgrade
from local.postgres import Postgres
from local.processes import Children
from tests.races import schedules
from tests.races.pairs import PAIRS, Arena, Pair
from tests.races.scenes import SCENES

_START_SECONDS: Final = 60
_INTRODUCTION: Final = f"""\
# Races: what comes of every pair of operations

Written by `python -m tests.races.table`, which runs the registry's own functions on a real PostgreSQL, two at a time,
and stops each before every statement and every COMMIT. Of each pair all orders of those steps are run; where two that
do not disturb each other have more than {schedules.MOST} orders, {schedules.DRAWN} of them, drawn evenly. After each
one it is checked that

- every manifest holds all its blobs and children, with their links; no live blob's object is to be deleted or gone;
- whatever nothing needs is queued for review, or held by something that is, and every object is named by a row;
- usage counters are what counting anew gives;
- what a client was told is there (by a push, a mount, a HEAD) is still there, unless the other operation deleted it;
- a blob that was pushed can be pulled, also where its object was lost; none is marked whose object is there;
- nobody ended with an error, other than the answers listed here, and no collector ran into a constraint.

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
def server_url() -> Iterator[str]:
    """A migrated database on a server of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "data", ephemeral=True)
        children = Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, seconds=_START_SECONDS)
            upgrade(server.url())
            yield server.url()
        finally:
            children.stop()


def document(rows: list[str]) -> str:
    scenes = "\n".join(f"- *{scene.name}*: {scene.told}." for scene in SCENES.values())
    return _INTRODUCTION + scenes + "\n" + _WORDS + "\n".join(rows) + "\n"


def main() -> None:
    rows = []
    with server_url() as url, Arena(url) as arena:
        for pair in PAIRS:
            for scene in pair.scenes:
                with redirect_stdout(io.StringIO()):  # what the collectors log
                    rows.append(row(pair, scene, arena.race(pair, scene, schedules.bounded)))
                sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write(document(rows))


if __name__ == "__main__":
    main()
