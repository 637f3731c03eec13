"""A registry whose backups go to a folder or to another bucket, and a second one to restore them into."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests
from werkzeug.test import Client

from functions.migrate import work
from functions.migrate.backups.stores import Store, open_destination
from functions.registry import wiring
from functions.registry.config import Settings
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.vocabulary import Run, RunKind
from functions.registry.metadata.db import Database
from local.postgres import Postgres
from tests.conftest import _TEMPLATE, administer
from tests.forgotten import made_services
from tests.support import Registry

_numbers: Final = itertools.count(1)


@pytest.fixture(params=["folder", "bucket"])
def destination(request: pytest.FixtureRequest, tmp_path: Path, storage_address: str) -> str:
    """An address, as SLIPWAY_BACKUPS has it."""
    if request.param == "folder":
        return str(tmp_path / "backups")
    return f"gs://{make_bucket(storage_address)}/elsewhere"


def make_bucket(storage_address: str) -> str:
    name = f"backups-{next(_numbers)}"
    requests.post(f"{storage_address}/storage/v1/b?project=test", json={"name": name}, timeout=10).raise_for_status()
    return name


@pytest.fixture
def environment(environment: dict[str, str], destination: str) -> dict[str, str]:
    return {**environment, "SLIPWAY_BACKUPS": destination}


@dataclass(frozen=True)
class Backups:
    """What is done about backups, and what lies at the destination."""

    registry: Registry
    destination: str

    @property
    def database(self) -> Database:
        return self.registry.services.database

    @cached_property
    def store(self) -> Store:
        return open_destination(self.registry.services.settings, self.destination)

    def do(self, kind: RunKind = "backup", name: str = "", **options: Any) -> Run:
        """Asks for it, and works until it is over."""
        asked = runs.ask(self.database, kind, self.destination, name, **options)
        work.run(self.registry.services)
        return self.run(asked)

    def make(self) -> Run:
        """A backup that is sealed."""
        made = self.do()
        assert (made.state, made.error) == ("sealed", None)
        return made

    def run(self, run_id: int) -> Run:
        found = runs.get(self.database, run_id)
        assert found is not None
        return found

    def names(self, prefix: str = "") -> list[str]:
        """All that lies there, of whole files."""
        page = self.store.page(prefix or "backups/")
        assert page.is_last
        return [each.name for each in page.objects]


@pytest.fixture
def backups(registry: Registry, destination: str) -> Backups:
    return Backups(registry, destination)


@pytest.fixture
def elsewhere(postgres: Postgres, storage_address: str, registry: Registry) -> Iterator[Settings]:
    """Another deployment that was just made: a migrated database, and a bucket with nothing in it."""
    name = f"elsewhere_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    bucket = make_bucket(storage_address)
    yield replace(registry.services.settings, database=postgres.url(name), bucket=bucket)
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def there(
    elsewhere: Settings, api_function: Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Registry]]:
    """The other deployment as a client sees it, from the moment on at which it is asked for."""

    def switch() -> Registry:
        wiring.services().database.close()
        monkeypatch.setenv("SLIPWAY_DATABASE", elsewhere.database)
        monkeypatch.setenv("SLIPWAY_BUCKET", elsewhere.bucket)
        return Registry(api_function, made_services())

    yield switch
    wiring.services().database.close()


def delete_object(storage_address: str, bucket: str, name: str) -> None:
    """Deletes it behind the registry's back."""
    url = f"{storage_address}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    requests.delete(url, timeout=10).raise_for_status()


def read_json(store: Store, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(b"".join(store.read(name)))
    return document
