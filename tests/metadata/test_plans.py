"""Cost follows the work: no statement reads a table or an index from end to end, nor does what its triggers run."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from pg8000.native import to_statement

from functions.migrate.schema import upgrade
from functions.registry import metadata
from functions.registry.metadata.access import principals, rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import blobs, manifests, moves, removal, tags, uploads
from functions.registry.metadata.db import STATEMENTS, ChangeRefused, Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.metadata.gc import deletions
from functions.registry.metadata.usage import pulls_and_pushes, quotas, trends, untagged
from functions.registry.metadata.usage.pulls_and_pushes import Counts
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from local.postgres import Postgres
from tests.conftest import administer
from tests.metadata.build import (
    APP,
    OTHER,
    commit_part,
    push_blob,
    push_image,
    push_index,
    query,
    start_upload,
    value,
    write_part,
)
from tests.support import index_of

for _module in pkgutil.walk_packages(metadata.__path__, f"{metadata.__name__}."):
    importlib.import_module(_module.name)

CROWD: Final = Path(__file__).with_name("crowd.sql")
# A handful of rows that never grow more: one for each event, each registry that is moved in, each release's migration.
SMALL: Final = {
    "background_migrations",
    "background_migrations_pkey",
    "gc_settings",
    "import_sources",
    "import_sources_address",
    "import_sources_open",
    "import_modes",
    "import_modes_pkey",
    "event_fan_out",
}
# Indexes of what is hardly ever there, or of a few.
RARE: Final = {
    "backup_runs_pkey",
    "backup_runs_unended",
    "blobs_damaged",
    "checks_running",
    "events_new",
    "principals_administrators",
    "subscriptions_on",
}
# What an operator asks now and then reads whole queues, or the last of them in order: never on a request.
REPORTS: Final = {
    "gc_queues",
    "gc_failures",
    "gc_pending_deletion_bytes",
    "gc_totals",
    "rules_list",
    "subscriptions_list",
    "recount_registry",
    # Sums of an import, and what changes many of its repositories at once.
    "imports_overview",
    "imports_retry",
    "exports_take_new",
}
LEADING: Final = """
    SELECT relname, pg_get_indexdef(indexrelid, 1, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
"""
INDEX_SCANS: Final = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
# Every statement's plan, and those of the statements that it sets off, come back as notices.
EXPLAIN_ALL: Final = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_format = json;
    SET auto_explain.log_level = notice;
    SET enable_seqscan = off;
"""


@pytest.fixture(scope="module")
def crowded(postgres: Postgres) -> Iterator[str]:
    """The address of a database with thousands of repositories."""
    administer(postgres, "CREATE DATABASE crowded")
    url = postgres.url("crowded")
    upgrade(url)
    with closing(Connection(url)) as connection, connection.patient():
        connection.simple(CROWD.read_text())
    yield url
    administer(postgres, "DROP DATABASE crowded WITH (FORCE)")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def read_whole(plan: dict[str, Any]) -> list[str]:
    """The tables and indexes that the plan reads from end to end."""
    tables = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    indexes = [
        node["Index Name"] for node in nodes(plan) if node["Node Type"] in INDEX_SCANS and "Index Cond" not in node
    ]
    return [name for name in tables + indexes if name not in SMALL | RARE]


def scattered(plan: dict[str, Any], leading: dict[str, str]) -> list[str]:
    """The indexes that the plan reads without a condition on their first column: all entries are looked at."""
    conditions = {node["Index Name"]: node["Index Cond"] for node in nodes(plan) if "Index Cond" in node}
    return [
        name
        for name, condition in conditions.items()
        if name not in RARE and not re.search(rf"\b{leading[name]}\b", condition)
    ]


@pytest.fixture(scope="module")
def leading(crowded: str) -> dict[str, str]:
    """The first column of each index, or the last word of the expression that stands there."""
    with closing(Connection(crowded)) as connection:
        rows = connection.run([(LEADING, {})])[0].rows
    return {name: re.findall(r"\w+", column)[-1] for name, column in rows}


@pytest.fixture(scope="module")
def planner(crowded: str) -> Iterator[Connection]:
    """A session in which all are planned: one for each would read the catalog anew."""
    with closing(Connection(crowded)) as connection:
        connection.simple("SET enable_seqscan = off")
        yield connection


def explain(planner: Connection, sql: str) -> dict[str, Any]:
    """Returns the plan for whatever parameters come, with sequential scans only where there is no other way."""
    ((document,),) = planner._driver.execute_simple(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}").rows
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def test_the_statements_of_all_packages_are_looked_at() -> None:
    """A package that is not walked would leave its statements without a plan, and nobody would notice."""
    written = sum(path.read_text().count("Statement(\n") for path in Path(metadata.__path__[0]).rglob("*.py"))
    assert len(STATEMENTS) >= written > 140


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - REPORTS))
def test_a_statement_finds_its_rows_by_an_index(planner: Connection, leading: dict[str, str], name: str) -> None:
    numbered, _ = to_statement(STATEMENTS[name].sql)
    plan = explain(planner, numbered)
    assert read_whole(plan) == [], json.dumps(plan, indent=1)
    assert scattered(plan, leading) == [], json.dumps(plan, indent=1)


