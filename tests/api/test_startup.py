"""What the platform asks an instance before it sends requests."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from werkzeug.test import Client

from functions.api.web import startup
from functions.registry.metadata.db import Database
from local.guard import choose_port
from local.postgres import Postgres
from tests.conftest import administer
from tests.forgotten import forget_services
from tests.support import Registry


def test_an_instance_is_ready_once_it_reaches_the_database(registry: Registry) -> None:
    assert registry.get(startup.PATH).status_code == 204


def test_it_is_ready_before_the_first_migration(postgres: Postgres) -> None:
    administer(postgres, "CREATE DATABASE without_schema")
    database = Database(postgres.url("without_schema"), size=1)
    try:
        assert startup.answer(database).status_code == 204
    finally:
        database.close()
        administer(postgres, "DROP DATABASE without_schema WITH (FORCE)")


def test_without_a_database_it_is_not(
    registry: Registry, api_function: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.services.database.close()
    with monkeypatch.context() as broken:
        broken.setenv("SLIPWAY_DATABASE", f"postgresql://postgres@127.0.0.1:{choose_port(0)}/none")
        forget_services()
        assert api_function.get(startup.PATH).status_code == 503
    forget_services()


class _Slow(Database):
    """Its way to the server takes until it is let go on."""

    def __init__(self) -> None:
        super().__init__("postgresql://nobody@/none?host=/nowhere", size=1)
        self.asked, self.goes_on = threading.Event(), threading.Event()

    def reach(self) -> None:
        self.asked.set()
        assert self.goes_on.wait(10)


def test_a_probe_does_not_wait_behind_another() -> None:
    """They come each second, and each would hold a thread."""
    database, answers = _Slow(), []
    first = threading.Thread(target=lambda: answers.append(startup.answer(database).status_code))
    first.start()
    assert database.asked.wait(10)
    assert startup.answer(database).status_code == 503
    database.goes_on.set()
    first.join(10)
    assert answers == [204]


def test_it_is_the_path_that_is_probed() -> None:
    registry = Path(__file__).resolve().parents[2] / "terraform" / "registry.tf"
    assert f'startup_path = "{startup.PATH}"' in registry.read_text()
