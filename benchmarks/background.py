"""What a migration in the background does to those who push and pull, and what it does when it is killed."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Report, percentile, table, timed
from benchmarks.pushers import LAYERS, blob
from functions.migrate import schema
from functions.migrate.background.runner import Runner
from functions.migrate.sql import NotFinished
from functions.registry.metadata.background import overview
from functions.registry.metadata.content import manifests, pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import RepositoryName, Tag
from local.postgres import Postgres
from local.processes import Children

_NAME: Final = "tag_subjects"
_BEFORE: Final = "pre_0002"
_REPOSITORIES: Final = 1000
_AT_ONCE: Final = 50_000
_PUSHERS: Final = 2
_PULLERS: Final = 2
_PAUSE_SECONDS: Final = 0.01
_SAMPLE_SECONDS: Final = 0.025
_RUN_SECONDS: Final = 240.0

_REGISTRY: Final = """
    SET session_replication_role = replica;
    ALTER TABLE tags ADD COLUMN touched integer NOT NULL DEFAULT 0;
    INSERT INTO namespaces (name) VALUES ('bench');
    INSERT INTO namespace_usage (namespace_id) SELECT id FROM namespaces;
    INSERT INTO repositories (namespace_id, name) SELECT 1, 'bench/' || n FROM generate_series(1, {repositories}) AS n;
    INSERT INTO repository_usage (repository_id, namespace_id) SELECT id, 1 FROM repositories;
    INSERT INTO manifests (repository_id, digest, media_type, payload)
    SELECT id, '\\x01' || sha256('old'), 'application/vnd.oci.image.manifest.v1+json', '{{}}' FROM repositories;
    INSERT INTO blobs (digest, size, object_name)
    SELECT '\\x01' || sha256(int4send(n)), 1000, 'bench/' || n FROM generate_series(0, {layers}) AS n;
    INSERT INTO repository_blobs (repository_id, digest, size) SELECT id, digest, 1000 FROM repositories, blobs;
"""
# Each of them belongs to something, so each of them is to be written: no job has more to do.
_TAGS: Final = """
    SET session_replication_role = replica;
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT 1 + n % {repositories}, 'sha256-' || encode(sha256(int4send(n)), 'hex') || '.sig', 1 + n % {repositories}
      FROM generate_series({first}, {last}) AS n
"""
_COUNTER: Final = """
    CREATE FUNCTION note_touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.touched := OLD.touched + 1;
        RETURN NEW;
    END $$;
    CREATE TRIGGER note_touched BEFORE UPDATE OF subject ON tags FOR EACH ROW EXECUTE FUNCTION note_touched();
"""
_WAITING: Final = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waiting.state_change)), 0)::float8
      FROM pg_stat_activity AS waiting
      JOIN pg_stat_activity AS job ON job.pid = ANY (pg_blocking_pids(waiting.pid))
     WHERE waiting.wait_event_type = 'Lock' AND job.query ~ 'tag_subject|background_migrations'
"""
# What was pushed before the migration came to it was filled by the push.
_OUTCOME: Final = """
    SELECT count(*) FILTER (WHERE subject IS DISTINCT FROM tag_subject(name)), count(*) FILTER (WHERE touched = 1),
           count(*) FILTER (WHERE touched > 1),
           count(*) FILTER (WHERE touched = 0 AND updated_at = created_at AND created_at < :began)
      FROM tags
"""


def _tag(number: int) -> str:
    return f"sha256-{Digest.of(number.to_bytes(4, 'big')).hex}.sig"


def _manifest(label: str) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {**blob(0), "mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [blob(number) for number in range(1, LAYERS + 1)],
            "annotations": {"label": label},
        }
    ).encode()


