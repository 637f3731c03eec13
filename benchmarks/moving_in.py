"""How fast a layout is moved in, from a store that takes 30 ms for each answer, and what those who pull notice of it.

The store is a made-up one (made_up_layout.py) in each worker's own process: what is measured are the workers and the
database.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Final
from unittest import mock

from benchmarks.made_up_layout import ROOT, TAGS, Store
from benchmarks.measure import MEBIBYTE, Report, children_of, cpu_seconds, percentile, table
from functions.migrate import work
from functions.migrate.imports import guard, layouts, pace
from functions.migrate.schema import upgrade
from functions.registry.config import Settings
from functions.registry.imports.origin import Origin
from functions.registry.imports.throttle import Throttled
from functions.registry.metadata.content import manifests, pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.remote import passes
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.usage import recount
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.wiring import build
from local.giving_way import give_way
from local.postgres import Postgres
from local.processes import Children

GOAL_SECONDS: Final = 300
GOAL_DATABASE_SECONDS: Final = 25
GOAL_MEMORY: Final = 250 * MEBIBYTE
_GOAL: Final = (
    f"The goal for 50,000 tags: {GOAL_SECONDS} s, {GOAL_DATABASE_SECONDS} s of the database's processor, "
    f"{GOAL_MEMORY // MEBIBYTE} MiB a worker, and 20 times as fast as one by one; "
    "p99 of pulls at most 1.5 times, of pushes twice."
)
_ELSEWHERE: Final = RepositoryName("elsewhere/app")
_BLOBS: Final = [Digest.of(f"elsewhere {number}".encode()) for number in range(6)]
_BACKEND: Final = Statement("bench_imports_backend", int, "SELECT pg_backend_pid()")
_ONE_ELSEWHERE: Final = """
    INSERT INTO namespaces (name) VALUES ('elsewhere');
    INSERT INTO repositories (namespace_id, name) SELECT id, 'elsewhere/app' FROM namespaces;
    INSERT INTO blobs (digest, size, object_name)
    SELECT decode('01', 'hex') || sha256(convert_to('elsewhere ' || number, 'UTF8')), 1, 'elsewhere/' || number
      FROM generate_series(0, 5) AS number;
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repositories.id, blobs.digest, blobs.size FROM repositories, blobs;
    INSERT INTO manifests (repository_id, digest, media_type, payload)
    SELECT id, decode(repeat('01', 33), 'hex'), 'application/vnd.oci.image.manifest.v1+json', '{}' FROM repositories;
    INSERT INTO tags (repository_id, name, manifest_id) SELECT repository_id, 'v1', id FROM manifests;
"""
_LEFT: Final = Statement(
    "bench_imports_left",
    int,
    """
    (SELECT 1 FROM import_repositories WHERE state IN ('listed', 'importing') OR due_at IS NOT NULL LIMIT 1)
     UNION ALL
    (SELECT 1 FROM import_ranges LIMIT 1)
    """,
)
_HERE: Final = """
    SELECT (SELECT count(*) FROM tags), pg_current_wal_insert_lsn() - '0/0', sum(objects) + (SELECT count(*) FROM blobs)
      FROM import_repositories
"""


def _settings(url: str) -> Settings:
    return Settings.from_environment(
        {
            "SLIPWAY_DATABASE": url,
            "SLIPWAY_BUCKET": "bench",
            "SLIPWAY_CHECK_DAYS": "0",
            "SLIPWAY_SIGNER": "hmac",
            "SLIPWAY_SIGNER_SECRET": "bench",
            "SLIPWAY_DATABASE_LOCK_SECONDS": "10",
        }
    )


def _work(url: str, repositories: int, is_one_by_one: bool, pipe: Pipe) -> None:
    """One worker, in a process of its own: it tells how much it took.

    Deployed, it would have a processor of its own, and the database several: here it gives way, with its sessions, to
    whoever pulls and pushes.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    give_way()
    store = Store(repositories)
    at_once = 1 if is_one_by_one else 32

    def opened(_: Settings, source_id: int, __: str, ___: str | None) -> Origin:
        return Origin(source_id, Throttled(store, at_once), ROOT, "bench", is_here=True)

    smallest = 1 if is_one_by_one else pace.MOST_MANIFESTS
    pipe.send("ready")
    pipe.recv()
    used = cpu_seconds(os.getpid())
    services = build(_settings(url))
    with (
        mock.patch.object(layouts, "open_origin", opened),
        # The made-up store takes no writes.
        mock.patch.object(guard.Guard, "put_up"),
        mock.patch.object(pace, "MOST_MANIFESTS", smallest),
        mock.patch.object(pace, "_FEWEST_MANIFESTS", min(smallest, 16)),
    ):
        while not _is_over(services.database):
            if not work.run(services):
                time.sleep(0.1)
    pipe.send((store.requests, store.reads, cpu_seconds(os.getpid()) - used, _peak()))


