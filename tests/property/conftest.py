"""The machine, with a registry to break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions.registry.wiring import Services
from tests.metadata.build import setting
from tests.property.machine import Machine
from tests.property.observation import Backstage
from tests.support import Registry


@pytest.fixture
def impatient_services(database_url: str, services: Services) -> Iterator[Services]:
    """Collectors that get in each other's way find out in no time; by default that takes a second."""
    with setting(database_url, "deadlock_timeout", "30ms"):
        yield services


@pytest.fixture
def machine(
    impatient_services: Services, registry: Registry, storage_address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[Machine]]:
    assert impatient_services is registry.services
    backstage = Backstage(registry, storage_address)
    monkeypatch.setattr(Machine, "registry", registry, raising=False)
    monkeypatch.setattr(Machine, "backstage", backstage, raising=False)
    with backstage.watching():
        yield Machine
    backstage.close()
