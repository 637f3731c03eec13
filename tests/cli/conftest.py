"""A registry whose garbage is due at once, as the tests of garbage collection have it."""

from __future__ import annotations

from tests.gc.conftest import hasty

__all__ = ["hasty"]
