"""Whether lists cost the same in a small registry and in a large one: every list, in every order, in both, in turns.

The api answers in this process, without a socket. What is asked for has the same size in both.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.test import Client

from benchmarks.measure import Report, percentile, table
from functions.api.dispatch import handle
from functions.api.v1.insights.routes import LARGEST_SIZE, RANKINGS
from functions.gc.run import BATCH
from functions.migrate.schema import upgrade
from functions.registry import wiring
from functions.registry.config import Settings
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.lists.filters import NAMESPACE_ORDERS, REPOSITORY_ORDERS, TAG_ORDERS
from functions.registry.metadata.usage import trends
from local.postgres import Postgres
from local.processes import Children
from local.seed import Seeded, seed

GOAL: Final = 1.5
ROUNDS: Final = 60
# Tags, repositories, tags of the largest one. Pages of a hundred are full in both, the last one too.
SMALL: Final = (1_000, 300, 300)
LARGE: Final = (1_000_000, 10_000, 200_000)
_NEXT: Final = re.compile(r'<([^>]+)>; rel="next"')
_NO_BUCKET: Final = {
    "SLIPWAY_ACCESS": "open",
    "SLIPWAY_BUCKET": "none",
    "SLIPWAY_SIGNER": "hmac",
    "SLIPWAY_SIGNER_IDENTITY": "nobody",
    "SLIPWAY_SIGNER_SECRET": "none",
}


@dataclass(frozen=True, slots=True)
class List:
    """`path` may name the `{largest}` repository and its `{namespace}`. `total` entries, counted in pages of `size`.

    Without a total it is one page.
    """

    path: str
    size: int = 100
    total: str = ""
    note: str = ""


@dataclass(slots=True)
class Registry:
    """One that answers in this process."""

    client: Client
    seeded: Seeded
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def get(self, path: str) -> Response:
        response: Response = self.client.get(path)  # type: ignore[assignment]  # the client's own subclass
        if response.status_code != 200:
            raise RuntimeError(f"{path} was answered with {response.status_code}: {response.get_data(as_text=True)}")
        return response

    def total(self, of: str) -> int:
        totals = {"namespaces": self.seeded.namespaces, "repositories": self.seeded.repositories}
        return {**totals, "tags": self.largest_tags}[of]

    @property
    def largest_tags(self) -> int:
        return int(self.get(f"/api/v1/repositories/{self.seeded.largest}").get_json()["tags"])

    def path(self, path: str) -> str:
        return path.format(largest=self.seeded.largest, namespace=self.seeded.largest.partition("/")[0])

    def after(self, path: str, entries: int) -> str:
        """The page that begins behind so many entries, by the links of larger ones."""
        while entries:
            step = min(entries, LARGEST_SIZE)
            following = _NEXT.search(self.get(_with_size(path, step)).headers["Link"])
            if following is None:
                raise RuntimeError(f"{path} has no next page")
            path, entries = following[1], entries - step
        return path

    def measure(self, name: str, path: str) -> None:
        started = time.perf_counter()
        self.get(path)
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)


def _with_size(path: str, size: int) -> str:
    bare = re.sub(r"[?&]n=[0-9]+", lambda match: "?" if match[0].startswith("?") else "", path).replace("?&", "?")
    return f"{bare}{'' if bare.endswith('?') else '&' if '?' in bare else '?'}n={size}"


def _sorted(path: str, orders: Sequence[str], size: int, total: str, **more: str) -> Iterator[List]:
    """Gives the list in each order: by name from the beginning, by all else from the largest on, or the latest."""
    for order in orders:
        query = urlencode({"sort": order if order == "name" else f"-{order}", **more}, safe="{}")
        yield List(f"{path}?{query}", size, total)


TAGS: Final = "/api/v1/repositories/{largest}/-/tags"
LISTS: Final = (
    *_sorted("/api/v1/repositories", REPOSITORY_ORDERS, 100, "repositories"),
    *_sorted("/api/v1/repositories", REPOSITORY_ORDERS, 20, "", namespace="{namespace}"),
    *_sorted(TAGS, TAG_ORDERS, 100, "tags"),
    *_sorted("/api/v1/namespaces", NAMESPACE_ORDERS, 2, "namespaces"),
    List("/api/v1/repositories/{largest}"),
    List(f"{TAGS}/latest"),
    List("/api/v1/namespaces/{namespace}"),
    List("/api/v1/usage"),
    *(List(f"/api/v1/rankings/{ranking}", 10) for ranking in RANKINGS),
    List("/api/v1/repositories?name=nowhere", note="a filter that nothing passes"),
    List(f"{TAGS}?sort=-size&name=nowhere", note="a filter that nothing passes"),
    List("/v2/_catalog", total="repositories"),
    List("/v2/{largest}/tags/list", total="tags"),
    *(
        List(f"/gitlab/v1/repositories/{{largest}}/tags/list/?sort={sort}", total="tags")
        for sort in ("name", "-name", "published_at", "-published_at")
    ),
    List("/gitlab/v1/repository-paths/{namespace}/repositories/list/", size=20),
)


def pages(registry: Registry, listed: List) -> Iterator[tuple[str, str]]:
    """Name and path of the first page, one in the middle, and the last one."""
    path = _with_size(registry.path(listed.path), listed.size)
    name = f"{listed.path}{f' ({listed.note})' if listed.note else ''}"
    yield name, path
    if listed.total:
        total = registry.total(listed.total)
        half = total // 2 // listed.size * listed.size
        path = registry.after(path, half)
        yield f"{name}, middle", _with_size(path, listed.size)
        yield f"{name}, last", _with_size(registry.after(path, total - listed.size - half), listed.size)


@contextmanager
def registry_of(url: str, seeded: Seeded) -> Iterator[Registry]:
    services = wiring.build(Settings.from_environment({"SLIPWAY_DATABASE": url, **_NO_BUCKET}))
    application = Flask("lists")
    application.add_url_rule("/<path:_>", view_func=lambda _: handle(services, request))
    while trends.add_up(services.database, BATCH):
        pass
    yield Registry(Client(application, Response), seeded)
    services.database.close()


def compare(small: Registry, large: Registry, rounds: int) -> list[list[str]]:
    """A row for each page: its name, its median in each, and their ratio."""
    names, paths = [], {}
    for listed in LISTS:
        for (name, in_small), (_, in_large) in zip(pages(small, listed), pages(large, listed), strict=True):
            names.append(name)
            paths[name] = (in_small, in_large)
    for _ in range(rounds):
        for name, (in_small, in_large) in paths.items():
            small.measure(name, in_small)
            large.measure(name, in_large)
    rows = []
    for name in names:
        one, other = (percentile(registry.seconds[name], 50) * 1000 for registry in (small, large))
        rows.append([f"`{name}`", f"{one:.2f}", f"{other:.2f}", f"{other / one:.2f}"])
    return rows


def _filled(server: Postgres, name: str, size: tuple[int, int, int]) -> tuple[str, Seeded]:
    connection = Connection(server.url())
    connection.simple(f"CREATE DATABASE {name}")
    connection.close()
    upgrade(server.url(name))
    print(f"filling {name}: {size[0]:,} tags", flush=True)
    return server.url(name), seed(server.url(name), *size)


def run(rounds: int, large_size: tuple[int, int, int]) -> None:
    report = Report("Lists in a small registry and in a large one", "benchmarks.lists")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        server = Postgres(Path(folder) / "data", ephemeral=True)
        children = Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, seconds=30)
            filled = [_filled(server, "small", SMALL), _filled(server, "large", large_size)]
            with registry_of(*filled[0]) as small, registry_of(*filled[1]) as large, _without_log():
                rows = compare(small, large, rounds)
        finally:
            children.stop()
    report.add(*summary(rows, [seeded for _, seeded in filled], rounds))
    report.write("lists")


@contextmanager
def _without_log() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


def summary(rows: list[list[str]], seeded: Sequence[Seeded], rounds: int) -> list[str]:
    small, large = (
        f"{each.tags:,} tags in {each.repositories:,} repositories of {each.namespaces:,} namespaces" for each in seeded
    )
    over = [row for row in rows if float(row[-1]) > GOAL]
    told = "; ".join(f"{row[0]} {row[-1]}" for row in over) or "none"
    return [
        f"Medians of {rounds} answers in ms, in turns. Small: {small}. Large: {large}.",
        table(["call", "small, ms", "large, ms", "ratio"], rows),
        f"The goal is a ratio of {GOAL} at most. Beyond it: {told}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"answers of each kind (default {ROUNDS})")
    parser.add_argument("--tags", type=int, default=LARGE[0], help="of the large registry; a fifth in one repository")
    arguments = parser.parse_args()
    run(arguments.rounds, (arguments.tags, arguments.tags // 100, arguments.tags // 5))


if __name__ == "__main__":
    main()
