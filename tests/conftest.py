"""What every test may stand on: a real PostgreSQL, the fake Cloud Storage, and the api function in front of both."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import functions_framework
import pytest
import requests
from werkzeug.test import Client

from functions.migrate.schema import upgrade
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection, ConnectionFailed, DriverError
from functions.registry.wiring import Services
from local.postgres import Postgres
from local.processes import Children
from local.storage.testing import serve
from tests import surroundings
from tests.forgotten import forget_services, made_services
from tests.kept_rows import keep, put_back, putting_back
from tests.scenes import Scenes
from tests.sessions import SESSIONS
from tests.support import Registry
from tests.thorough import is_thorough

surroundings.make_plain()

ROOT: Final = Path(__file__).resolve().parent.parent
SIGNER: Final = "GOOGTESTSIGNER"
SECRET: Final = "a secret that the fake store knows too"
_TEMPLATE: Final = "slipway_template"
_SHARED: Final = "slipway_shared"
# Those with this database, and of those with others what has a transaction open: an import waits for all older ones.
_END_SESSIONS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE pid <> pg_backend_pid() AND pid <> ALL ('{%s}')
       AND (datname = current_database() OR state LIKE 'idle in transaction%%');
"""
WITHOUT_UNDO: Final = "UPDATE gc_settings SET grace = '0' WHERE event = 'undo'"
_numbers = itertools.count(1)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for a test waits a quarter of its time; eight are enough for anybody's memory."""
    return min(len(os.sched_getaffinity(0)) + 1, 8)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests before pytest chooses among them by their marks."""
    for item in items:
        if is_thorough(item.nodeid):
            item.add_marker(pytest.mark.thorough)


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
        # What a test deletes goes by the graces that it sets; those of undo switch it on.
        administer(server, WITHOUT_UNDO, _TEMPLATE)
        yield server
    finally:
        children.stop()


def administer(server: Postgres, sql: str, database: str = "postgres") -> None:
    connection = Connection(server.url(database))
    connection.simple(sql)
    connection.close()


class SharedDatabase:
    """A migrated database that one test after another has for itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        SESSIONS.keep(url)
        self._broom = Connection(url)
        keep(self._broom, "empty")

    def empty(self) -> None:
        """Over a connection that stays: it takes 3 ms, a new one 30, and a new database 200.

        Whatever a test has left open, most of all one that failed, holds up none of the next.
        """
        steps = _END_SESSIONS % ",".join(map(str, SESSIONS.processes(self.url))) + putting_back("empty")
        try:
            self._broom.simple(steps)
        except (DriverError, *ConnectionFailed):  # a test has ended this session too
            self._broom.close()
            self._broom = Connection(self.url)
            self._broom.simple(steps)

    def keep(self, name: str) -> None:
        keep(self._broom, name)

    def put_back(self, name: str) -> None:
        put_back(self._broom, name)

    def close(self) -> None:
        SESSIONS.drop(self.url)
        self._broom.close()


@pytest.fixture(scope="session")
def _shared_database(postgres: Postgres) -> Iterator[SharedDatabase]:
    administer(postgres, f"CREATE DATABASE {_SHARED} TEMPLATE {_TEMPLATE}")
    with closing(SharedDatabase(postgres.url(_SHARED))) as database:
        yield database


@pytest.fixture(scope="session")
def _scenes(_shared_database: SharedDatabase, storage_address: str) -> Iterator[Scenes]:
    with closing(Scenes(_shared_database, storage_address)) as scenes:
        yield scenes


@pytest.fixture
def scenes(_scenes: Scenes, database_url: str, bucket_name: str) -> Scenes:
    """What is set is gone with the test, as all that is in its database and in its bucket."""
    assert _scenes.url == database_url
    _scenes.bucket = bucket_name
    return _scenes


@pytest.fixture
def database_url(_shared_database: SharedDatabase) -> Iterator[str]:
    """A migrated database with nothing in it."""
    yield _shared_database.url
    _shared_database.empty()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    # More patient than the product: nothing is to fail because the machine has other work.
    database = Database(database_url, size=12, wait_seconds=30, lock_seconds=10)
    SESSIONS.lend(database)
    yield database
    SESSIONS.close(database)


@pytest.fixture(scope="session")
def storage_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("storage"), {SIGNER: SECRET}) as address:
        yield address


def make_bucket(storage_address: str) -> str:
    name = f"bucket-{next(_numbers)}"
    answer = requests.post(f"{storage_address}/storage/v1/b?project=test", json={"name": name}, timeout=10)
    answer.raise_for_status()
    return name


@pytest.fixture
def bucket_name(storage_address: str) -> str:
    """A bucket of this test's own."""
    return make_bucket(storage_address)


@pytest.fixture
def environment(database_url: str, bucket_name: str, storage_address: str) -> dict[str, str]:
    """What a deployment gives a function."""
    return {
        "STORAGE_EMULATOR_HOST": storage_address,
        "SLIPWAY_ACCESS": "open",
        "SLIPWAY_DATABASE": database_url,
        "SLIPWAY_BUCKET": bucket_name,
        # Those that are tried are asked for.
        "SLIPWAY_CHECK_DAYS": "0",
        "SLIPWAY_SIGNER": "hmac",
        "SLIPWAY_SIGNER_IDENTITY": SIGNER,
        "SLIPWAY_SIGNER_SECRET": SECRET,
        "SLIPWAY_SIGNED_URL_BASE": storage_address,
    }


@pytest.fixture
def services(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield made_services()
    forget_services()


@pytest.fixture(scope="session")
def api_function() -> Client:
    """The api as the framework serves it, without a socket."""
    return Client(functions_framework.create_app("api", str(ROOT / "functions" / "api" / "main.py"), "http"))


@pytest.fixture
def registry(api_function: Client, services: Services) -> Registry:
    """The registry as a client sees it, with a database and a bucket of its own."""
    return Registry(api_function, services)
