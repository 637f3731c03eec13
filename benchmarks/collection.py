"""What a collection costs: by the size of the registry, in a row on one collector, and for those who pull meanwhile."""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import io
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks.measure import Report, median_and_range, percentile, table, timed
from benchmarks.registry_data import TAGS, Registry
from functions.gc.reviews import BLOBS, LINKS
from functions.gc.run import BATCH, run
from functions.registry.config import Settings
from functions.registry.events import hints
from functions.registry.wiring import Services, build
from local import stack
from local.guard import HOST
from local.stack import Options, Stack

SIZES: Final = (19_200, 1_999_680)
NEVER_SECONDS: Final = 86_400
PULL_SECONDS: Final = 10.0
_FUNCTION_PATIENCE: Final = 600


def reviews_by_size(registry: Registry, services: Services, arguments: Any) -> tuple[list[list[str]], float]:
    """Rows of a table, and how much longer the larger registry takes."""
    rows: list[list[str]] = []
    medians: list[float] = []
    for size in SIZES:
        filling = timed(lambda size=size: registry.grow(size))  # type: ignore[misc]
        print(f"{size} manifests after {filling:.0f} s", flush=True)
        seconds = [_review(registry, services, arguments.blobs) for _ in range(arguments.runs)]
        medians.append(statistics.median(seconds))
        rows.append([f"{size:,} manifests", str(arguments.runs), median_and_range(seconds, 2), f"{filling:.0f}"])
        print(f"reviewed in {median_and_range(seconds, 2)} s", flush=True)
    return rows, medians[1] / medians[0]


def _review(registry: Registry, services: Services, blobs: int) -> float:
    """Seconds from links that are due to condemned objects."""
    registry.dangle(blobs, with_objects=False)

    def review() -> None:
        for level in (LINKS, BLOBS):
            while level(services, BATCH):
                pass

    seconds = timed(lambda: _silently(review))
    registry.execute("DELETE FROM deletions")
    registry.execute("VACUUM blobs, repository_blobs, namespace_blobs, link_reviews, blob_reviews, deletions")
    return seconds


def _silently(work: Callable[[], object]) -> None:
    """Log lines cost the same everywhere, and nobody reads them here."""
    with contextlib.redirect_stdout(io.StringIO()):
        work()


def rates(registry: Registry, services: Services, arguments: Any) -> tuple[list[float], list[float]]:
    """Blobs a second, from a link that is due to an object that is gone; and the collector's own CPU, ms a blob."""
    registry.execute("UPDATE gc_settings SET grace = '0' WHERE event = 'delete'")
    found: list[float] = []
    cpu: list[float] = []
    for _ in range(arguments.runs):
        registry.dangle(arguments.blobs, with_objects=True)
        before = time.process_time()
        found.append(arguments.blobs / timed(lambda: _silently(lambda: run(services))))
        cpu.append((time.process_time() - before) * 1000 / arguments.blobs)
        print(f"{found[-1]:.0f} blobs/s, {cpu[-1]:.2f} ms of CPU each", flush=True)
    return found, cpu


class Puller:
    """One client that pulls manifests by tag, one after the other, over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=60)
        self._number = 0

    def close(self) -> None:
        self._connection.close()

    def pull(self) -> float:
        """Milliseconds."""
        self._number += 1
        return timed(self._pull) * 1000

    def _pull(self) -> None:
        self._connection.request("GET", f"/v2/bench/0/manifests/tag-{self._number % TAGS + 1}")
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"a pull was answered {answer.status}")


def pulls(registry: Registry, running: Stack, arguments: Any) -> Iterator[tuple[list[float], list[float]]]:
    """Milliseconds of each pull: while nothing else happens, and while the gc function collects."""
    registry.tag()
    for _ in range(arguments.runs):
        registry.dangle(arguments.blobs, with_objects=True)
        # The server closes a connection that was idle meanwhile.
        puller = Puller(running.ports.api)
        deadline = time.monotonic() + PULL_SECONDS
        idle = [puller.pull() for _ in iter(lambda: time.monotonic() < deadline, False)]  # noqa: B023  # used at once
        collecting = threading.Thread(target=_wake, args=(running.ports.gc,))
        collecting.start()
        busy = [puller.pull() for _ in iter(collecting.is_alive, False)]
        print(f"p99 {percentile(idle, 99):.1f} ms idle, {percentile(busy, 99):.1f} ms collecting", flush=True)
        puller.close()
        yield idle, busy


def _wake(port: int) -> None:
    """Returns when the collection is over."""
    message = {"messageId": "1", "data": base64.b64encode(hints.encode()).decode()}
    connection = http.client.HTTPConnection(HOST, port, timeout=_FUNCTION_PATIENCE)
    body = json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})
    connection.request("POST", "/projects/p/topics/t", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"the collection was answered {answer.status}")


def measure(running: Stack, report: Report, arguments: Any) -> None:
    registry = Registry(running.environment["SLIPWAY_DATABASE"], running.ports.storage)
    os.environ.update(running.environment)
    services = build(Settings.from_environment(running.environment))
    rows, ratio = reviews_by_size(registry, services, arguments)
    header = ["registry of", "runs", "seconds", "filled in, s"]
    report.add(
        f"## Reviewing and deleting {arguments.blobs:,} dangling blobs, by the registry's size",
        table(header, rows),
        f"Ratio of the medians: {ratio:.2f}.",
    )
    found, cpu = rates(registry, services, arguments)
    row = ["links, blobs and objects", str(len(found)), median_and_range(found), median_and_range(cpu, 2)]
    report.add(
        "## One collector, from link to object, against the fake store",
        table(["what", "runs", "blobs/s", "its own CPU, ms a blob"], [row]),
    )
    rounds = list(pulls(registry, running, arguments))
    quantiles = [[percentile(part, 99) for part in parts] for parts in zip(*rounds, strict=True)]
    medians = [statistics.median(p99s) for p99s in quantiles]
    names = ("while nothing else happens", "while the gc function collects")
    counts = [sum(map(len, parts)) for parts in zip(*rounds, strict=True)]
    report.add(
        "## p99 of manifest pulls, one client",
        table(
            ["when", "pulls", "p99, ms"],
            [[name, str(n), median_and_range(p99, 1)] for name, n, p99 in zip(names, counts, quantiles, strict=True)],
        ),
        f"Ratio of the medians: {medians[1] / medians[0]:.2f}. Everything runs on the same cores; the load average at "
        f"the end was {os.getloadavg()[0]:.1f}.",
    )
    services.database.close()
    registry.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection", description=__doc__)
    parser.add_argument("--blobs", type=int, default=10_000, help="dangling blobs in each run (default 10000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (default 3)")
    arguments = parser.parse_args()
    report = Report("Collection", "benchmarks.collection")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        mock.patch.object(stack, "TICK_SECONDS", NEVER_SECONDS),
        Stack(Options(port=0, data=Path(folder), ephemeral=True)) as running,
    ):
        measure(running, report, arguments)
    report.write("collection")


if __name__ == "__main__":
    main()