def _is_over(database: Database) -> bool:
    return all(source.state == "open" for source in sources.list_all(database)) and not database.all(_LEFT())


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass
class Neighbour:
    """Somebody who does the same thing in another repository all the time; `took` are the seconds of each."""

    backend: int
    took: list[float] = field(default_factory=list)


def _repeat(url: str, what: str, pipe: Pipe) -> None:
    """Goes on until it is told to stop; tells the process of the database that answers, and how long each took."""
    database = Database(url, size=1)
    pipe.send(database.one_or_none(_BACKEND()))
    took: list[float] = []
    do = {"pulls": _pull, "pushes": _push}[what]
    while not pipe.poll(0.01):
        started = time.perf_counter()
        do(database, len(took))
        took.append(time.perf_counter() - started)
    pipe.send(took)


def _pull(database: Database, _: int) -> None:
    manifests.get(database, _ELSEWHERE, Tag("v1"))


def _push(database: Database, number: int) -> None:
    layers = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(each), "size": 1} for each in _BLOBS
    ]
    annotations = {"number": f"{number} {time.time_ns()}"}
    document = {"schemaVersion": 2, "config": layers[0], "layers": layers[1:], "annotations": annotations}
    payload = json.dumps(document).encode()
    manifest = parse_manifest(payload, OCI_MANIFEST)
    pushes.put(database, Push(_ELSEWHERE, Digest.of(payload), manifest, payload, (Tag("pushed"),)))


@contextmanager
def _neighbours(url: str) -> Iterator[dict[str, Neighbour]]:
    """Somebody pulls and somebody pushes meanwhile."""
    found: dict[str, Neighbour] = {}
    pipes: dict[str, Pipe] = {}
    processes = []
    for what in ("pulls", "pushes"):
        pipes[what], theirs = multiprocessing.Pipe()
        processes.append(multiprocessing.Process(target=_repeat, args=(url, what, theirs), daemon=True))
        processes[-1].start()
        found[what] = Neighbour(pipes[what].recv())
    try:
        yield found
    finally:
        for what, pipe in pipes.items():
            pipe.send("stop")
            found[what].took += pipe.recv()
        for process in processes:
            process.join()


