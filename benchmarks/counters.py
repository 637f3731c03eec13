"""What counting costs: a push with all figures kept against one with none, and many pushes into one namespace."""

from __future__ import annotations

import argparse
import functools
import hashlib
import http.client
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Report, median_and_range, percentile, table
from functions.migrate.schema import upgrade
from functions.registry.metadata import pushes, quotas, usage
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.pushes import Push
from functions.registry.metadata.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import RepositoryName, Tag
from local import programs
from local.guard import HOST, choose_port
from local.postgres import Postgres
from local.processes import Children
from local.programs import Data

PARALLEL: Final = 64
_PROCESSES: Final = 4
_TURN: Final = 25
_LAYERS: Final = 8
_START_SECONDS: Final = 60
_PATIENCE_SECONDS: Final = 120

# All that counts or describes, and the indexes that lists are sorted by.
_WITHOUT: Final = """
    DO $$ DECLARE it record; BEGIN
        FOR it IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger
                   WHERE NOT tgisinternal AND tgname ~ '^(count|describe|survey)' LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', it.tgname, it.relation);
        END LOOP;
        FOR it IN SELECT indexrelid::regclass AS index FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                   WHERE relname ~ '^(tags_(size|updated|pulled|pulls)|(repository|namespace)_usage_\\w+)$'
                     AND NOT indisprimary LOOP
            EXECUTE format('DROP INDEX %s', it.index);
        END LOOP;
    END $$
"""
_BLOBS: Final = """
    INSERT INTO blobs (digest, size, object_name) SELECT '\\x01' || sha256(int4send(n)), 1000, 'bench/' || n
      FROM generate_series(0, 8) AS n;
"""
_LINKS: Final = """
    INSERT INTO namespaces (name) VALUES ('{namespace}') ON CONFLICT DO NOTHING;
    INSERT INTO repositories (namespace_id, name) SELECT id, '{name}' FROM namespaces WHERE name = '{namespace}';
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repositories.id, digest, size FROM blobs, repositories WHERE repositories.name = '{name}'
"""


def blob(number: int) -> dict[str, Any]:
    digest = hashlib.sha256(number.to_bytes(4, "big")).hexdigest()
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{digest}", "size": 1000}


@dataclass
class Pusher:
    """Pushes one new image after the other, each with a tag of its own, into one repository. Its blobs are there."""

    database: Database
    repository: RepositoryName
    pushed: int = 0
    seconds: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        sql = _LINKS.format(namespace=self.repository.namespace, name=self.repository)
        with self.database._connection() as connection:  # noqa: SLF001  # nothing of the registry links so fast
            connection.simple(sql)

    def push(self) -> None:
        self.pushed += 1
        payload = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {**blob(0), "mediaType": "application/vnd.oci.image.config.v1+json"},
                "layers": [blob(number) for number in range(1, _LAYERS + 1)],
                "annotations": {"number": f"{self.repository} {self.pushed}"},
            }
        ).encode()
        started = time.perf_counter()
        self.put(payload, f"t{self.pushed}")
        self.seconds.append(time.perf_counter() - started)

    def put(self, payload: bytes, tag: str) -> None:
        """Into the metadata, without the api in front."""
        push = Push(self.repository, Digest.of(payload), parse_manifest(payload, None), payload, [Tag(tag)])
        pushes.put(self.database, push)


class HttpPusher(Pusher):
    """Through the api, over a connection that is kept."""

    def __init__(self, database: Database, repository: RepositoryName, port: int) -> None:
        super().__init__(database, repository)
        self._connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)

    def put(self, payload: bytes, tag: str) -> None:
        path = f"/v2/{self.repository}/manifests/{tag}"
        self._connection.request("PUT", path, payload, {"Content-Type": OCI_MANIFEST})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.CREATED:
            raise RuntimeError(f"a push was answered {answer.status}")


def settle(database: Database) -> None:
    while usage.settle(database, 500):
        pass


def one_by_one(pushers: dict[str, Pusher], count: int) -> dict[str, list[float]]:
    """Seconds of each push, one after the other, in turns."""
    for pusher in pushers.values():
        pusher.prepare()
        for _ in range(2 * _TURN):
            pusher.push()
        pusher.seconds.clear()
    for _ in range(count // _TURN):
        for pusher in pushers.values():
            for _ in range(_TURN):
                pusher.push()
            settle(pusher.database)
    return {name: pusher.seconds for name, pusher in pushers.items()}


def _push_for(url: str, repositories: Sequence[str], seconds: float, pushed: Any, go: Any) -> None:
    """In a process of its own: one thread for each repository."""
    database = Database(url, len(repositories))
    pushers = [Pusher(database, RepositoryName(name)) for name in repositories]
    until = [0.0]

    def work(pusher: Pusher) -> None:
        pusher.pushed = int(time.time() * 1000)
        while time.monotonic() < until[0]:
            pusher.push()

    go.wait()
    until[0] = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(pusher,)) for pusher in pushers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pushed.put([second for pusher in pushers for second in pusher.seconds])


def at_once(url: str, repositories: Sequence[str], seconds: float) -> list[float]:
    """Seconds of each push, while one client pushes to each repository."""
    context = multiprocessing.get_context("spawn")
    pushed, go = context.Queue(), context.Event()
    shares = [repositories[number::_PROCESSES] for number in range(_PROCESSES)]
    processes = [context.Process(target=_push_for, args=(url, share, seconds, pushed, go)) for share in shares]
    for process in processes:
        process.start()
    time.sleep(1)
    go.set()
    taken = [second for _ in processes for second in pushed.get(timeout=_PATIENCE_SECONDS)]
    for process in processes:
        process.join()
    return taken


