"""How long the console's pages take, in a registry of a thousand tags and in one of a million, alone and beside a
garbage collection.

The pages are asked for over a socket, one after the other, of the registry as `make up` runs it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import requests

from benchmarks.measure import Report, cpu_seconds, percentile, table, worker_of
from functions.registry.metadata.driver import Connection
from local.postgres import Postgres
from local.seed import seed
from local.stack import Options, Stack

# Tags, repositories, tags of the largest one.
SMALL: Final = (1_000, 300, 300)
LARGE: Final = (1_000_000, 10_000, 200_000)
ROUNDS: Final = 30
GOALS: Final = {"alone": 50, "beside": 200, "ratio": 1.3}
_SECONDS: Final = 60
_MOST: Final = 1000
# Tags that are added at once.
_PIECE: Final = 250_000
_SMALL_LARGEST: Final = 2_000
_PAGE: Final = 50
_COLLECTING: Final = """
from functions.gc.run import run
from functions.registry.wiring import services
while True:
    run(services(), 60)
"""
# All that is untagged is due, and what falls from it.
_MAKE_DUE: Final = """
    UPDATE manifest_reviews SET review_after = now();
    UPDATE gc_settings SET grace = interval '0' WHERE event <> 'undo'
"""
_TAGS: Final = "SELECT count(*) FROM tags"
_COUNTS: Final = "SELECT (SELECT count(*) FROM tags), (SELECT count(*) FROM repositories)"
_LARGEST: Final = """
    SELECT repositories.name, tags FROM repository_usage JOIN repositories ON repositories.id = repository_id
     ORDER BY tags DESC LIMIT 1
"""
_WAITING: Final = "SELECT count(*) FROM manifest_reviews"


@dataclass(frozen=True, slots=True)
class Registry:
    """One that runs; `largest` is the repository with the most tags, `told` how many there are of all."""

    stack: Stack
    database: str
    largest: str
    tags: int
    told: str
    session: requests.Session

    def get(self, path: str) -> requests.Response:
        """Raises requests.HTTPError."""
        answer = self.session.get(f"http://{self.stack.address}{path}", timeout=_SECONDS)
        answer.raise_for_status()
        return answer

    def cursor(self, entries: int) -> str:
        """Returns where the list of the largest repository, by size, goes on: the API and the console share cursors."""
        path = f"/api/v1/repositories/{self.largest}/-/tags?sort=-size&n={min(entries, _MOST)}"
        while True:
            following = urlsplit(self.get(path).links["next"]["url"])
            cursor = parse_qs(following.query)["cursor"][0]
            entries -= min(entries, _MOST)
            if entries <= 0:
                return quote(cursor)
            step = min(entries, _MOST)
            path = f"/api/v1/repositories/{self.largest}/-/tags?sort=-size&n={step}&cursor={quote(cursor)}"

    def pages(self) -> dict[str, str]:
        """Returns what is asked for, by name."""
        here = f"/console/r/{self.largest}"
        last = self.cursor((self.tags - 1) // _PAGE * _PAGE)
        return {
            "start": "/console/",
            "search": "/console/search?q=api",
            "repositories by size": "/console/repositories?sort=-size",
            "largest repository, by push": here,
            "largest repository, by size": f"{here}?sort=-size",
            "largest repository, by size, last page": f"{here}?sort=-size&cursor={last}",
            "a tag": f"{here}/-/tags/latest",
            "history": f"{here}/-/history",
            "usage of a repository": f"{here}/-/usage",
            "usage": "/console/usage",
            "lifecycle": "/console/lifecycle",
            "retention": "/console/lifecycle/policies",
            "access": "/console/access",
            "trail": "/console/trail",
            "events": "/console/events",
            "operations": "/console/operations",
            "checks and backups": "/console/operations/safety",
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of every answer, by page; `cpu` are the server's milliseconds for one, on average."""

    answers: dict[str, list[float]]
    cpu: float


@contextmanager
def running(folder: Path, size: tuple[int, int, int]) -> Iterator[Registry]:
    """Fills it first, unless it was filled before."""
    stack = Stack(Options(0, folder, ephemeral=True, access="open")).start()
    try:
        url = Postgres(folder / "postgres").url()
        _fill(url, *size)
        [[largest, tags]] = _rows(url, _LARGEST)
        with requests.Session() as session:
            yield Registry(stack, url, largest, tags, _told(url, tags), session)
    finally:
        stack.stop()