def _server_cpu(pid: int) -> float:
    """Returns the seconds of the server with all its sessions, those that are over too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    over = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return cpu_seconds(pid) + over + sum(cpu_seconds(child) for child in children_of(pid))


def _import(
    url: str, server: int, repositories: int, workers: int, *, is_one_by_one: bool, others: Sequence[Neighbour] = ()
) -> dict[str, float]:
    """`others` have processes of the database of their own, which count for nothing here."""
    database = Database(url, size=2)
    source = sources.add(database, NewSource("layout", "gs://bench", ROOT, workers=workers))
    sources.set_mode(database, source.id, "lead")
    sources.open_up(database, source.id)
    before = _here(url)
    found = _run(url, server, repositories, workers, is_one_by_one=is_one_by_one, others=others)
    after = _here(url)
    database.close()
    return found | {"tags": after[0] - before[0], "wal": after[1] - before[1], "objects": after[2]}


def _import_again(url: str, server: int, repositories: int) -> dict[str, float]:
    """Nothing has changed meanwhile."""
    database = Database(url, size=2)
    (source,) = sources.list_all(database)
    before = _here(url)
    passes.list_again(database, source.id, "layout")
    again = _run(url, server, repositories, 1, is_one_by_one=False)
    wal = _here(url)[1] - before[1]
    differences = len(recount.recount(database).differences)
    database.close()
    return {"again": again["requests"], "again reads": again["reads"], "again wal": wal, "differences": differences}


def _here(url: str) -> tuple[int, int, int]:
    with closing(Connection(url)) as connection:
        ((tags, wal, objects),) = connection.run([(_HERE, {})])[0].rows
    return int(tags), int(wal), int(objects or 0)


def _run(
    url: str, server: int, repositories: int, workers: int, *, is_one_by_one: bool, others: Sequence[Neighbour] = ()
) -> dict[str, float]:
    """Works until there is nothing left to do."""
    pipes = []
    processes = []
    for _ in range(workers):
        ours, theirs = multiprocessing.Pipe()
        arguments = (url, repositories, is_one_by_one, theirs)
        processes.append(multiprocessing.Process(target=_work, args=arguments, daemon=True))
        processes[-1].start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    used = _server_cpu(server) - sum(cpu_seconds(each.backend) for each in others)
    started = time.perf_counter()
    for pipe in pipes:
        pipe.send("go")
    told = [pipe.recv() for pipe in pipes]
    seconds = time.perf_counter() - started
    for process in processes:
        process.join()
    return {
        "seconds": seconds,
        "server": _server_cpu(server) - sum(cpu_seconds(each.backend) for each in others) - used,
        "requests": sum(requests for requests, _, _, _ in told),
        "reads": sum(reads for _, reads, _, _ in told),
        "client": sum(cpu for _, _, cpu, _ in told),
        "peak": max(peak for _, _, _, peak in told),
    }


def _fresh(postgres: Postgres, name: str) -> str:
    with closing(Connection(postgres.url())) as connection:
        connection.simple(f"CREATE DATABASE {name}")
    url = postgres.url(name)
    upgrade(url)
    return url


def _measure(postgres: Postgres, server: int, options: argparse.Namespace) -> list[str]:
    single = _fresh(postgres, "one_by_one")
    slow = _import(single, server, options.one_by_one, 1, is_one_by_one=True)
    slow |= _import_again(single, server, options.one_by_one)
    url = _fresh(postgres, "together")
    with closing(Connection(url)) as connection:
        connection.simple(_ONE_ELSEWHERE)
    with _neighbours(url) as before:
        time.sleep(10)
    with _neighbours(url) as during:
        fast = _import(
            url, server, options.repositories, options.workers, is_one_by_one=False, others=list(during.values())
        )
    fast |= _import_again(url, server, options.repositories)
    bound = (fast["objects"] / 1000 + options.repositories * (2 + TAGS)) * 1.05
    rows = [
        ["tags", *(f"{each['tags']:,}" for each in (slow, fast))],
        ["seconds", *(f"{each['seconds']:.1f}" for each in (slow, fast))],
        ["tags a second", *(f"{each['tags'] / each['seconds']:.1f}" for each in (slow, fast))],
        ["processor seconds of the database", *(f"{each['server']:.1f}" for each in (slow, fast))],
        ["processor seconds of the workers", *(f"{each['client']:.1f}" for each in (slow, fast))],
        ["requests to the store", *(f"{each['requests']:,}" for each in (slow, fast))],
        ["at most", "", f"{bound:,.0f}"],
        ["MiB of the largest worker", *(f"{each['peak'] / MEBIBYTE:.0f}" for each in (slow, fast))],
        ["MiB of WAL", *(f"{each['wal'] / MEBIBYTE:.0f}" for each in (slow, fast))],
        ["a second run: requests", *(f"{each['again']:,}" for each in (slow, fast))],
        ["a second run: reads", *(f"{each['again reads']:,}" for each in (slow, fast))],
        ["a second run: bytes of WAL", *(f"{each['again wal']:,}" for each in (slow, fast))],
        ["figures that recount finds wrong", *(f"{each['differences']:.0f}" for each in (slow, fast))],
    ]
    others = [
        [f"{what} {name}", f"{len(took):,}", *(f"{percentile(took, percent) * 1000:.1f}" for percent in (50, 90, 99))]
        for what in during
        for name, took in (("before", before[what].took), ("during", during[what].took))
    ]
    together = f"{options.workers} workers, all together"
    return [
        _GOAL,
        table(["", "one by one", together], rows),
        "Pulls and pushes of a manifest in another repository, in ms:",
        table(["", "number", "p50", "p90", "p99"], others),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one-by-one", type=int, default=20, help="repositories of the run that does nothing at once")
    options = parser.parse_args()
    report = Report("Moving a registry in", "benchmarks.moving_in")
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "data", ephemeral=True)
        children = Children()
        try:
            server = children.start(postgres.prepare())
            children.wait_until(server, postgres.is_ready, seconds=60)
            pid = int((Path(folder) / "data" / "postmaster.pid").read_text().splitlines()[0])
            report.add(*_measure(postgres, pid, options))
        finally:
            children.stop()
    report.write("moving_in")


if __name__ == "__main__":
    main()
