"""Which registries are being moved in, as a process knows it: asked for now and then, so that a request that finds what
it looks for costs nothing more.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import opened
from functions.registry.metadata.imports.opened import OpenSource

_SECONDS: Final = 30.0


class OpenSources:
    """One for each process. What it tells may be half a minute old; who decides about a repository never is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: list[OpenSource] | None = None
        self._ask_at = 0.0
        self._asking = threading.Lock()

    def known(self) -> list[OpenSource]:
        """Raises MetadataUnavailable."""
        if self._known is not None and time.monotonic() < self._ask_at:
            return self._known
        # Only the first waits for the first answer: later on one thread asks, and the others know what they knew.
        if not self._asking.acquire(blocking=self._known is None):
            return self._known or []
        try:
            if self._known is None or time.monotonic() >= self._ask_at:
                self._known = opened.open_sources(self._database)
                self._ask_at = time.monotonic() + _SECONDS
            return self._known
        finally:
            self._asking.release()

    def layouts(self) -> list[OpenSource]:
        """Returns the sources that lie in a bucket or a folder: from there single objects are fetched."""
        return [source for source in self.known() if source.kind == "layout"]

    def is_any_followed(self) -> bool:
        return any(source.is_followed for source in self.layouts())
