"""A database comes to what this release knows, once, in two lines, and is left alone by an older release."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from functions.migrate import schema
from functions.migrate.schema import _LOCK, SchemaNewer, inspect, upgrade
from functions.migrate.sql import VERSIONS
from functions.registry.metadata.connections.opening import SESSION
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from local.schema import dump
from tests.conftest import ROOT
from tests.metadata.build import APP, push_image, wait_until_blocked

PATIENCE = 60
PRE = [f"pre_{number:04}" for number in range(1, 19)]
POST = [f"post_{number:04}" for number in range(1, 5)]
# What comes with the index `tags_newest`, and after it.
FROM_THE_INDEX_ON = [*PRE[PRE.index("pre_0016") :], *POST]
DOCUMENTED = ROOT / "functions" / "migrate" / "versions" / "schema.sql"


def run(url: str, sql: str) -> list[list[Any]]:
    with closing(Connection(url)) as connection:
        return connection.run([(sql, {})])[0].rows


def tables(url: str) -> set[str]:
    return {row[0] for row in run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def tuned(url: str) -> bool:
    """Says whether the second line was applied: it says how early to vacuum."""
    return run(url, "SELECT reloptions IS NOT NULL FROM pg_class WHERE relname = 'link_reviews'") == [[True]]


def is_whole(url: str) -> bool:
    """Says whether the index was made to its end, so that statements use it."""
    return run(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'tags_newest'::regclass") == [[True]]


def release_a_later_one(url: str) -> None:
    """The database of a release that knows more than this one."""
    upgrade(url)
    run(url, "UPDATE alembic_version SET version_num = 'pre_9999' WHERE version_num LIKE 'pre%'")
    run(
        url,
        "INSERT INTO alembic_version SELECT 'pre_9999' WHERE NOT EXISTS"
        " (SELECT FROM alembic_version WHERE version_num = 'pre_9999')",
    )


def test_an_empty_database_comes_to_what_the_release_knows_and_serves(empty_database_url: str) -> None:
    before = inspect(empty_database_url)
    assert (before.current, before.pending) == ([], {"pre": PRE, "post": POST})
    assert upgrade(empty_database_url) == [*PRE, *POST]
    after = inspect(empty_database_url)
    assert after.pending == {"pre": [], "post": []}
    assert set(after.current) & {*PRE, *POST}
    assert tuned(empty_database_url)
    assert upgrade(empty_database_url) == []
    with closing(Database(empty_database_url, size=1)) as database:
        push_image(database, APP, "one")


def test_looking_changes_nothing(empty_database_url: str) -> None:
    inspect(empty_database_url)
    assert tables(empty_database_url) == set()


def test_migrating_at_once_from_several_sides_applies_each_migration_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: upgrade(empty_database_url), range(4)))
    assert sorted(applied) == [[], [], [], [*PRE, *POST]]
    assert run(empty_database_url, "SELECT count(*) FROM gc_settings WHERE event = 'push'") == [[1]]


def test_a_caller_waits_for_another_longer_than_a_statement_may_take(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Connection(empty_database_url)) as other:
        other.run([("SELECT pg_advisory_lock(:lock)", {"lock": _LOCK})])
        for limit in ("statement_timeout", "lock_timeout"):
            monkeypatch.setitem(SESSION, limit, "50ms")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(upgrade, empty_database_url)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
            assert tables(empty_database_url) == set()
            other.simple("SELECT pg_advisory_unlock_all()")
            assert waiting.result(PATIENCE) == [*PRE, *POST]


def test_an_index_is_made_while_others_push_and_another_caller_waits(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_database_url, to=["pre_0015"])
    monkeypatch.setitem(SESSION, "lock_timeout", "50ms")
    with (
        closing(Connection(empty_database_url)) as old,
        closing(Database(empty_database_url, 2)) as database,
        ThreadPoolExecutor() as pool,
    ):
        old.simple("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tags")
        callers = [pool.submit(upgrade, empty_database_url) for _ in range(2)]
        # It waits for the transaction above for as long as that is open, and nobody waits for it.
        wait_until_blocked(database)
        push_image(database, APP, "one")
        push_image(database, APP, "two")
        assert not any(caller.done() for caller in callers)
        old.simple("COMMIT")
        applied = [caller.result(PATIENCE) for caller in callers]
    assert sorted(applied) == [[], FROM_THE_INDEX_ON]
    assert is_whole(empty_database_url)


def test_an_index_that_was_left_half_made_is_made_anew(empty_database_url: str) -> None:
    upgrade(empty_database_url, to=["pre_0015"])
    run(empty_database_url, "CREATE INDEX tags_newest ON tags (repository_id)")
    run(empty_database_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tags_newest'::regclass")
    assert not is_whole(empty_database_url)
    assert upgrade(empty_database_url) == FROM_THE_INDEX_ON
    assert is_whole(empty_database_url)
    assert dump(empty_database_url) == DOCUMENTED.read_text()


def test_the_first_line_goes_alone_and_the_second_after_it(empty_database_url: str) -> None:
    assert upgrade(empty_database_url, ("pre",)) == PRE
    assert inspect(empty_database_url).pending == {"pre": [], "post": POST}
    assert not tuned(empty_database_url)
    assert upgrade(empty_database_url, ("pre",)) == []
    assert upgrade(empty_database_url, ("post",)) == POST
    assert inspect(empty_database_url).pending == {"pre": [], "post": []}
    assert tuned(empty_database_url)


def test_the_second_line_brings_what_it_depends_on(empty_database_url: str) -> None:
    applied = upgrade(empty_database_url, ("post",))
    needed = PRE.index("pre_0016") + 1
    assert applied == [*PRE[:needed], *POST]
    assert "tags" in tables(empty_database_url)
    assert inspect(empty_database_url).pending == {"pre": PRE[needed:], "post": []}


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it makes a later release of this one: each line has one more revision, and *post*'s stands on *pre*'s."""
    versions = tmp_path / "versions"
    shutil.copytree(VERSIONS, versions, ignore=shutil.ignore_patterns("__pycache__"))
    for line, newest, more in (("pre", PRE[-1], ""), ("post", POST[-1], 'needs = "pre_9998"')):
        (versions / line / "9998_later.py").write_text(
            f'revision = "{line}_9998"\ndown_revision = "{newest}"\n{more}\ndef upgrade() -> None:\n    pass\n'
        )
    return lambda: monkeypatch.setattr(schema, "VERSIONS", versions)