class Clients:
    """They push, anew and over what is there, and pull, in all repositories, until they stop."""

    def __init__(self, url: str, tags: int) -> None:
        self._url = url
        self._tags = tags
        self.pushes: list[float] = []
        self.pulls: list[float] = []
        self.failures: list[str] = []
        self._is_over = threading.Event()

    def _client(self, seed: int, seconds: list[float], ask: Callable[[Database, random.Random], None]) -> None:
        choose = random.Random(seed)  # noqa: S311  # which one it is does not matter
        with closing(Database(self._url, size=1)) as database:
            while not self._is_over.wait(_PAUSE_SECONDS):
                started = time.perf_counter()
                try:
                    ask(database, choose)
                except MetadataUnavailable as error:
                    self.failures.append(str(error))
                seconds.append(time.perf_counter() - started)

    def _push(self, database: Database, choose: random.Random) -> None:
        number = choose.randrange(self._tags)
        tag = _tag(number) if choose.random() < 0.5 else f"v{choose.randrange(1 << 40)}"  # half of each
        payload = _manifest(f"{tag} {choose.random()}")
        repository = RepositoryName(f"bench/{1 + number % _REPOSITORIES}")
        pushes.put(database, Push(repository, Digest.of(payload), parse_manifest(payload, None), payload, [Tag(tag)]))

    def _pull(self, database: Database, choose: random.Random) -> None:
        number = choose.randrange(self._tags)
        repository = RepositoryName(f"bench/{1 + number % _REPOSITORIES}")
        if manifests.get(database, repository, Tag(_tag(number))) is None:
            self.failures.append(f"{_tag(number)} was not there")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        work = [(self.pushes, self._push)] * _PUSHERS + [(self.pulls, self._pull)] * _PULLERS
        threads = [threading.Thread(target=self._client, args=(n, *each)) for n, each in enumerate(work)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()


class Sampler(threading.Thread):
    """Notes the longest that anybody was seen waiting for a lock of the migration, in seconds."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.longest = 0.0
        self.is_over = threading.Event()

    def run(self) -> None:
        with closing(Connection(self._url)) as connection:
            while not self.is_over.wait(_SAMPLE_SECONDS):
                self.longest = max(self.longest, connection.run([(_WAITING, {})])[0].rows[0][0])


def run_in_background(url: str) -> None:
    """Does what the function `work` does, in a process of its own, until there is nothing left."""
    with closing(Database(url, size=1)) as database:
        runner = Runner(database)
        deadline = time.monotonic() + _RUN_SECONDS
        while runner.work(deadline):
            pass


def _killed(url: str, kills: int, database: Database) -> int:
    """Starts the migration again each time that it was killed, which happens at random. Returns how often it was."""
    choose = random.Random(os.getpid())  # noqa: S311  # when it happens does not matter
    done = 0
    while (found := overview.get(database, _NAME)) is not None and found.state == "active":
        job = subprocess.Popen([sys.executable, "-m", "benchmarks.background", "--run", url])
        try:
            job.wait(choose.uniform(0.5, 4) if done < kills else _RUN_SECONDS)
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGKILL)
            job.wait()
            done += 1
    return done


def _simple(url: str, sql: str) -> None:
    with closing(Connection(url)) as connection:
        connection.simple(sql)


def _seed(url: str, tags: int) -> None:
    """Makes a registry as the release before had it."""
    with schema._connected(url) as connection:  # noqa: SLF001  # nobody else goes to a revision in the middle
        schema._upgrade(connection, schema._script(), _BEFORE)  # noqa: SLF001  # as above
    _simple(url, _REGISTRY.format(repositories=_REPOSITORIES, layers=LAYERS))
    for first in range(0, tags, _AT_ONCE):
        last = min(first + _AT_ONCE, tags) - 1
        _simple(url, _TAGS.format(repositories=_REPOSITORIES, first=first, last=last))
    _simple(url, "VACUUM ANALYZE tags")


def _row(what: str, clients: Clients) -> list[list[str]]:
    def figures(name: str, seconds: list[float]) -> list[str]:
        shown = [1000 * percentile(seconds, percent) for percent in (50, 99, 100)]
        return [f"{name}, {what}", str(len(seconds)), *(f"{each:.1f}" for each in shown)]

    return [figures("pushes", clients.pushes), figures("pulls", clients.pulls)]


def measure(url: str, tags: int, kills: int, seconds: float, report: Report) -> None:
    seeding = timed(lambda: _seed(url, tags))
    expanding = timed(lambda: schema.upgrade(url, ("pre",)))
    _simple(url, _COUNTER)
    phases: dict[str, Clients] = {}

    def phase(name: str, work: Callable[[], Any]) -> Any:
        phases[name] = Clients(url, tags)
        with phases[name].at_work():
            done = work()
        for row in _row(name, phases[name]):
            print(*row, sep="  ", flush=True)
        return done

    with closing(Database(url, size=2)) as database:
        phase("alone before", lambda: time.sleep(seconds))
        try:
            schema.upgrade(url, ("post",))
            refusal = "none"
        except NotFinished as error:
            refusal = str(error)
        sampler = Sampler(url)
        sampler.start()
        started = time.monotonic()
        killed = phase("beside the migration", lambda: _killed(url, kills, database))
        took = time.monotonic() - started
        sampler.is_over.set()
        phase("alone after", lambda: time.sleep(seconds))
        found = next(each for each in overview.list_all(database) if each.name == _NAME)
    with closing(Connection(url)) as connection, connection.patient():
        connection.simple("SET statement_timeout = 0")
        ((pending, once, twice, never),) = connection.run([(_OUTCOME, {"began": found.created_at})])[0].rows
    contracting = timed(lambda: schema.upgrade(url, ("post",)))
    rows = [row for name, clients in phases.items() for row in _row(name, clients)]
    failures = sum(len(clients.failures) for clients in phases.values())
    report.add(
        table(["", "how many", "p50 ms", "p99 ms", "longest ms"], rows),
        "\n".join(
            [
                f"- {tags} tags, each to be written, seeded in {seeding:.0f} s; *pre* took {expanding:.1f} s",
                f"- the migration took {took:.0f} s, was killed {killed} times, and is {found.state}",
                f"- rows that it wrote once: {once}; twice: {twice}; neither it nor a push: {never}; wrong: {pending}",
                f"- longest that a session was seen waiting for a lock of it: {1000 * sampler.longest:.0f} ms",
                f"- requests that failed: {failures}",
                f"- *post* before it was finished: {refusal}",
                f"- *post* afterwards took {contracting:.1f} s",
            ]
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30, help="of clients alone, before and after")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_in_background(options.run)
        return
    report = Report("A migration in the background", "benchmarks.background")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "data")
        children = Children()
        try:
            children.wait_until(children.start(server.prepare()), server.is_ready, 60)
            _simple(server.url(), "CREATE DATABASE bench")
            measure(server.url("bench"), options.tags, options.kills, options.seconds, report)
        finally:
            children.stop()
    report.write("background")


if __name__ == "__main__":
    main()
