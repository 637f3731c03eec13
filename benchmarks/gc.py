"""What a GC run costs: by the size of the registry, in a row on one collector, and for those who pull meanwhile."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks.measure import Report, median_and_range, percentile, table, timed
from benchmarks.pulling import pull_for, pull_while_collecting, pull_while_computing
from benchmarks.registry_data import REPOSITORIES, Registry
from functions.gc import usage
from functions.gc.reviews import BLOBS, LINKS
from functions.gc.run import BATCH, run
from functions.registry.config import Settings
from functions.registry.wiring import Services, build
from local import stack
from local.stack import Options, Stack

SIZES: Final = (19_200, 1_999_680)
NEVER_SECONDS: Final = 86_400
PULL_SECONDS: Final = 10.0


@dataclass
class Side:
    """A registry of one size that runs for itself, and the seconds of each review in it."""

    running: Stack
    registry: Registry
    services: Services
    manifests: int
    scanning: float = 0.0
    reviews: list[float] = field(default_factory=list)


@contextlib.contextmanager
def _side(folder: Path, manifests: int) -> Iterator[Side]:
    with Stack(Options(port=0, data=folder, ephemeral=True)) as running:
        registry = Registry(running.environment["SLIPWAY_DATABASE"], running.ports.storage)
        services = build(Settings.from_environment(running.environment))
        side = Side(running, registry, services, manifests)
        filling = timed(lambda: registry.grow(manifests))
        registry.execute("UPDATE gc_settings SET grace = '0' WHERE event = 'delete'")
        # Each repository as it is for the first time; then none for minutes, as in a registry that has run for long.
        side.scanning = timed(lambda: _silently(lambda: _until_done(lambda: usage.scan_untagged(services, BATCH))))
        print(f"{manifests} manifests after {filling:.0f} s, scanned in {side.scanning:.1f} s", flush=True)
        yield side
        services.database.close()
        registry.close()


def _silently(work: Callable[[], object]) -> None:
    """Log lines cost the same everywhere, and nobody reads them here."""
    with contextlib.redirect_stdout(io.StringIO()):
        work()


def _until_done(work: Callable[[], int]) -> None:
    while work():
        pass


def review(side: Side, blobs: int) -> None:
    """From links that are due to objects pending deletion."""
    side.registry.dangle(blobs, with_objects=False)
    side.reviews.append(timed(lambda: _silently(lambda: _review(side.services))))
    print(f"{side.manifests} manifests: reviewed in {side.reviews[-1]:.2f} s", flush=True)
    side.registry.execute("DELETE FROM deletions")
    side.registry.execute("VACUUM blobs, repository_blobs, namespace_blobs, link_reviews, blob_reviews, deletions")


def _review(services: Services) -> None:
    _until_done(lambda: LINKS.collect(services, BATCH))
    _until_done(lambda: BLOBS.collect(services, BATCH))


def rates(side: Side, arguments: Any) -> tuple[list[float], list[float]]:
    """Blobs a second, from a link that is due to an object that is gone; and the collector's own CPU, ms a blob."""
    os.environ.update(side.running.environment)  # where the Google client finds the fake store
    found: list[float] = []
    cpu: list[float] = []
    for _ in range(arguments.runs):
        side.registry.dangle(arguments.blobs, with_objects=True)
        before = time.process_time()
        found.append(arguments.blobs / timed(lambda: _silently(lambda: run(side.services))))
        cpu.append((time.process_time() - before) * 1000 / arguments.blobs)
        print(f"{found[-1]:.0f} blobs/s, {cpu[-1]:.2f} ms of CPU each", flush=True)
    return found, cpu


def pulls(side: Side, arguments: Any) -> Iterator[tuple[list[float], ...]]:
    """Milliseconds of each pull: while nothing else happens, while a process computes, and during a GC run."""
    side.registry.tag()
    ports = side.running.ports
    for _ in range(arguments.runs):
        side.registry.dangle(arguments.blobs, with_objects=True)
        taken = (
            pull_for(ports.api, PULL_SECONDS),
            pull_while_computing(ports.api, PULL_SECONDS),
            pull_while_collecting(ports.api, ports.gc),
        )
        print("p99, ms: " + ", ".join(f"{percentile(part, 99):.1f}" for part in taken), flush=True)
        yield taken


def report_reviews(report: Report, sides: list[Side], blobs: int) -> None:
    medians = [statistics.median(side.reviews) for side in sides]
    rows = [
        [f"{side.manifests:,} manifests", str(len(side.reviews)), median_and_range(side.reviews, 2)] for side in sides
    ]
    report.add(
        f"## Reviewing and deleting {blobs:,} dangling blobs, by the registry's size",
        table(["registry of", "runs", "seconds"], rows),
        f"In turns. Ratio of the medians: {medians[1] / medians[0]:.2f}. What no tag reaches is counted apart from "
        f"this, at most once in 10 ms for each manifest of a repository: {sides[1].scanning:.1f} s for "
        f"{REPOSITORIES} repositories with {sides[1].manifests:,} manifests.",
    )


def report_rates(report: Report, found: list[float], cpu: list[float]) -> None:
    row = ["links, blobs and objects", str(len(found)), median_and_range(found), median_and_range(cpu, 2)]
    report.add(
        "## One collector, from link to object, against the fake store",
        table(["what", "runs", "blobs/s", "its own CPU, ms a blob"], [row]),
    )


def report_pulls(report: Report, rounds: list[tuple[list[float], ...]]) -> None:
    names = ("while nothing else happens", "while one process computes", "while the gc function collects")
    quantiles = [[percentile(part, 99) for part in parts] for parts in zip(*rounds, strict=True)]
    counts = [sum(map(len, parts)) for parts in zip(*rounds, strict=True)]
    ratios = [[p99 / idle for p99, idle in zip(found, quantiles[0], strict=True)] for found in quantiles]
    report.add(
        "## p99 of manifest pulls, one client",
        table(
            ["when", "pulls", "p99, ms", "ratio, round by round"],
            [
                [name, str(count), median_and_range(found, 1), median_and_range(ratio, 2)]
                for name, count, found, ratio in zip(names, counts, quantiles, ratios, strict=True)
            ],
        ),
        "Client, api, database, store and collector share the cores; the process that computes has the collector's "
        "priority and touches nothing of the registry.",
    )


def measure(sides: list[Side], report: Report, arguments: Any) -> None:
    for _ in range(arguments.runs):
        for side in sides:
            review(side, arguments.blobs)
    report_reviews(report, sides, arguments.blobs)
    report_rates(report, *rates(sides[1], arguments))
    report_pulls(report, list(pulls(sides[1], arguments)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gc", description=__doc__)
    parser.add_argument("--blobs", type=int, default=10_000, help="dangling blobs in each run (default 10000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (default 3)")
    arguments = parser.parse_args()
    report = Report("Garbage collection", "benchmarks.gc")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        mock.patch.object(stack, "GC_SCHEDULE_SECONDS", NEVER_SECONDS),
        contextlib.ExitStack() as opened,
    ):
        sides = [opened.enter_context(_side(Path(folder) / str(size), size)) for size in SIZES]
        measure(sides, report, arguments)
    report.write("gc")


if __name__ == "__main__":
    main()
