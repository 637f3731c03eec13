"""Registries of many repositories: the same names and manifests in Slipway's tables, and as a layout on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.measure import percentile, table
from benchmarks.rivals import registries
from benchmarks.rivals.asking import Job, do, request
from benchmarks.rivals.images import MANIFEST_TYPE
from benchmarks.rivals.registries import SLIPWAY, Registry
from functions.registry.metadata.driver import Connection
from local.seed import seed

_ASKED: Final = 100
_LONGEST_SECONDS: Final = 5.0

_CONTENT: Final = """
    SELECT repositories.name, tags.name, encode(substring(manifests.digest FROM 2), 'hex'), manifests.payload
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name > :after
     ORDER BY repositories.name LIMIT 5000
"""


def by_size(folder: Path, sizes: Sequence[int]) -> str:
    """Returns a table of the p50 of each kind of request, by the number of repositories, each of which has a tag."""
    rows: list[list[str]] = []
    names: list[str] = []
    for size in sizes:
        # The layout is there before the others start; Slipway is filled while it runs.
        with registries.running(folder / str(size), layout=folder / str(size) / "layout") as running:
            names = [registry.name for registry in running]
            middle = _fill(running, folder / str(size) / "layout", size)
            for words, job in _kinds(middle):
                rows.append([words, f"{size:,}", *(f"{_p50_ms(registry, job):.2f}" for registry in running)])
                print(" ".join(rows[-1]), flush=True)
    rows.sort(key=lambda row: row[0])
    header = ["request, one client: p50 ms", "repositories", *names]
    return f"## By the registry's size\n\n{table(header, rows)}"


def _fill(running: Sequence[Registry], layout: Path, size: int) -> tuple[str, str]:
    """Returns a repository in the middle of the catalog, and its tag."""
    stack = next(registry.stack for registry in running if registry.name == SLIPWAY)
    if stack is None:
        raise LookupError("Slipway runs elsewhere")
    url = stack.environment["SLIPWAY_DATABASE"]
    seed(url, tags=size, repositories=size, largest=1, progress=lambda _: None)
    middle = ("", "")
    for number, (repository, tag, digest, payload) in enumerate(_content(url)):
        if len(running) > 1:
            _write(layout / "docker/registry/v2", repository, tag, digest, payload)
        if number == size // 2:
            middle = (repository, tag)
    return middle


def _content(url: str) -> Iterator[tuple[str, str, str, bytes]]:
    connection, after = Connection(url), ""
    try:
        while rows := connection.run([(_CONTENT, {"after": after})])[0].rows:
            yield from ((repository, tag, digest, payload) for repository, tag, digest, payload in rows)
            after = rows[-1][0]
    finally:
        connection.close()


def _write(root: Path, repository: str, tag: str, digest: str, payload: bytes) -> None:
    """Writes the layout of CNCF Distribution's storage drivers, docs/spec of its repository."""
    manifests = root / "repositories" / repository / "_manifests"
    for path, content in (
        (root / "blobs" / "sha256" / digest[:2] / digest / "data", payload),
        (manifests / "revisions" / "sha256" / digest / "link", f"sha256:{digest}".encode()),
        (manifests / "tags" / tag / "current" / "link", f"sha256:{digest}".encode()),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _kinds(middle: tuple[str, str]) -> Iterator[tuple[str, Callable[[], Job]]]:
    repository, tag = middle
    yield "manifest GET by tag", lambda: _get(f"/v2/{repository}/manifests/{tag}")
    yield "tags of a repository", lambda: _get(f"/v2/{repository}/tags/list?n=100")
    yield "catalog, n=100, its first page", lambda: _get("/v2/_catalog?n=100")
    yield "catalog, n=100, its middle", lambda: _get(f"/v2/_catalog?n=100&last={repository}")


def _get(path: str) -> Job:
    answer = yield request("GET", path, accept=MANIFEST_TYPE)
    answer.require(200)


def _p50_ms(registry: Registry, job: Callable[[], Job]) -> float:
    """Asks a hundred times, or for five seconds where an answer takes long."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    do(registry.address, [job()], 1)
    jobs = (job() for _ in range(_ASKED) if time.monotonic() < deadline)
    return percentile(do(registry.address, jobs, 1), 50) * 1000