def test_rows_to_claim_are_chosen_once() -> None:
    """A sub-query in FROM may be run anew for each row of the outer table, and then claims more than its limit."""
    chosen = re.compile(r"SKIP LOCKED\s*\)\s*AS\b")
    assert [name for name, it in STATEMENTS.items() if chosen.search(it.sql) and "MATERIALIZED" not in it.sql] == []


def test_a_statement_without_an_index_is_noticed(planner: Connection) -> None:
    assert read_whole(explain(planner, "SELECT FROM tags WHERE created_at < now()")) == ["tags"]
    assert read_whole(explain(planner, "SELECT name FROM repositories ORDER BY name")) == ["repositories_name_key"]


@pytest.mark.parametrize("name", ["uploads_get", "uploads_name_object", "uploads_advance"])
def test_a_chunk_costs_the_same_however_many_came_before(planner: Connection, name: str) -> None:
    """None of its statements reads the parts that are there; the one that ends the upload does."""

    def reads(statement: str) -> list[dict[str, Any]]:
        plan = explain(planner, to_statement(STATEMENTS[statement].sql)[0])
        return [node for node in nodes(plan) if node.get("Index Name") == "upload_objects_upload"]

    assert not reads(name)
    assert reads("uploads_get_with_parts")


def test_triggers_and_foreign_keys_find_their_rows_by_an_index(crowded: str) -> None:
    notices: list[dict[bytes, bytes]] = []
    database = Database(crowded, size=1)
    with database._pool.connection(may_block=False) as connection:
        connection.simple(EXPLAIN_ALL)
        connection._driver.notices = notices
    live(database, database)
    database.close()
    plans = [json.loads(notice[b"M"].partition(b"plan:")[2]) for notice in notices if b"plan:" in notice[b"M"]]
    assert len(plans) > 200, "plans of nested statements are missing"
    assert {(plan["Query Text"], name) for plan in plans for name in read_whole(plan["Plan"])} == set()


def live(database: Database, of_gc: Database) -> None:
    """All that may happen to a repository or a principal in the crowd, so that every trigger fires with rows.

    What garbage collection does is done through `of_gc`.
    """
    crowded_one = RepositoryName("n7/r7")
    for pattern in ("**", "n7/**"):
        subscriptions.add(database, NewSubscription(name="all", repositories=pattern, target="poll", created_by="user"))
    first, second = push_image(database, APP, "a", "b"), push_image(database, APP)
    index = push_index(database, APP, "index", of=[first, second])
    push_image(database, APP, "a")
    counted = [Counts(APP, Tag("b"), first.digest, 1, 1, 0), Counts(APP, None, second.digest, 1, 0, 0)]
    assert pulls_and_pushes.add(database, counted) == len(counted)
    repository = value(database, "SELECT id FROM repositories WHERE name = :name", name=APP)
    assert untagged.scan(of_gc, repository) is not None
    assert trends.add_up(of_gc, 10) == 10
    shared = Digest.of(first.layers[0])
    assert blobs.mount(database, OTHER, shared, APP)
    assert blobs.delete(database, OTHER, shared)
    for digest in (index, first.digest, second.digest, Digest.of(index_of())):
        manifests.delete(database, APP, digest)
    assert tags.delete(database, crowded_one, Tag("v1"))
    loose = push_blob(database, crowded_one, b"loose")
    assert blobs.delete(database, crowded_one, loose)
    query(of_gc, "DELETE FROM blobs WHERE digest = :digest", digest=loose.to_bytes())
    assert uploads.cancel(database, APP, write_part(database, start_upload(database)).id)
    uploads.expire(of_gc, 10)
    deletions.claim(of_gc, 10)
    rules.add(database, NewRule("locked", 0, "protected", "team/*", "locked"))
    with pytest.raises(ChangeRefused):
        push_image(database, APP, "locked")
    quotas.put(database, Quota("n7", 0, 10**6))
    with pytest.raises(ChangeRefused):
        start_upload(database, crowded_one)
    damaged = value(database, "SELECT object_name FROM blobs WHERE digest = :digest", digest=shared.to_bytes())
    assert blobs.mark(database, shared, damaged)
    healing = write_part(database, start_upload(database))
    assert commit_part(database, APP, healing, shared)
    quotas.put(database, Quota("n7", 10**15, 10**6))
    moved = RepositoryName("n7/app")
    push_image(database, APP, "a", "b")
    assert moves.move(database, APP, moved, with_below=True, dry_run=False).repositories == 1
    assert removal.delete_tags(database, moved, [Tag("a")]) is not None
    start_upload(database, moved)
    assert removal.remove(database, moved) is not None
    robot = principals.get(database, "robot-7")
    assert robot is not None
    assert principals.delete(database, robot.id)
