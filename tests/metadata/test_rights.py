"""The rights that migrate gives are what the functions' statements take, and no more.

That is read from the source, and then tried on a real PostgreSQL by logging in as each function.

Cloud SQL's `cloudsqlsuperuser` is stood in for by the role that owns the database.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import pytest
from pg8000.native import to_statement

from functions.gc.run import run
from functions.migrate import grants
from functions.migrate.background.runner import Runner
from functions.migrate.grants import RIGHTS, Users
from functions.migrate.schema import upgrade
from functions.registry import metadata
from functions.registry.metadata.background import overview
from functions.registry.metadata.db import STATEMENTS, Database, NotMigrated
from functions.registry.metadata.driver import Connection, DriverError
from local.postgres import Postgres
from tests.background.building import finish, old_tags
from tests.conftest import administer
from tests.metadata.needs import Catalogue
from tests.metadata.reach import statements_of
from tests.metadata.test_plans import CROWD, live
from tests.support import Image, Registry

for _module in pkgutil.walk_packages(metadata.__path__, f"{metadata.__name__}."):
    importlib.import_module(_module.name)

PROGRAMS: Final = ("api", "gc", "work", "deliver")
_DATABASE: Final = "granted"
_END_SESSIONS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'granted'"
_MIGRATE: Final = "slipway-migrate@example-registry.iam"
_USERS: Final = Users(
    "slipway-api@example-registry.iam",
    "slipway-gc@example-registry.iam",
    "slipway-work@example-registry.iam",
    "slipway-deliver@example-registry.iam",
)
# What nobody but people at a command line run, as whoever they log in as.
_OF_PEOPLE: Final = {"drills_backup_of_name", "gc_set_grace"}


def _url(postgres: Postgres, user: str, database: str = _DATABASE) -> str:
    return postgres.url(database).replace("://postgres@", f"://{quote(user)}@")


@pytest.fixture(scope="module")
def granted(postgres: Postgres) -> Postgres:
    """A database as Cloud SQL makes one, migrated by who migrates, and users that were given nothing else."""
    administer(postgres, "CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB")
    for user in (_MIGRATE, *_USERS):
        administer(postgres, f'CREATE ROLE "{user}" LOGIN')
    administer(postgres, f'GRANT cloudsqlsuperuser TO "{_MIGRATE}"')
    administer(postgres, f"CREATE DATABASE {_DATABASE} OWNER cloudsqlsuperuser")
    upgrade(_url(postgres, _MIGRATE), users=_USERS)
    return postgres


@pytest.fixture
def database_url(granted: Postgres) -> Iterator[str]:
    """Instead of the one that a superuser has."""
    yield _url(granted, _USERS.api)
    administer(granted, _END_SESSIONS)


def _execute(url: str, sql: str) -> Any:
    with closing(Connection(url)) as connection:
        return connection.run([(sql, {})])[0].rows


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_list_has_what_the_statements_take_and_no_more(granted: Postgres, program: str) -> None:
    """A new table, statement or trigger that takes a right which isn't listed fails here, and says which."""
    catalogue = Catalogue.read(granted.url(_DATABASE))
    needed = catalogue.needs(STATEMENTS[name].sql for name in statements_of(program))
    expected = {
        table: "".join(letter for letter in grants.PRIVILEGES if letter in needed.get(table, ()))
        for table in sorted(catalogue.tables)
    }
    assert {table: getattr(rights, program) for table, rights in RIGHTS.items()} == expected


def test_every_table_has_a_line(granted: Postgres) -> None:
    assert sorted(RIGHTS) == sorted(Catalogue.read(granted.url(_DATABASE)).tables)


def test_every_statement_belongs_to_a_function() -> None:
    used = set[str]().union(*(statements_of(program) for program in (*PROGRAMS, "migrate")))
    assert STATEMENTS.keys() - used == _OF_PEOPLE


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_function_may_run_its_statements(granted: Postgres, program: str) -> None:
    """PostgreSQL asks for the rights when it plans; what triggers take is tried below."""
    refused = {}
    with closing(Connection(_url(granted, getattr(_USERS, program)))) as connection:
        for name in sorted(statements_of(program)):
            numbered, _ = to_statement(STATEMENTS[name].sql)
            try:
                connection.simple(f"EXPLAIN (GENERIC_PLAN) {numbered}")
            except DriverError as error:
                refused[name] = error.args[0]["M"]
    assert refused == {}


def test_all_that_may_happen_to_a_repository_may_be_done_by_the_api(granted: Postgres) -> None:
    """There are rows in every table, so that every trigger does its work."""
    administer(granted, "CREATE DATABASE granted_crowd OWNER cloudsqlsuperuser")
    upgrade(_url(granted, _MIGRATE, "granted_crowd"), users=_USERS)
    with closing(Connection(granted.url("granted_crowd"))) as connection:
        connection.simple(CROWD.read_text())
    database, of_gc = (Database(_url(granted, user, "granted_crowd"), size=1) for user in (_USERS.api, _USERS.gc))
    try:
        live(database, of_gc)
    finally:
        database.close()
        of_gc.close()
        administer(granted, "DROP DATABASE granted_crowd WITH (FORCE)")


