"""A registry that takes GitLab's tokens, and an open one with the tags of the examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.test import Client

from tests.forgotten import forget_services, made_services
from tests.gitlab.rails import ISSUER, KEY, SERVICE
from tests.issuer import certificate_of
from tests.security.conftest import access_secrets, guarded, token_services
from tests.support import Registry

__all__ = ["access_secrets", "guarded", "token_services"]
REALM = "https://gitlab.example/jwt/auth"


@pytest.fixture
def external(environment: dict[str, str], api_function: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    chosen = {
        **environment,
        "SLIPWAY_ACCESS": "external",
        "SLIPWAY_SERVICE": SERVICE,
        "SLIPWAY_TOKEN_REALM": REALM,
        "SLIPWAY_PEPPER": "a pepper",
        "SLIPWAY_EXTERNAL_ISSUER": ISSUER,
        "SLIPWAY_EXTERNAL_KEYS": certificate_of(KEY),
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    yield Registry(api_function, made_services())
    forget_services()


@pytest.fixture
def tagged(registry: Registry) -> Registry:
    """`team/app` with the tags a to f, made in the order c, b, a, f, e, d."""
    image = registry.push_image("team/app")
    for tag in "cbafed":
        assert registry.put_manifest("team/app", tag, image.manifest).status_code == 201
    return registry
