"""A registry that is checked, and somebody who damages it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from functions.migrate.checks import objects
from tests.checks.vandal import Vandal
from tests.support import Registry


@pytest.fixture
def vandal(registry: Registry, storage_address: str, monkeypatch: pytest.MonkeyPatch) -> Vandal:
    """Whatever no row names is old enough to be garbage."""
    monkeypatch.setattr(objects, "_LATE", -timedelta(days=2))
    return Vandal(registry, storage_address)
