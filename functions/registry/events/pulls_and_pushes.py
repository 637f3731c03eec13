"""Pulls and pushes are counted in memory, and added to the metadata now and then: no pull waits for a write.

What a process had counted when it was killed is lost; one that is told to stop adds it first. An idle instance keeps
its counts until its next request, or its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

from functions.registry import telemetry
from functions.registry.metadata.db import Database
from functions.registry.metadata.usage import pulls_and_pushes
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

# What is counted apart. Past the first number they are added at once; past the second no new ones are taken, since
# the database takes none.
MOST_KEYS: Final = 10_000
_TOO_MANY_KEYS: Final = 4 * MOST_KEYS
# In one batch: whoever pushes to one of their repositories waits until it is done.
_TOGETHER: Final = 200

_Key = tuple[RepositoryName, Tag | None, Digest | None]


class _Count:
    __slots__ = ("last", "pulls", "pushes")

    def __init__(self) -> None:
        self.pulls = 0
        self.pushes = 0
        self.last = 0.0


class PullsAndPushes:
    """Counts, and adds what is older than `interval_seconds` in a thread of its own. Any thread may call all of it."""

    def __init__(self, database: Database, interval_seconds: float) -> None:
        self._database = database
        self._interval_seconds = interval_seconds
        self._counts: dict[_Key, _Count] = {}
        self._due_at: float | None = None
        self._is_adding = False
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    def pulled(self, repository: RepositoryName, tag: Tag | None, digest: Digest) -> None:
        self._count([(repository, tag, digest)], pulls=1)

    def pushed(self, repository: RepositoryName, tags: Sequence[Tag], digest: Digest) -> None:
        """Counts one push, however many tags it has."""
        first, *others = list[Tag | None](tags) or [None]
        self._count([(repository, first, digest), *((repository, tag, None) for tag in others)], pushes=1)

    def _count(self, keys: Iterable[_Key], pulls: int = 0, pushes: int = 0) -> None:
        now = time.monotonic()
        with self._lock:
            for key in keys:
                count = self._counts.get(key)
                if count is None:
                    if len(self._counts) >= _TOO_MANY_KEYS:
                        continue
                    count = self._counts[key] = _Count()
                count.pulls += pulls
                count.pushes += pushes
                count.last = now
            if self._due_at is None:
                self._due_at = now + self._interval_seconds

    def add_if_due(self) -> None:
        """Returns at once. Asked after every request: a process that has none is given no time by the platform."""
        if self._due_at is None:
            return
        with self._lock:
            is_due = self._due_at is not None and time.monotonic() >= self._due_at
            if self._is_adding or not (is_due or len(self._counts) >= MOST_KEYS):
                return
            self._is_adding = True
        threading.Thread(target=self._add_in_background, name="pulls-and-pushes", daemon=True).start()

    def _add_in_background(self) -> None:
        try:
            self.add()
        finally:
            self._is_adding = False

    def add(self) -> bool:
        """Adds all there is, now; False if that can't be done, which is logged: it is tried again later, and then
        nothing is lost. Where the database has done it and could not say so, it is counted twice.
        """
        with self._one_at_a_time:
            with self._lock:
                counts, self._counts, self._due_at = self._counts, {}, None
            left = list(counts)
            try:
                while left:
                    pulls_and_pushes.add(self._database, [_told(key, counts[key]) for key in left[:_TOGETHER]])
                    del left[:_TOGETHER]
            except Exception as error:  # noqa: BLE001  # nothing that goes wrong with a count may go further
                self._take_back({key: counts[key] for key in left})
                telemetry.log("WARNING", "pulls and pushes could not be added", keys=len(left), reason=str(error))
                return False
            return True

    def _take_back(self, counts: dict[_Key, _Count]) -> None:
        with self._lock:
            for key, count in counts.items():
                newer = self._counts.setdefault(key, count)
                if newer is not count:
                    newer.pulls += count.pulls
                    newer.pushes += count.pushes
            self._due_at = time.monotonic() + self._interval_seconds


def _told(key: _Key, count: _Count) -> pulls_and_pushes.Counts:
    repository, tag, digest = key
    return pulls_and_pushes.Counts(repository, tag, digest, count.pulls, count.pushes, time.monotonic() - count.last)
