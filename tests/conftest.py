"""What every test may stand on: a real PostgreSQL, the fake Cloud Storage, and the api function in front of both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import functions_framework
import pytest
import requests
from werkzeug.test import Client

from functions.migrate.schema import upgrade
from functions.registry import wiring
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.wiring import Services
from local.postgres import Postgres
from local.processes import Children
from local.storage.testing import serve
from tests.support import Registry

ROOT: Final = Path(__file__).resolve().parent.parent
SIGNER: Final = "GOOGTESTSIGNER"
SECRET: Final = "a secret that the fake store knows too"
_TEMPLATE: Final = "slipway_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of its own for this run, with a migrated database to copy from."""
    server = Postgres(tmp_path_factory.mktemp("postgres") / "data", ephemeral=True)
    children = Children()
    try:
        child = children.start(server.prepare())
        children.wait_until(child, server.is_ready, seconds=30)
        administer(server, f"CREATE DATABASE {_TEMPLATE}")
        upgrade(server.url(_TEMPLATE))
        yield server
    finally:
        children.stop()


def administer(server: Postgres, sql: str) -> None:
    connection = Connection(server.url())
    connection.simple(sql)
    connection.close()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """A migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield postgres.url(name)
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=8)
    yield database
    database.close()


@pytest.fixture(scope="session")
def storage_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("storage"), {SIGNER: SECRET}) as address:
        yield address


@pytest.fixture
def bucket_name(storage_address: str) -> str:
    """A bucket of this test's own."""
    name = f"bucket-{next(_numbers)}"
    answer = requests.post(f"{storage_address}/storage/v1/b?project=test", json={"name": name}, timeout=10)
    answer.raise_for_status()
    return name


@pytest.fixture
def environment(database_url: str, bucket_name: str, storage_address: str) -> dict[str, str]:
    """What a deployment gives a function."""
    return {
        "STORAGE_EMULATOR_HOST": storage_address,
        "SLIPWAY_DATABASE": database_url,
        "SLIPWAY_BUCKET": bucket_name,
        "SLIPWAY_SIGNER": "hmac",
        "SLIPWAY_SIGNER_IDENTITY": SIGNER,
        "SLIPWAY_SIGNER_SECRET": SECRET,
        "SLIPWAY_SIGNED_URL_BASE": storage_address,
    }


@pytest.fixture
def services(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    wiring.services.cache_clear()
    yield wiring.services()
    wiring.services().database.close()
    wiring.services.cache_clear()


@pytest.fixture(scope="session")
def api_function() -> Client:
    """The api as the framework serves it, without a socket."""
    return Client(functions_framework.create_app("api", str(ROOT / "functions" / "api" / "main.py")))


@pytest.fixture
def registry(api_function: Client, services: Services) -> Registry:
    """The registry as a client sees it, with a database and a bucket of its own."""
    return Registry(api_function, services)
