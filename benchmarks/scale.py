"""The same requests in registries of more and more tags: what grows, and what a tag takes on disk."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Report, percentile, table, timed
from benchmarks.rivals.asking import Job, do, request
from benchmarks.rivals.images import MANIFEST_TYPE
from benchmarks.rivals.registries import Registry, slipway
from functions.registry.metadata.driver import Connection
from local.seed import seed

_ASKED: Final = 200
_SHARED_REPOSITORIES: Final = 1000

# Tags in the middle of the registry, each with what it names and a blob of that.
_SOME: Final = """
    SELECT repositories.name, tags.name, encode(substring(manifest_blobs.digest FROM 2), 'hex'),
           manifests.media_type, manifests.payload
      FROM (SELECT * FROM manifests WHERE id >= (SELECT (min(id) + max(id)) / 2 FROM manifests)
             ORDER BY id LIMIT 5000) AS manifests
      JOIN tags ON tags.manifest_id = manifests.id
      JOIN repositories ON repositories.id = tags.repository_id
      JOIN manifest_blobs ON manifest_blobs.manifest_id = manifests.id
     LIMIT 200
"""

# More names for what is there, past triggers, as a build that tags every run leaves them.
_MORE_TAGS: Final = """
    SET statement_timeout = 0;
    SET session_replication_role = replica;
    INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at, size, pulls, pulled_at)
    SELECT tags.repository_id, 'build-' || number, tags.manifest_id, tags.created_at, tags.updated_at, tags.size, 0,
           '-infinity'
      FROM (SELECT DISTINCT ON (repository_id) * FROM tags ORDER BY repository_id, name) AS tags,
           generate_series(1, {count}) AS number;
    UPDATE repository_usage SET tags = tags + {count};
    SET session_replication_role = origin;
    ANALYZE tags
"""

_SIZES: Final = "SELECT pg_database_size(current_database()), (SELECT count(*) FROM tags)"


@dataclass(frozen=True, slots=True)
class Some:
    repository: str
    tag: str
    blob: str
    media_type: str
    payload: bytes


def _fill(url: str, tags: int, *, is_shared: bool) -> float:
    """Returns the seconds that it took."""
    if not is_shared:
        return seed(url, tags, max(1, tags // 100), max(1, tags // 5), progress=lambda _: None).seconds
    seed(url, 10 * _SHARED_REPOSITORIES, _SHARED_REPOSITORIES, 100, progress=lambda _: None)
    with closing(Connection(url)) as connection, connection.patient():
        return timed(lambda: connection.simple(_MORE_TAGS.format(count=tags // _SHARED_REPOSITORIES)))


def _ask(method: str, path: str, status: int, body: bytes = b"", media_type: str = MANIFEST_TYPE) -> Job:
    headers = {"content_type": media_type} if body else {"accept": media_type}
    answer = yield request(method, path, body, **headers)
    answer.require(status)


def _kinds(some: list[Some]) -> Iterator[tuple[str, Callable[[int], Job]]]:
    def one(number: int) -> Some:
        return some[number % len(some)]

    def put(number: int) -> Job:
        chosen = one(number)
        path = f"/v2/{chosen.repository}/manifests/new-{number}"
        return _ask("PUT", path, 201, chosen.payload, chosen.media_type)

    def of(number: int) -> str:
        return f"/v2/{one(number).repository}"

    yield "manifest GET by tag", lambda number: _ask("GET", f"{of(number)}/manifests/{one(number).tag}", 200)
    yield "blob HEAD", lambda number: _ask("HEAD", f"{of(number)}/blobs/sha256:{one(number).blob}", 200)
    yield "tags, n=100, from the middle", lambda number: _ask("GET", f"{of(number)}/tags/list?n=100&last=build-5", 200)
    yield (
        "catalog, n=100, from the middle",
        lambda number: _ask("GET", f"/v2/_catalog?n=100&last={of(number)[4:]}", 200),
    )
    yield "manifest PUT, a new tag", put


def _measure(registry: Registry, some: list[Some]) -> Iterator[list[str]]:
    for name, make in _kinds(some):
        do(registry.address, [make(1_000 + number) for number in range(20)], 1)
        before = registry.cpu()
        seconds = do(registry.address, [make(number) for number in range(_ASKED)], 1)
        used = registry.cpu_since(before)
        yield [
            name,
            *(f"{percentile(seconds, percent) * 1000:.2f}" for percent in (50, 99)),
            *(f"{used[part] / _ASKED * 1000:.2f}" for part in ("api", "database")),
        ]


def measure(folder: Path, tags: int, *, is_shared: bool) -> str:
    """Returns the section of one registry."""
    with slipway(folder) as registry:
        if registry.stack is None:
            raise LookupError("Slipway runs elsewhere")
        url = registry.stack.environment["SLIPWAY_DATABASE"]
        filling = _fill(url, tags, is_shared=is_shared)
        connection = Connection(url)
        some = [Some(*row) for row in connection.run([(_SOME, {})])[0].rows]
        size, there = connection.run([(_SIZES, {})])[0].rows[0]
        connection.close()
        print(json.dumps({"tags": there, "bytes": size, "seconds": round(filling)}), flush=True)
        rows = list(_measure(registry, some))
    what = "over shared manifests" if is_shared else "with images of their own"
    header = ["request, one client", "p50 ms", "p99 ms", "api CPU ms", "database CPU ms"]
    about = f"{size / 2**30:.1f} GiB of database, {size / there:.0f} bytes a tag; filled in {filling:.0f} s."
    return f"## {there:,} tags {what}\n\n{about}\n\n{table(header, rows)}"


def run(arguments: Any) -> None:
    report = Report("By the number of tags", "benchmarks.scale")
    for tags, is_shared in ((1000, False), (arguments.tags, False), (arguments.shared, True)):
        if tags:
            with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder:
                report.add(measure(Path(folder), tags, is_shared=is_shared))
    report.write("scale")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--tags", type=int, default=1_000_000, help="with images of their own (default 1000000)")
    parser.add_argument("--shared", type=int, default=10_000_000, help="over shared manifests (default 10000000)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
