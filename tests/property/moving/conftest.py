"""The machine, with a registry into which another one is moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from functions.migrate.imports import delta
from functions.registry.blobs import objects
from functions.registry.wiring import Services
from tests.imports.old import OldRegistry
from tests.property.moving.backstage import MovingBackstage
from tests.property.moving.machine import MovingMachine
from tests.support import Registry

# So that a listing takes several requests, between which something changes.
_PAGE_SIZE = 7


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_DATABASE_CONNECTIONS": "16", "SLIPWAY_DATABASE_LOCK_SECONDS": "10"}


@pytest.fixture
def moving_machine(
    impatient_services: Services,
    registry: Registry,
    storage_address: str,
    bucket_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[type[MovingMachine]]:
    assert impatient_services is registry.services
    backstage = MovingBackstage(registry, storage_address)
    monkeypatch.setattr(objects, "PAGE_SIZE", _PAGE_SIZE)
    # One clock for both sides: whatever is older than the last comparison is old.
    monkeypatch.setattr(delta, "_SLACK", timedelta(0))
    monkeypatch.setattr(MovingMachine, "registry", registry, raising=False)
    monkeypatch.setattr(MovingMachine, "backstage", backstage, raising=False)
    made = staticmethod(lambda: OldRegistry(storage_address, bucket_name))
    monkeypatch.setattr(MovingMachine, "make_old", made, raising=False)
    monkeypatch.setattr(MovingMachine, "steps", 0)
    with backstage.watching():
        yield MovingMachine
    backstage.close()
