"""How much a step takes on: about as much as the database does in a second, and less while others wait for locks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import claims

MOST_MANIFESTS: Final = 500
_FEWEST_MANIFESTS: Final = 16
_MANIFESTS_EACH: Final = 10
_SLOW_SECONDS: Final = 1.0
_FAST_SECONDS: Final = 0.5
# More sessions than this wait for locks: the worker rests for as long as its step took.
_MANY_WAITING: Final = 4


class Pace:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.manifests = MOST_MANIFESTS

    @property
    def repositories(self) -> int:
        """Returns how many small ones go together."""
        return max(1, self.manifests // _MANIFESTS_EACH)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Stands around a transaction of the size that was asked for."""
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        if seconds > _SLOW_SECONDS:
            self.manifests = max(_FEWEST_MANIFESTS, self.manifests // 2)
        elif seconds < _FAST_SECONDS:
            self.manifests = min(MOST_MANIFESTS, self.manifests + self.manifests // 4)
        if claims.waiting_sessions(self._database) > _MANY_WAITING:
            time.sleep(seconds)
