"""Backups that need not be kept go: first their seals, then their parts, then objects that no other one names.

Nothing goes that is younger than a week, or that is named by a list that is: a backup that is being made relies on
objects that it found there. Neither does anything while a list can't be read.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from functions.migrate.backups import keeping, layout
from functions.migrate.backups.copying import NOTE_SECONDS
from functions.migrate.backups.stores import Store, walk
from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.blobs.objects import StoredObject
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.vocabulary import Claim
from functions.registry.metadata.db import Database

_TOGETHER: Final = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """`kept` are those whose objects stay; `goes` those that go, sealed or cut short."""

    kept: list[str]
    goes: list[str]


def plan(store: Store, keep: dict[str, int], now: datetime) -> Plan:
    names = layout.names(store)
    sealed = [name for name in names if layout.is_sealed(store, name)]
    kept = keeping.kept(sealed, keep, now)
    # One that is cut short and young may be under way; its list is there before it relies on anything.
    kept |= {name for name in names if keeping.is_young(name, now)}
    return Plan([name for name in names if name in kept], [name for name in names if name not in kept])


class Pruning:
    def __init__(self, database: Database, run: Claim, store: Store, deadline: float) -> None:
        self._database = database
        self._run = run
        self._store = store
        self._deadline = deadline
        self._is_dry = bool(run.options.get("dry_run"))
        self._now = datetime.now(UTC)
        self._noted_at = time.monotonic()

    def go_on(self) -> bool:
        """Returns False if the time was over first. Raises LeaseLost, BackupInvalid, BlobStoreUnavailable."""
        chosen = plan(self._store, self._run.options["keep"], self._now)
        if not self._run.cursor:
            self._run.counts = {"kept": len(chosen.kept), "backups": 0, "objects": 0, "bytes": 0, "refused": 0}
            self._read_lists(chosen.kept)
            for name in chosen.goes:
                self._take_down(name)
        is_through = self._take_objects(chosen.kept)
        runs.advance(self._database, self._run)
        if is_through:
            runs.end(self._database, self._run, "done")
            telemetry.log("INFO", "backups pruned", destination=self._run.destination, **self._run.counts)
        return is_through

    def _read_lists(self, kept: list[str]) -> None:
        """All of them can be read to their ends, or nothing goes."""
        for name in kept:
            for _ in self._entries(name):
                self._renew()

    def _take_down(self, name: str) -> None:
        """Without its seal it is no backup, whatever comes in between."""
        if not self._is_dry:
            self._delete([layout.seal_name(name)])
            runs.forget_pruned(self._database, name)
            self._delete([each.name for each in walk(self._store, f"{layout.BACKUPS}{name}/")])
        self._count("backups", 1)

    def _take_objects(self, kept: list[str]) -> bool:
        unnamed: list[StoredObject] = []
        for found in self._unnamed(kept):
            unnamed.append(found)
            if len(unnamed) == _TOGETHER:
                self._take(unnamed)
                unnamed = []
                if time.monotonic() >= self._deadline:
                    return False
        self._take(unnamed)
        return True

    def _take(self, unnamed: list[StoredObject]) -> None:
        """Whoever lost his lease in between finds out before he deletes."""
        runs.advance(self._database, self._run)
        if unnamed and not self._is_dry:
            self._delete([each.name for each in unnamed])
        for each in unnamed:
            self._count("objects", 1)
            self._count("bytes", each.size)
        if unnamed:
            self._run.cursor = unnamed[-1].name

    def _delete(self, names: list[str]) -> None:
        """What a retention keeps stays for the next time: it is counted."""
        failures = self._store.delete(names)
        for name, reason in failures.items():
            telemetry.log("WARNING", "an object of a backup can't be deleted", object=name, reason=reason)
        if len(failures) == len(names) and names:
            raise BlobStoreUnavailable(next(iter(failures.values())))
        self._count("refused", len(failures))

    def _unnamed(self, kept: list[str]) -> Iterator[StoredObject]:
        """Objects that no list names, and that are no longer young: two sorted streams, merged."""
        lists = [(layout.OBJECTS + each.name for each in self._entries(name)) for name in kept]
        named = heapq.merge(*lists, key=str.encode)
        name = next(named, None)
        for found in walk(self._store, layout.OBJECTS, self._run.cursor):
            while name is not None and name.encode() < found.name.encode():
                name = next(named, None)
            if name != found.name and self._now - found.updated >= keeping.YOUNG:
                yield found
            else:
                self._renew()

    def _entries(self, name: str) -> Iterator[layout.Entry]:
        """Reads what a backup relies on; of one that is being made there may be none yet: then it relies on nothing."""
        if self._store.find(layout.objects_name(name)) is None and not layout.is_sealed(self._store, name):
            return
        yield from layout.entries(self._store, name)

    def _renew(self) -> None:
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            runs.advance(self._database, self._run)
            self._noted_at = time.monotonic()

    def _count(self, what: str, number: int) -> None:
        self._run.counts[what] += number
