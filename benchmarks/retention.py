"""What retention costs: what is due among a million tags, nothing due, a plan of a hundred thousand tags, a push."""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from benchmarks.measure import Report, table, timed
from benchmarks.pushers import Pusher
from functions.gc import retention
from functions.migrate.schema import upgrade
from functions.registry import telemetry
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.retention import plans, policies, runs
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.policies import NewPolicy
from functions.registry.oci.name import RepositoryName
from functions.registry.retention import judging, planning
from functions.registry.wiring import Services
from local.postgres import Postgres
from local.processes import Children

_RULES: Final[list[dict[str, Any]]] = [
    {"tags": "release-*", "keep": "all"},
    {"tags": "*", "keep": {"newest": 20, "pushed_within": "30d"}},
]
_TAGS_OF_ONE: Final = 100
_PLANNED: Final = 100_000
_PUSHES: Final = 600
_TURN: Final = 25

# Straight into the tables, without triggers: a million pushes would take an hour.
_REPOSITORIES: Final = """
    SET session_replication_role = replica;
    INSERT INTO namespaces (name) SELECT 'n' || n FROM generate_series(1, 20) AS n;
    INSERT INTO namespace_usage (namespace_id) SELECT id FROM namespaces;
    INSERT INTO repositories (namespace_id, name)
    SELECT namespaces.id, namespaces.name || '/r' || n FROM namespaces, generate_series(1, {repositories} / 20) AS n;
    INSERT INTO repository_usage (repository_id, namespace_id, manifests, tags, untagged_scan_due)
    SELECT id, namespace_id, {tags}, {tags}, false FROM repositories;
    INSERT INTO retention_scopes (repository_id, policy_id, new_for)
    SELECT id, 1, interval '1 day' FROM repositories;
    SET session_replication_role = origin;
"""
_TAGS: Final = """
    SET session_replication_role = replica;
    INSERT INTO manifests (repository_id, digest, media_type, payload)
    SELECT id, '\\x01' || sha256(int8send(id * 1000000 + n)), 'application/vnd.oci.image.manifest.v1+json', '{{}}'
      FROM repositories, generate_series(1, {tags}) AS n WHERE id BETWEEN {first} AND {last};
    INSERT INTO tags (repository_id, name, manifest_id, updated_at)
    SELECT repository_id, 't' || id, id, now() - interval '40 days' - id % 100000 * interval '1 minute'
      FROM manifests WHERE repository_id BETWEEN {first} AND {last};
    INSERT INTO retention_reviews (repository_id, tag, due_at)
    SELECT repository_id, name, now() + interval '1 hour' + manifest_id * interval '1 second'
      FROM tags WHERE repository_id BETWEEN {first} AND {last};
    SET session_replication_role = origin;
"""
_DUE: Final = """
    UPDATE retention_reviews SET due_at = now() - interval '1 hour'
     WHERE (repository_id, tag) IN (
           SELECT DISTINCT ON (repository_id) repository_id, name FROM tags
            WHERE repository_id <= {due} ORDER BY repository_id, updated_at);
    VACUUM (ANALYZE) tags;
    ANALYZE manifests;
    ANALYZE retention_reviews;
    ANALYZE repositories;
    ANALYZE repository_usage;
"""
_READ: Final = """
    SELECT pg_stat_force_next_flush(),
           (SELECT CAST(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) AS bigint) FROM pg_stat_user_tables)
"""


@contextmanager
def server(folder: Path) -> Iterator[Postgres]:
    postgres = Postgres(folder / "data", ephemeral=True)
    children = Children()
    try:
        child = children.start(postgres.prepare())
        children.wait_until(child, postgres.is_ready, seconds=60)
        yield postgres
    finally:
        children.stop()


@contextmanager
def database(postgres: Postgres, name: str) -> Iterator[Database]:
    connection = Connection(postgres.url())
    connection.simple(f"CREATE DATABASE {name}")
    connection.close()
    upgrade(postgres.url(name))
    made = Database(postgres.url(name), 4)
    try:
        yield made
    finally:
        made.close()


def run_sql(made: Database, sql: str) -> Any:
    """What no function of the registry does: the crowd, and time that goes by."""
    with made._pool.connection(may_block=False) as connection:  # noqa: SLF001  # as said
        if sql.lstrip().startswith("SELECT"):
            return connection.run([(sql, {})])[0].rows
        for statement in filter(str.strip, sql.split(";")):
            connection.simple(statement)
    return None


