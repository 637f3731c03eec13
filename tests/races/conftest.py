"""An arena for all races: its database is not the one that other tests empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.postgres import Postgres
from tests.conftest import _TEMPLATE, administer
from tests.races.pairs import Arena


@pytest.fixture(scope="session")
def arena(postgres: Postgres) -> Iterator[Arena]:
    administer(postgres, f"CREATE DATABASE slipway_races TEMPLATE {_TEMPLATE}")
    with Arena(postgres.url("slipway_races")) as arena:
        yield arena
