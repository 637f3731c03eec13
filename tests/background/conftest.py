"""What a database is registered with, when it was migrated and nothing more."""

from __future__ import annotations

from contextlib import closing

import pytest

from functions.registry.metadata.driver import Connection
from local.postgres import Postgres
from tests.conftest import _TEMPLATE


@pytest.fixture
def postgres_migrations(postgres: Postgres) -> list[str]:
    """The names of the background migrations that the schema registers."""
    with closing(Connection(postgres.url(_TEMPLATE))) as connection:
        return [name for (name,) in connection.run([("SELECT name FROM background_migrations", {})])[0].rows]