def test_a_database_knows_the_last_of_each_line_even_if_one_stands_on_the_other(
    empty_database_url: str, later: Callable[[], None]
) -> None:
    upgrade(empty_database_url)
    later()
    assert upgrade(empty_database_url, ("post",)) == ["pre_9998", "post_9998"]
    assert run(empty_database_url, "SELECT version_num FROM alembic_version ORDER BY 1") == [
        ["post_9998"],
        ["pre_9998"],
    ]
    assert inspect(empty_database_url).pending == {"pre": [], "post": []}


def test_a_later_release_brings_an_empty_database_to_all_it_knows(
    empty_database_url: str, later: Callable[[], None]
) -> None:
    later()
    assert upgrade(empty_database_url) == [*PRE, "pre_9998", *POST, "post_9998"]


def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str) -> None:
    run(empty_database_url, "CREATE TABLE platforms ()")  # in the way of the last file
    with pytest.raises(Exception, match="platforms"):
        upgrade(empty_database_url)
    assert tables(empty_database_url) <= {"platforms", "alembic_version"}
    run(empty_database_url, "DROP TABLE platforms")
    assert upgrade(empty_database_url) == [*PRE, *POST]


def test_a_schema_newer_than_the_release_is_refused_and_left_alone(empty_database_url: str) -> None:
    release_a_later_one(empty_database_url)
    for attempt in (inspect, upgrade):
        with pytest.raises(SchemaNewer, match="pre_9999"):
            attempt(empty_database_url)
    assert ["pre_9999"] in run(empty_database_url, "SELECT version_num FROM alembic_version")


def test_the_documented_schema_is_what_the_migrations_make(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    assert dump(empty_database_url) == DOCUMENTED.read_text(), "run: make schema"
    assert dump(empty_database_url) == dump(empty_database_url)


@pytest.fixture
def migrate(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The function as the framework serves it, before an empty database."""
    monkeypatch.setenv("SLIPWAY_DATABASE", empty_database_url)
    monkeypatch.setenv("SLIPWAY_BUCKET", "unused")
    return Client(functions_framework.create_app("migrate", str(ROOT / "functions" / "migrate" / "main.py"), "http"))


def answer(response: TestResponse) -> tuple[int, Any]:
    return response.status_code, response.get_json()


def test_the_function_tells_where_the_schema_stands_and_moves_it_line_by_line(migrate: Client) -> None:
    assert answer(migrate.get("/")) == (200, {"current": [], "pending": {"pre": PRE, "post": POST}})
    assert answer(migrate.post("/", json={"lines": ["pre"]})) == (200, {"applied": PRE})
    assert answer(migrate.get("/")) == (200, {"current": PRE[-1:], "pending": {"pre": [], "post": POST}})
    assert answer(migrate.post("/", json={"lines": ["post", "pre"]})) == (200, {"applied": POST})
    assert answer(migrate.post("/", json={"lines": []})) == (200, {"applied": []})
    assert migrate.get("/").get_json()["pending"] == {"pre": [], "post": []}


def test_the_function_moves_both_lines_where_none_is_named(migrate: Client) -> None:
    assert answer(migrate.post("/")) == (200, {"applied": [*PRE, *POST]})
    assert answer(migrate.post("/", json={})) == (200, {"applied": []})


@pytest.mark.parametrize(
    "body",
    [
        b'{"lines": ["pre", "sideways"]}',
        b'{"lines": "pre"}',
        b'{"lines": null}',
        b'{"lines": [["pre"]]}',
        b'{"lines": [1]}',
        b'["pre"]',
        b'{"lines": ["pre"',
        b"pre",
    ],
)
def test_the_function_refuses_lines_it_does_not_know_and_moves_nothing(migrate: Client, body: bytes) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        assert migrate.post("/", data=body, content_type=content_type).status_code == 400
    assert migrate.get("/").get_json()["current"] == []


def test_the_function_heeds_the_lines_whatever_the_content_type(migrate: Client) -> None:
    response = migrate.post("/", data=b'{"lines": ["pre"]}', content_type="application/x-www-form-urlencoded")
    assert answer(response) == (200, {"applied": PRE})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_the_function_refuses_other_methods_and_moves_nothing(migrate: Client, method: str) -> None:
    assert migrate.open("/", method=method, json={"lines": ["pre"]}).status_code == 400
    assert migrate.get("/").get_json()["current"] == []


def test_the_function_refuses_a_schema_newer_than_the_release(migrate: Client, empty_database_url: str) -> None:
    release_a_later_one(empty_database_url)
    for response in (migrate.get("/"), migrate.post("/", json={"lines": ["pre"]})):
        status, body = answer(response)
        assert status == 409
        assert "pre_9999" in body["error"]