def in_parallel(url: str, rounds: int, seconds: float) -> dict[str, list[list[float]]]:
    """Seconds of each push of each round, in turns."""
    database = Database(url, 1)
    into = {
        f"{PARALLEL} namespaces": [f"of-{number}/app" for number in range(PARALLEL)],
        "one namespace": [f"together/app-{number}" for number in range(PARALLEL)],
        "one namespace with a quota": [f"limited/app-{number}" for number in range(PARALLEL)],
    }
    for names in into.values():
        for name in names:
            Pusher(database, RepositoryName(name)).prepare()
    quotas.put(database, Quota("limited", bytes=1 << 50, repositories=None))
    taken: dict[str, list[list[float]]] = {name: [] for name in into}
    for _ in range(rounds):
        for name, names in into.items():
            settle(database)
            taken[name].append(at_once(url, names, seconds))
            print(f"{name}: {len(taken[name][-1]) / seconds:.0f} pushes/s", flush=True)
    database.close()
    return taken


@dataclass(frozen=True)
class Place:
    """A database, and the port of an api in front of it."""

    url: str
    port: int


@contextmanager
def places(folder: Path) -> Iterator[dict[str, Place]]:
    """Two on one server, with all counting and without any."""
    server = Postgres(folder / "data")
    children = Children()
    try:
        child = children.start(server.prepare())
        children.wait_until(child, server.is_ready, _START_SECONDS)
        urls = {name: server.url(name) for name in ("with", "without")}
        for name, url in urls.items():
            _simple(server.url(), f'CREATE DATABASE "{name}"')
            upgrade(url)
            _simple(url, _BLOBS)
        _simple(urls["without"], _WITHOUT)
        made = {name: Place(url, choose_port(0)) for name, url in urls.items()}
        for name, place in made.items():
            data = Data(folder / name)
            data.folder.mkdir()
            api = children.start(programs.function("api", data, place.port, _environment(place.url)))
            children.wait_until(api, functools.partial(_answers, place.port), _START_SECONDS)
        yield made
    finally:
        children.stop()


def _environment(url: str) -> dict[str, str]:
    signer = {"SLIPWAY_SIGNER": "hmac", "SLIPWAY_SIGNER_IDENTITY": "nobody", "SLIPWAY_SIGNER_SECRET": "none"}
    return {**programs.base_environment(), "SLIPWAY_DATABASE": url, "SLIPWAY_BUCKET": "none", **signer}


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)
    with suppress(OSError):
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def _simple(url: str, sql: str) -> None:
    connection = Connection(url)
    connection.simple(sql)
    connection.close()


def measure(made: dict[str, Place], report: Report, arguments: Any) -> None:
    counted, name = RepositoryName("http/app"), RepositoryName("direct/app")
    databases = {kind: Database(place.url, 1) for kind, place in made.items()}
    ways: dict[str, dict[str, Pusher]] = {
        "over HTTP": {kind: HttpPusher(databases[kind], counted, place.port) for kind, place in made.items()},
        "in the metadata alone": {kind: Pusher(databases[kind], name) for kind in made},
    }
    rows: list[list[str]] = []
    for way, pushers in ways.items():
        taken = one_by_one(pushers, arguments.pushes)
        medians = {kind: statistics.median(seconds) for kind, seconds in taken.items()}
        ratio = medians["with"] / medians["without"]
        print(f"{way}: {_ms(medians['with'])} and {_ms(medians['without'])} ms, ratio {ratio:.2f}", flush=True)
        rows += [
            [
                f"{way}, {kind} counting",
                str(len(seconds)),
                _ms(medians[kind]),
                _ms(percentile(seconds, 10)),
                _ms(percentile(seconds, 99)),
                f"{medians[kind] / medians['without']:.2f}",
            ]
            for kind, seconds in taken.items()
        ]
    report.add(
        f"## A manifest of {_LAYERS + 1} blobs with a new tag, one client, in turns",
        table(["push", "runs", "p50, ms", "p10, ms", "p99, ms", "p50 ratio"], rows),
    )
    rounds = in_parallel(made["with"].url, arguments.rounds, arguments.seconds)
    rates = {name: [len(round_) / arguments.seconds for round_ in of] for name, of in rounds.items()}
    rows = [
        [into, median_and_range(rates[into]), *(_ms(percentile([*chain(*of)], percent)) for percent in (50, 99))]
        for into, of in rounds.items()
    ]
    apart = statistics.median(rates[f"{PARALLEL} namespaces"])
    ratios = [f"{name}: {statistics.median(rate) / apart:.2f}" for name, rate in rates.items()][1:]
    report.add(
        f"## {PARALLEL} clients at once, each into a repository of its own, {arguments.seconds:.0f} s a round",
        table(["into", "pushes/s", "p50, ms", "p99, ms"], rows),
        f"Rates against {PARALLEL} namespaces: {'; '.join(ratios)}. Clients and server share the cores.",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counters", description=__doc__)
    parser.add_argument("--pushes", type=int, default=2000, help="of one client, each way (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="of many clients, each way (default 3)")
    parser.add_argument("--seconds", type=float, default=10, help="of a round (default 10)")
    arguments = parser.parse_args()
    report = Report("What counting costs", "benchmarks.counters")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        places(Path(folder)) as made,
    ):
        measure(made, report, arguments)
    report.write("counters")


if __name__ == "__main__":
    main()
