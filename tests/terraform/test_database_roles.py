"""The roles that terraform/database.tf grants are enough, and no more: on a real PostgreSQL, with the registry at work.

Cloud SQL's `cloudsqlsuperuser` is stood in for by the role that owns the database; the two others are PostgreSQL's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from functions.gc.run import run
from functions.migrate.schema import upgrade
from functions.registry.metadata.driver import Connection, DriverError
from local.postgres import Postgres
from tests.conftest import administer
from tests.support import Image, Registry

_DATABASE: Final = "granted"
_END_SESSIONS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'granted'"
_MIGRATE: Final = "slipway-migrate@example-registry.iam"
_API: Final = "slipway-api@example-registry.iam"
_TERRAFORM: Final = (Path(__file__).resolve().parents[2] / "terraform" / "database.tf").read_text()


def _roles(program: str) -> list[str]:
    (line,) = re.findall(rf"^    {program} += \[(.+)\]$", _TERRAFORM, re.MULTILINE)
    return re.findall(r'"(\w+)"', line)


def _url(postgres: Postgres, user: str) -> str:
    return postgres.url(_DATABASE).replace("://postgres@", f"://{quote(user)}@")


@pytest.fixture(scope="module")
def _granted(postgres: Postgres) -> Postgres:
    """A database as Cloud SQL makes one, migrated by who migrates."""
    administer(postgres, "CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB")
    for user, program in ((_MIGRATE, "migrate"), (_API, "api")):
        administer(postgres, f'CREATE ROLE "{user}" LOGIN; GRANT {", ".join(_roles(program))} TO "{user}"')
    administer(postgres, f"CREATE DATABASE {_DATABASE} OWNER cloudsqlsuperuser")
    upgrade(_url(postgres, _MIGRATE))
    return postgres


@pytest.fixture
def database_url(_granted: Postgres) -> Iterator[str]:
    """Instead of the one that a superuser has."""
    yield _url(_granted, _API)
    administer(_granted, _END_SESSIONS)


def _execute(url: str, sql: str) -> Any:
    connection = Connection(url)
    try:
        return connection.run([(sql, {})])[0].rows
    finally:
        connection.close()


def test_the_registry_and_its_collection_work_with_the_roles_that_are_granted(
    registry: Registry, database_url: str
) -> None:
    kept, gone = registry.push_image("a/b", "v1"), registry.push_image("a/b")
    registry.push_image("a/b", "v2", image=Image())
    assert registry.request("DELETE", "/v2/a/b/manifests/v2").status_code == 202
    _execute(database_url, "UPDATE gc_settings SET grace = interval '0'")
    for table in ("manifest_reviews", "link_reviews", "blob_reviews"):
        _execute(database_url, f"UPDATE {table} SET review_after = now()")  # noqa: S608  # three names of ours
    handled = run(registry.services)
    assert handled["manifests"]
    assert registry.get("/v2/a/b/manifests/v1").data == kept.manifest
    assert registry.get(f"/v2/a/b/manifests/{gone.digest}").status_code == 404


@pytest.mark.parametrize("sql", ["DROP TABLE tags", "CREATE TABLE mine (id int)", "ALTER TABLE tags ADD COLUMN x int"])
def test_neither_may_change_a_table(database_url: str, sql: str) -> None:
    with pytest.raises(DriverError) as refused:
        _execute(database_url, sql)
    assert refused.value.args[0]["C"] == "42501"


def test_api_and_collection_have_the_same_roles() -> None:
    assert _roles("api") == _roles("gc") == ["pg_read_all_data", "pg_write_all_data"]