def _fill(url: str, tags: int, repositories: int, largest: int) -> None:
    """Fills it piece by piece, each a transaction: broken off, it goes on where it was."""
    pieces = max(1, tags // _PIECE)
    while (there := _rows(url, _TAGS)[0][0]) < tags:
        print(f"{there:,} of {tags:,} tags are there", flush=True)
        seed(url, tags // pieces, repositories // pieces, _SMALL_LARGEST if there else largest, progress=lambda _: None)


def _told(url: str, largest: int) -> str:
    [[tags, repositories]] = _rows(url, _COUNTS)
    return f"{tags:,} tags in {repositories:,} repositories, {largest:,} in one"


def measured(registry: Registry, pages: dict[str, str], rounds: int) -> Figures:
    """Asks for each page once before it counts: what is imported and compiled then is paid once for each process."""
    for path in pages.values():
        registry.get(path)
    answers: dict[str, list[float]] = {name: [] for name in pages}
    worker = worker_of("functions/api/main.py")
    began = cpu_seconds(worker)
    for _ in range(rounds):
        for name, path in pages.items():
            started = time.perf_counter()
            registry.get(path)
            answers[name].append((time.perf_counter() - started) * 1000)
    return Figures(answers, (cpu_seconds(worker) - began) * 1000 / (rounds * len(pages)))


@contextmanager
def collecting(registry: Registry) -> Iterator[None]:
    """Has a process collect garbage beside the block, as long as there is some. It has begun when the block begins.

    Raises TimeoutError.
    """
    connection = Connection(registry.database)
    connection.simple(_MAKE_DUE)
    connection.close()
    waiting, deadline = _rows(registry.database, _WAITING)[0][0], time.monotonic() + _SECONDS
    environment = {**os.environ, **registry.stack.environment}
    command = [sys.executable, "-c", _COLLECTING]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while _rows(registry.database, _WAITING)[0][0] == waiting:
                if time.monotonic() > deadline:
                    raise TimeoutError("the collection does not begin")
                time.sleep(0.05)
            yield
        finally:
            process.kill()


def run(folder: Path, rounds: int, large: tuple[int, int, int], *, fill_only: bool) -> None:
    """Measures both, one after the other, and writes the report."""
    report = Report("The console's pages", "benchmarks.console")
    with running(folder / "small", SMALL) as registry:
        small, told_of_small = measured(registry, registry.pages(), rounds), registry.told
    with running(folder / "large", large) as registry:
        if fill_only:
            return
        pages = registry.pages()
        alone = measured(registry, pages, rounds)
        with collecting(registry):
            before = _rows(registry.database, _WAITING)[0][0]
            beside = measured(registry, pages, rounds)
            after = _rows(registry.database, _WAITING)[0][0]
    report.add(*summary(small, alone, beside, [told_of_small, registry.told], rounds))
    report.add(f"The collection went through {before - after:,} manifests meanwhile; {after:,} were left.")
    report.write("console")


def summary(small: Figures, alone: Figures, beside: Figures, told: Sequence[str], rounds: int) -> list[str]:
    """Returns the report's sections."""
    rows = []
    for name, answers in alone.answers.items():
        few, many = percentile(small.answers[name], 50), percentile(answers, 50)
        quick, crowded = percentile(answers, 95), percentile(beside.answers[name], 95)
        rows.append([name, f"{few:.1f}", f"{many:.1f}", f"{many / few:.2f}", f"{quick:.1f}", f"{crowded:.1f}"])
    over = [
        row[0]
        for row in rows
        if float(row[3]) > GOALS["ratio"] or float(row[4]) > GOALS["alone"] or float(row[5]) > GOALS["beside"]
    ]
    return [
        f"{rounds} answers of each page, in ms, from request to last byte. Small: {told[0]}. Large: {told[1]}.",
        table(
            ["page", "small, median", "large, median", "ratio", "large, p95", "beside a collection, p95"],
            rows,
        ),
        f"The server's CPU for a page of the large registry: {alone.cpu:.1f} ms on average.",
        f"The goals: a ratio of {GOALS['ratio']}, {GOALS['alone']} ms alone, {GOALS['beside']} ms beside a collection.",
        f"Beyond one of them: {', '.join(over) or 'none'}.",
    ]


def _rows(url: str, sql: str) -> list[list[Any]]:
    connection = Connection(url)
    try:
        return connection.run([(sql, {})])[0].rows
    finally:
        connection.close()


def main() -> None:
    # A check would begin by itself, and find that no layer of what was made up is in the bucket.
    os.environ["SLIPWAY_CHECK_DAYS"] = "0"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where both registries are kept, and found again")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"answers of each page (default {ROUNDS})")
    parser.add_argument("--tags", type=int, default=LARGE[0], help="of the large registry")
    parser.add_argument("--largest", type=int, default=LARGE[2], help="tags of one of its repositories")
    parser.add_argument("--fill-only", action="store_true", help="make both registries, and measure nothing")
    arguments = parser.parse_args()
    large = (arguments.tags, arguments.tags // 100, arguments.largest)
    run(arguments.data, arguments.rounds, large, fill_only=arguments.fill_only)


if __name__ == "__main__":
    main()
