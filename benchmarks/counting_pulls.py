"""What counting pulls costs: each pull, in memory; and adding what was counted, in a thread of its own."""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Report, percentile, table
from functions.migrate.schema import upgrade
from functions.registry.events.pulls_and_pushes import PullsAndPushes
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from local.postgres import Postgres
from local.processes import Children
from local.seed import seed

TAGS: Final = 20_000
REPOSITORIES: Final = 500
LARGEST: Final = 2_000
KEYS: Final = (1, 100, 1000, 10_000)
_START_SECONDS: Final = 60
_NEVER: Final = 86_400.0
_SOME: Final = """
    SELECT repositories.name, tags.name, manifests.digest
      FROM tags JOIN repositories ON repositories.id = tags.repository_id
      JOIN manifests ON manifests.id = tags.manifest_id
     ORDER BY hashint8(manifests.id) LIMIT {count}
"""

Pulled = tuple[RepositoryName, Tag, Digest]


def counted(database: Database, pulled: list[Pulled], count: int) -> float:
    """Microseconds that a pull is held up by being counted, and by the look whether it is time to add."""
    counting = PullsAndPushes(database, _NEVER)
    started = time.perf_counter()
    for number in range(count):
        counting.pulled(*pulled[number % len(pulled)])
        counting.add_if_due()
    taken = time.perf_counter() - started
    return taken / count * 1e6


def added(database: Database, pulled: list[Pulled], rounds: int) -> list[float]:
    """Seconds that it takes to add one pull of each."""
    taken: list[float] = []
    for _ in range(rounds):
        counting = PullsAndPushes(database, _NEVER)
        for each in pulled:
            counting.pulled(*each)
        started = time.perf_counter()
        if not counting.add():
            raise RuntimeError("what was counted could not be added")
        taken.append(time.perf_counter() - started)
    return taken


def measure(database: Database, some: list[Pulled], report: Report, arguments: Any) -> None:
    costs = [counted(database, some[: KEYS[2]], arguments.pulls) for _ in range(arguments.rounds)]
    report.add(
        "## One pull",
        f"{statistics.median(costs):.1f} µs ({min(costs):.1f}-{max(costs):.1f}) in {arguments.rounds} rounds of "
        f"{arguments.pulls:,} pulls of {KEYS[2]:,} tags. No statement is run.",
    )
    rows: list[list[str]] = []
    for count in KEYS:
        seconds = added(database, some[:count], arguments.rounds)
        median = statistics.median(seconds)
        rows.append(
            [f"{count:,}", str(len(seconds)), f"{median * 1000:.1f}", f"{percentile(seconds, 100) * 1000:.1f}",
             f"{median / count * 1e6:.0f}"]
        )  # fmt: skip
        print(f"{count} tags: {median * 1000:.1f} ms", flush=True)
    report.add(
        "## Adding what was counted, in a thread of its own, once in ten seconds",
        table(["tags that were pulled", "runs", "p50, ms", "longest, ms", "µs a tag"], rows),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counting_pulls", description=__doc__)
    parser.add_argument("--pulls", type=int, default=200_000, help="of each round (default 200000)")
    parser.add_argument("--rounds", type=int, default=7, help="of each measurement (default 7)")
    arguments = parser.parse_args()
    report = Report("What counting pulls costs", "benchmarks.counting_pulls")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "data")
        children = Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, _START_SECONDS)
            upgrade(server.url())
            with contextlib.redirect_stdout(io.StringIO()):
                seed(server.url(), TAGS, REPOSITORIES, LARGEST)
            measure(Database(server.url(), 1), _some(server.url(), max(KEYS)), report, arguments)
        finally:
            children.stop()
    report.write("counting_pulls")


def _some(url: str, count: int) -> list[Pulled]:
    connection = Connection(url)
    rows = connection.run([(_SOME.format(count=count), {})])[0].rows
    connection.close()
    return [(RepositoryName(name), Tag(tag), Digest.from_bytes(digest)) for name, tag, digest in rows]


if __name__ == "__main__":
    main()