def fill(made: Database, repositories: int, tags: int, due: int) -> None:
    """Some repositories at a time, so that no statement takes long."""
    run_sql(made, _REPOSITORIES.format(repositories=repositories, tags=tags))
    together = max(1, 20_000 // tags)
    for first in range(1, repositories + 1, together):
        run_sql(made, _TAGS.format(tags=tags, first=first, last=first + together - 1))
    run_sql(made, _DUE.format(due=due))


def put_policy(made: Database, name: str = "tidy", repositories: str = "**") -> None:
    new = NewPolicy(name, 1, repositories, "enforce", _RULES, 86_400, 100, 1_000_000)
    policies.put(made, new, "somebody", 1000, None, is_seen=True)
    run_sql(made, "DELETE FROM retention_fills")


def collect(made: Database) -> tuple[float, int, int]:
    """Seconds, statements and rows read until nothing is left to do."""
    settings = SimpleNamespace(pulls_and_pushes_interval_seconds=10)
    services = cast(Services, SimpleNamespace(database=made, settings=settings))
    run_sql(made, _READ)
    (before,) = run_sql(made, _READ)
    with telemetry.recording() as record:
        seconds = timed(lambda: _until_done(services))
    # A session adds what it has counted when its next transaction ends, a second later at the earliest.
    time.sleep(1.1)
    run_sql(made, _READ)
    time.sleep(0.2)
    (after,) = run_sql(made, _READ)
    return seconds, len(record.statements), after[1] - before[1]


def _until_done(services: Services) -> None:
    while retention.collect(services, 500):
        pass


def of_due(postgres: Postgres, repositories: int, due: int) -> list[str]:
    with database(postgres, f"crowd{repositories}") as made:
        put_policy(made)
        fill(made, repositories, _TAGS_OF_ONE, due)
        idle = collect_nothing(made)
        judged = collect(made)
        run_sql(made, "UPDATE retention_runs SET made_at = now() - interval '2 hours'")
        removed = collect(made)
        ((gone,),) = run_sql(made, "SELECT removed FROM retention_runs")
        if gone != due:
            raise RuntimeError(f"{gone} tags were removed, not {due}")
        return [
            f"{repositories * _TAGS_OF_ONE:,} tags, {due:,} due",
            f"{judged[0]:.2f}",
            f"{removed[0]:.2f}",
            f"{judged[1] + removed[1]:,}",
            f"{judged[2] + removed[2]:,}",
            f"{idle[1]} in {idle[0] * 1000:.1f} ms",
        ]


def collect_nothing(made: Database) -> tuple[float, int]:
    """Returns seconds and statements of the second collection, with what is due put off."""
    later = "UPDATE retention_reviews SET due_at = due_at + interval '1 year' WHERE due_at < now()"
    run_sql(made, later)
    collect(made)
    seconds, statements, _ = collect(made)
    run_sql(made, later.replace("+", "-").replace("WHERE due_at < now()", "WHERE due_at > now() + interval '300 days'"))
    return seconds, statements


def of_plan(postgres: Postgres) -> list[str]:
    with database(postgres, "planned") as made:
        put_policy(made)
        fill(made, 20, _PLANNED // 20, 0)
        known = policies.get(made, "tidy")
        if known is None:
            raise RuntimeError("the policy is gone")
        plan = NewPlan(known.id, "tidy", "", known.revision, judging.written(known), None)
        run = plans.add(made, plan, "somebody")
        planning.make(made, 70, time.monotonic() + 0.2, run)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = timed(lambda: planning.make(made, 70, time.monotonic() + 600, run))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        found = runs.get(made, run)
        if found is None or found.state != "ready":
            raise RuntimeError("the plan is not ready")
        return [f"{_PLANNED:,}", f"{seconds:.1f}", f"{found.waiting:,}", f"{grown / 1024:.1f} MiB"]


def of_pushes(postgres: Postgres) -> list[list[str]]:
    """Pushes a new tag each time, through the metadata alone, in turns."""
    pushers: dict[str, Pusher] = {}
    with (
        database(postgres, "none") as without,
        database(postgres, "one") as one,
        database(postgres, "many") as many,
    ):
        put_policy(one)
        for number in range(200):
            put_policy(many, f"p{number}", f"bench/r{number}/**")
        put_policy(many)
        for name, made in (("no policy", without), ("one policy", one), ("201 policies", many)):
            run_sql(made, "INSERT INTO blobs (digest, size, object_name) SELECT '\\x01' || sha256(int4send(n)), 1000,"
                          " 'bench/' || n FROM generate_series(0, 8) AS n")  # fmt: skip
            pushers[name] = Pusher(made, RepositoryName("bench/app"))
            pushers[name].prepare()
            for _ in range(2 * _TURN):
                pushers[name].push()
            pushers[name].seconds.clear()
        for _ in range(_PUSHES // _TURN):
            for pusher in pushers.values():
                for _ in range(_TURN):
                    pusher.push()
    base = statistics.median(pushers["no policy"].seconds)
    return [
        [name, f"{statistics.median(pusher.seconds) * 1000:.2f}", f"{statistics.median(pusher.seconds) / base:.3f}"]
        for name, pusher in pushers.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--repositories", type=int, default=10_000, help="of a hundred tags each (default 10000)")
    arguments = parser.parse_args()
    report = Report("What retention costs", "benchmarks.retention")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        server(Path(folder)) as postgres,
    ):
        report.add(
            "## Pushes of new tags, through the metadata alone",
            table(["", "median, ms", "ratio"], of_pushes(postgres)),
            "## A plan",
            table(["tags", "seconds", "to remove", "memory grown by"], [of_plan(postgres)]),
            "## What is due, one tag in each of as many repositories",
            table(
                ["", "judged, s", "removed, s", "statements", "rows read", "nothing due: statements"],
                [
                    of_due(postgres, 100, 100),
                    of_due(postgres, arguments.repositories, min(1000, arguments.repositories)),
                ],
            ),
        )
    report.write("retention")


if __name__ == "__main__":
    main()
