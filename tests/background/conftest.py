"""A database as it is before *post*: rows from before a column was there are let in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from functions.migrate.schema import upgrade
from functions.registry.metadata.driver import Connection
from local.postgres import Postgres
from tests.conftest import _TEMPLATE, SharedDatabase, administer

_DATABASE: Final = "before_post"


@pytest.fixture(scope="session")
def _expanded(postgres: Postgres) -> Iterator[SharedDatabase]:
    administer(postgres, f"CREATE DATABASE {_DATABASE}")
    upgrade(postgres.url(_DATABASE), ("pre",))
    with closing(SharedDatabase(postgres.url(_DATABASE))) as database:
        database.empty()
        yield database


@pytest.fixture
def database_url(_expanded: SharedDatabase) -> Iterator[str]:
    """Instead of one that is migrated to the end."""
    yield _expanded.url
    _expanded.empty()


@pytest.fixture
def registered(postgres: Postgres) -> list[str]:
    """The names of the background migrations that the schema registers."""
    with closing(Connection(postgres.url(_TEMPLATE))) as connection:
        return [name for (name,) in connection.run([("SELECT name FROM background_migrations", {})])[0].rows]
