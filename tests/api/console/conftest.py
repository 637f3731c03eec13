"""A browser for each test: it keeps cookies, and sends what browsers send with forms."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from tests.api.console.browser import Browser
from tests.security.people import Guarded
from tests.support import Registry


@pytest.fixture
def browser(registry: Registry) -> Browser:
    """Gives a browser at an open registry."""
    return Browser(Client(registry.client.application), registry.services)


@pytest.fixture
def visitor(guarded: Guarded) -> Browser:
    """Gives a browser at a guarded registry, where nobody is signed in yet."""
    return Browser(Client(guarded.client.application), guarded.services)