def test_the_registry_and_garbage_collection_work_with_the_rights_that_are_given(
    registry: Registry, granted: Postgres
) -> None:
    kept, gone = registry.push_image("a/b", "v1"), registry.push_image("a/b")
    registry.push_image("a/b", "v2", image=Image())
    assert registry.request("DELETE", "/v2/a/b/manifests/v2").status_code == 202
    owner = granted.url(_DATABASE)
    _execute(owner, "UPDATE gc_settings SET grace = interval '0'")
    for table in ("manifest_reviews", "link_reviews", "blob_reviews"):
        _execute(owner, f"UPDATE {table} SET review_after = now()")  # noqa: S608  # three names of ours
    with closing(Database(_url(granted, _USERS.gc), size=2)) as of_gc:
        handled = run(replace(registry.services, database=of_gc))
    assert handled["manifests"]
    assert registry.get("/v2/a/b/manifests/v1").data == kept.manifest
    assert registry.get(f"/v2/a/b/manifests/{gone.digest}").status_code == 404


def test_a_background_migration_is_worked_at_and_asked_about_with_the_rights_that_are_given(granted: Postgres) -> None:
    administer(granted, "CREATE DATABASE granted_old OWNER cloudsqlsuperuser")
    upgrade(_url(granted, _MIGRATE, "granted_old"), ("pre",), _USERS)
    of_api, of_work = (Database(_url(granted, user, "granted_old"), size=1) for user in (_USERS.api, _USERS.work))
    try:
        old_tags(granted.url("granted_old"))
        assert overview.act(of_api, "tag_subjects", "finish")
        finish(Runner(of_work))
        assert [(each.state, each.failures) for each in overview.list_all(of_api)] == [("finished", 0)]
        assert upgrade(_url(granted, _MIGRATE, "granted_old"), users=_USERS)
    finally:
        of_api.close()
        of_work.close()
        administer(granted, "DROP DATABASE granted_old WITH (FORCE)")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("sql", ["DROP TABLE tags", "CREATE TABLE mine (id int)", "ALTER TABLE tags ADD COLUMN x int"])
def test_neither_may_change_a_table(granted: Postgres, program: str, sql: str) -> None:
    assert _refusal(_url(granted, getattr(_USERS, program)), sql) == "42501"


@pytest.mark.parametrize(
    ("program", "sql"),
    [
        ("api", "UPDATE audit SET principal = 'me'"),
        ("api", "DELETE FROM audit"),
        ("gc", "INSERT INTO audit DEFAULT VALUES"),
        ("gc", "SELECT FROM secrets"),
        ("gc", "INSERT INTO grants DEFAULT VALUES"),
        ("gc", "UPDATE principals SET is_admin = true"),
        ("deliver", "SELECT FROM secrets"),
        ("deliver", "SELECT FROM repositories"),
        ("deliver", "INSERT INTO events DEFAULT VALUES"),
    ],
)
def test_a_function_that_was_taken_over_rewrites_neither_the_trail_nor_the_access(
    granted: Postgres, program: str, sql: str
) -> None:
    assert _refusal(_url(granted, getattr(_USERS, program)), sql) == "42501"


def _refusal(url: str, sql: str) -> str:
    with pytest.raises(DriverError) as refused:
        _execute(url, sql)
    return str(refused.value.args[0]["C"])


def test_beside_others_in_an_instance_their_tables_are_not_ours(granted: Postgres) -> None:
    administer(granted, "CREATE ROLE gitlab LOGIN")
    administer(granted, "CREATE DATABASE gitlabhq OWNER gitlab")
    try:
        theirs = _url(granted, "gitlab", "gitlabhq")
        with closing(Connection(theirs)) as connection:
            connection.simple("CREATE TABLE projects (id int)")
        for user in _USERS:
            assert _refusal(_url(granted, user, "gitlabhq"), "SELECT FROM projects") == "42501"
        assert _refusal(_url(granted, "gitlab"), "SELECT FROM tags") == "42501"
    finally:
        administer(granted, "DROP DATABASE gitlabhq WITH (FORCE)")
        administer(granted, "DROP ROLE gitlab")


def test_rights_that_are_listed_no_more_are_taken_away_only_once_no_older_code_is_left(
    granted: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, migrate = _url(granted, _USERS.gc), _url(granted, _MIGRATE)
    monkeypatch.setitem(RIGHTS, "audit", grants.Rights("ra", "", "ra"))
    assert upgrade(migrate, ("pre",), _USERS) == []
    assert _execute(url, "SELECT FROM audit") == []
    assert upgrade(migrate, ("post",), _USERS) == ["gc: no DELETE on audit", "gc: no SELECT on audit"]
    assert _refusal(url, "SELECT FROM audit") == "42501"
    monkeypatch.undo()
    assert upgrade(migrate, users=_USERS) == []
    assert _execute(url, "SELECT FROM audit") == []


def test_before_migrate_has_given_them_a_function_says_so(granted: Postgres) -> None:
    administer(granted, "CREATE DATABASE granted_late OWNER cloudsqlsuperuser")
    database = Database(_url(granted, _USERS.gc, "granted_late"), size=1)
    try:
        upgrade(_url(granted, _MIGRATE, "granted_late"))
        with pytest.raises(NotMigrated):
            database.all(STATEMENTS["schema_applied"]())
    finally:
        database.close()
        administer(granted, "DROP DATABASE granted_late WITH (FORCE)")
