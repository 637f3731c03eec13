"""What stands on a migration in the background waits for it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import functions_framework
import pytest
from werkzeug.test import Client

from functions.migrate.background.runner import Runner
from functions.migrate.schema import inspect, upgrade
from functions.migrate.sql import NotFinished
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.schema_version import LATEST_POST, SchemaCheck
from functions.registry.oci.name import RepositoryName
from local.postgres import Postgres
from tests.background.building import failing, finish, migration, old_tags, pending
from tests.conftest import ROOT, administer
from tests.metadata.build import push_image, query
from tests.metadata.test_migrations import POST


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """One of the test's own: it goes through the *post* line."""
    administer(postgres, "CREATE DATABASE gated")
    upgrade(postgres.url("gated"), ("pre",))
    yield postgres.url("gated")
    administer(postgres, "DROP DATABASE gated WITH (FORCE)")


@pytest.fixture
def migrate(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("SLIPWAY_DATABASE", database_url)
    monkeypatch.setenv("SLIPWAY_BUCKET", "unused")
    return Client(functions_framework.create_app("migrate", str(ROOT / "functions" / "migrate" / "main.py"), "http"))


def test_what_stands_on_it_is_refused_with_what_is_left(database: Database, database_url: str, migrate: Client) -> None:
    total = old_tags(database_url)
    refused = migrate.post("/", json={"lines": ["post"]})
    answer = refused.get_json()
    assert refused.status_code == 409
    assert answer["applied"] == ["post_0001"]
    assert answer["waits_for"] == {
        "migration": "tag_subjects",
        "state": "active",
        "rows_left": total,
        "failures": 0,
    }
    assert f"about {total} rows are left" in answer["error"]
    assert inspect(database_url).pending == {"pre": [], "post": POST[1:]}
    SchemaCheck(database).require()
    push_image(database, RepositoryName("old/r1"), "v1", "new")
    again = migrate.post("/")
    assert (again.status_code, again.get_json()["applied"]) == (409, [])
    finish(Runner(database, hurries=True))
    done = migrate.post("/", json={"lines": ["post"]})
    assert (done.status_code, done.get_json()) == (200, {"applied": POST[1:]})
    assert pending(database) == 0
    SchemaCheck(database).require()
    push_image(database, RepositoryName("old/r1"), "v1", "newer")


def test_one_with_failures_is_not_finished(database: Database, database_url: str) -> None:
    old_tags(database_url)
    finish(Runner(database, hurries=True, jobs=failing(lambda names: "v77" in names, lambda: ValueError("bad"))))
    with pytest.raises(NotFinished, match="tag_subjects is failed: about 0 rows are left, and 10 could not be done"):
        upgrade(database_url)
    assert inspect(database_url).pending["post"][0] == "post_0002"


def test_a_fresh_database_waits_for_nothing(postgres: Postgres) -> None:
    administer(postgres, "CREATE DATABASE fresh")
    try:
        assert upgrade(postgres.url("fresh"))[-1] == LATEST_POST
        with closing(Database(postgres.url("fresh"), size=1)) as database:
            assert migration(database, "state, total") == ("finished", 0)
    finally:
        administer(postgres, "DROP DATABASE fresh WITH (FORCE)")


def test_each_step_is_a_transaction(database: Database, database_url: str) -> None:
    """The first takes the whole table for a moment, the second reads all of it: they must not be one."""
    push_image(database, RepositoryName("old/r1"), "v1", "v2")
    with closing(Connection(database_url)) as connection:
        connection.simple("UPDATE tags SET subject = '' WHERE name = 'v1'")
        with pytest.raises(Exception, match="tags_subject"):
            upgrade(database_url)
        assert inspect(database_url).pending["post"] == POST[2:]
        connection.simple("UPDATE tags SET subject = NULL")
    assert upgrade(database_url) == POST[2:]
    assert query(database, "SELECT convalidated FROM pg_constraint WHERE conname = 'tags_subject'") == [[True]]
