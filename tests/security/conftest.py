"""A registry in token mode, and people with every role in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.test import Client

from functions.registry.wiring import Services
from local.access import make_access_secrets
from tests.forgotten import forget_services, made_services
from tests.security.people import Guarded

REALM = "https://registry.example/token"


@pytest.fixture(scope="session")
def access_secrets() -> dict[str, str]:
    return make_access_secrets()


@pytest.fixture
def token_services(
    environment: dict[str, str], access_secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    chosen = {**environment, **access_secrets, "SLIPWAY_ACCESS": "token", "SLIPWAY_TOKEN_REALM": REALM}
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    yield made_services()
    forget_services()


@pytest.fixture
def guarded(api_function: Client, token_services: Services) -> Guarded:
    return Guarded(api_function, token_services)
