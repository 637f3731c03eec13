"""Databases of other kinds than the migrated one, which every test gets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import pytest

from functions.registry.metadata.db import Database
from local.postgres import Postgres
from tests.conftest import administer
from tests.metadata.build import setting
from tests.metadata.proxy import Proxy, proxied

_numbers: Final = itertools.count(1)


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A database that no migration has touched."""
    name = f"empty_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name}")
    yield postgres.url(name)
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def impatient_database(database_url: str) -> Iterator[Database]:
    """One whose server finds a deadlock in no time; at its default that takes a second."""
    with setting(database_url, "deadlock_timeout", "30ms"):
        database = Database(database_url, size=12, wait_seconds=30, lock_seconds=10)
        yield database
        database.close()


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """A way to the test's database that counts turns and can be cut."""
    with proxied(database_url) as proxy:
        yield proxy
