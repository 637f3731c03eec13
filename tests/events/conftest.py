"""A registry whose events go to a receiver on this machine, and runs that don't linger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.deliver import run as running
from functions.deliver.parts import Parts
from functions.registry.auth import webhook_secrets
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.wiring import Services
from tests.events.receiver import HOST, Receiver, receiving
from tests.metadata.build import query
from tests.support import Registry

PEPPER = "pepper of the tests"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    told = {"PRIVATE_RECEIVERS": HOST, "PUBLIC_HOST": "registry.example.com", "PEPPER": PEPPER}
    return environment | {f"SLIPWAY_{name}": value for name, value in told.items()}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINGER_SECONDS", "_SOON_SECONDS"):
        monkeypatch.setattr(running, name, 0.0)
    monkeypatch.setattr(running, "_PAUSE_SECONDS", 0.02)


def subscribe(services: Services, target: str, name: str = "all", repositories: str = "**", **more: Any) -> int:
    secret = webhook_secrets.sealed(services.settings.pepper, webhook_secrets.make())
    chosen = {"created_by": "user:admin", "secret": secret, **more}
    new = NewSubscription(name=name, repositories=repositories, target=target, **chosen)
    return subscriptions.add(services.database, new)


def deliver(services: Services) -> int:
    """A run by what the function is made of, with the database of a test."""
    return running.run(Parts(services.settings, services.database, services.schema, services.deliver_trigger))


def pass_time(services: Services, seconds: float) -> None:
    """What waits has waited for so much longer."""
    for column in ("next_at", "leased_until", "failing_since"):
        query(
            services.database,
            f"UPDATE lanes SET {column} = {column} - make_interval(secs => :seconds)",  # noqa: S608  # three names
            seconds=seconds,
        )


def states(registry: Registry) -> list[tuple[str, int]]:
    found = query(registry.services.database, "SELECT state, count(*) FROM deliveries GROUP BY 1 ORDER BY 1")
    return [(state, count) for state, count in found]
