"""A registry whose garbage is due at once, as the tests of the collection have it."""

from __future__ import annotations

from tests.gc.conftest import hasty

__all__ = ["hasty"]
