"""A backup looked at again: each part as it was sealed, each object there, and a share of them hashed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Final

from functions.migrate.backups import layout
from functions.migrate.backups.copying import NOTE_SECONDS, InOrder, Side, beside, is_whole, workers
from functions.migrate.backups.layout import Entry, Seal
from functions.migrate.backups.stores import Store
from functions.registry import telemetry
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.vocabulary import Claim
from functions.registry.metadata.db import Database

_SHARES: Final = 100


class Verifying:
    def __init__(self, database: Database, run: Claim, store: Store, deadline: float) -> None:
        self._database = database
        self._run = run
        self._store = store
        self._deadline = deadline
        self._sample = int(run.options.get("sample", 0))
        self._objects = Side(store, layout.OBJECTS)
        self._noted_at = time.monotonic()

    def go_on(self) -> bool:
        """Returns False if the time was over first. Raises BackupInvalid, LeaseLost, BlobStoreUnavailable."""
        seal = layout.read_seal(self._store, self._run.name)
        if not self._run.cursor:
            self._run.counts = {"objects": seal.objects.rows}
            self._read_parts(seal)
        is_through = self._look_at_objects(seal)
        runs.advance(self._database, self._run)
        if is_through:
            self._end()
        return is_through

    def _end(self) -> None:
        bad = self._run.counts.get("bad", 0)
        reason = f"{bad} objects are not there, or not what they were: another backup has them, or `create` copies them"
        runs.end(self._database, self._run, "failed" if bad else "done", reason if bad else None)
        telemetry.log("ERROR" if bad else "INFO", "backup verified", name=self._run.name, **self._run.counts)

    def _read_parts(self, seal: Seal) -> None:
        for table, part in seal.tables.items():
            for _ in layout.unpack(self._store, layout.rows_name(seal.name, table), part):
                self._renew()

    def _look_at_objects(self, seal: Seal) -> bool:
        known = set(seal.missing)
        with workers() as pool:
            line = InOrder[Entry, bool](pool)
            for entry, found in beside(self._entries(seal), self._objects, self._run.cursor):
                if not entry.is_damaged and entry.name not in known:
                    self._give(line, entry, is_good=is_whole(entry, found))
                while line.is_full:
                    self._take(line)
                if time.monotonic() >= self._deadline:
                    break
            else:
                while line:
                    self._take(line)
                return True
            while line:
                self._take(line)
        return False

    def _entries(self, seal: Seal) -> Iterator[Entry]:
        return layout.entries(self._store, seal.name, seal.objects)

    def _give(self, line: InOrder[Entry, bool], entry: Entry, *, is_good: bool) -> None:
        """The sample is the same each time that it is asked for: by the digest."""
        if is_good and int(entry.digest.hex[:8], 16) % _SHARES < self._sample:
            line.give(entry, lambda: self._has_its_digest(entry))
            self._count("hashed")
        else:
            line.give_done(entry, is_good)

    def _has_its_digest(self, entry: Entry) -> bool:
        hashed = hashlib.new(entry.digest.algorithm)
        try:
            for piece in self._store.read(layout.OBJECTS + entry.name):
                hashed.update(piece)
        except ObjectMissing:
            return False
        return hashed.hexdigest() == entry.digest.hex

    def _take(self, line: InOrder[Entry, bool]) -> None:
        for entry, is_good in line.take(NOTE_SECONDS):
            self._run.cursor = entry.name
            self._count("seen")
            if not is_good:
                self._count("bad")
                telemetry.log("ERROR", "an object of a backup is damaged", object=entry.name)
        self._renew()

    def _renew(self) -> None:
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            runs.advance(self._database, self._run)
            self._noted_at = time.monotonic()

    def _count(self, what: str) -> None:
        self._run.counts[what] = self._run.counts.get(what, 0) + 1
