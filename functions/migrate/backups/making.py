"""One backup, from its hold to its seal. Whoever goes on with it finds in its row how far it came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from functions.migrate.backups import layout
from functions.migrate.backups.copying import NOTE_SECONDS, Copier, Outcome, Progress, Side, beside, is_whole
from functions.migrate.backups.layout import Entry, Part, Seal
from functions.migrate.backups.stores import BucketStore, Store
from functions.migrate.backups.tables import COPIED
from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.runs import HoldEnded
from functions.registry.metadata.backups.snapshot import Snapshot
from functions.registry.metadata.backups.vocabulary import Claim
from functions.registry.uploading import lost_objects
from functions.registry.wiring import Services

# More than so many and more than a hundredth: that is no loss, but another bucket, or one that somebody emptied.
_MOST_LOST: Final = 20
_SHARE_LOST: Final = 100


class TooMuchLost(Exception):
    """The registry's bucket lacks so much that a backup of it would be none."""


class Making:
    def __init__(self, services: Services, run: Claim, store: Store, deadline: float) -> None:
        self._services = services
        self._database = services.database
        self._run = run
        self._store = store
        self._deadline = deadline
        self._objects = Side(store, layout.OBJECTS)
        self._noted_at = time.monotonic()

    def go_on(self) -> bool:
        """Returns False if the time was over first. Raises LeaseLost, HoldEnded, TooMuchLost, BlobStoreUnavailable."""
        if self._run.state == "waiting":
            self._take_rows()
        elif not self._has_hold():
            return True
        while self._copy_objects():
            if self._is_all_there():
                self._seal()
                return True
        return False

    def _has_hold(self) -> bool:
        """Returns False where only the row does not know yet that it was sealed: with a seal, all is there."""
        try:
            runs.advance(self._database, self._run)
        except HoldEnded:
            if not layout.is_sealed(self._store, self._run.name):
                raise
            runs.end(self._database, self._run, "sealed")
            return False
        return True

    def _take_rows(self) -> None:
        """The hold comes first: from then on nothing goes that the rows name."""
        runs.begin(self._database, self._run, layout.new_name())
        name, tables = self._run.name, {}
        with Snapshot.of(self._services.settings.database) as snapshot:
            state = snapshot.state
            for table in sorted(COPIED.keys() & state.columns.keys()):
                copy, columns = partial(snapshot.copy_table, table), state.columns[table]
                tables[table] = layout.pack(self._store, layout.rows_name(name, table), copy, columns)
                runs.advance(self._database, self._run)
            objects = layout.pack(self._store, layout.objects_name(name), snapshot.copy_objects)
        self._run.counts = {
            "rows": sum(part.rows for part in tables.values()),
            "row_bytes": sum(part.bytes for part in tables.values()),
            "objects": objects.rows,
        }
        taken: dict[str, Any] = {
            "revisions": state.revisions,
            "sequences": state.sequences,
            "tables": {table: asdict(part) for table, part in tables.items()},
            "objects": asdict(objects),
        }
        runs.note_snapshot(self._database, self._run, taken, state.moment)

    def _entries(self) -> Iterator[Entry]:
        snapshot, _ = self._taken()
        return layout.entries(self._store, self._run.name, Part(**snapshot["objects"]))

    def _taken(self) -> tuple[dict[str, Any], datetime]:
        """Returns what was noted of the rows once they were written, and the moment that they are of."""
        snapshot, moment = self._run.snapshot, self._run.snapshot_at
        if snapshot is None or moment is None:
            raise ValueError("the rows of this backup have not been written yet")
        return snapshot, moment

    def _copy_objects(self) -> bool:
        run = self._run
        progress = Progress(run.cursor, run.counts, run.tokens)
        registry = Side(BucketStore(self._services.settings, self._services.settings.bucket))
        copier = Copier(registry, self._objects, progress, lambda: time.monotonic() >= self._deadline)

        def note() -> None:
            run.cursor = progress.cursor
            runs.advance(self._database, run)

        return copier.run(self._entries(), note, self._lose)

    def _lose(self, entry: Entry, outcome: Outcome) -> None:
        """The object is gone, or isn't the blob: the backup is without it, and a push gives it another one."""
        if outcome == "occupied":
            raise BlobStoreUnavailable(f"the destination has another object of the name {entry.name}: take it away")
        run = self._run
        run.missing.append(entry.name)
        run.counts["missing"] = run.counts.get("missing", 0) + 1
        if entry.is_damaged:
            return
        run.counts["lost"] = lost = run.counts.get("lost", 0) + 1
        if lost > _MOST_LOST and lost * _SHARE_LOST > run.counts["objects"]:
            raise TooMuchLost(
                f"{lost} of the first {run.counts['seen']} objects are not in {self._services.settings.bucket} as the"
                " rows have them: is it the right bucket? `slipway fsck` tells what is lost"
            )
        telemetry.log("ERROR", "a backup lacks an object", object=entry.name, reason=outcome)
        lost_objects.mark(self._services, entry.digest, entry.name)

    def _is_all_there(self) -> bool:
        """A last look at the whole list: somebody may have deleted at the destination."""
        missing = set(runs.missing(self._database, self._run))
        for entry, found in beside(self._entries(), self._objects):
            if not (is_whole(entry, found) or entry.name in missing):
                telemetry.log("WARNING", "an object has gone from a backup's destination", object=entry.name)
                self._begin_anew()
                return False
            if time.monotonic() - self._noted_at >= NOTE_SECONDS:
                runs.advance(self._database, self._run)
                self._noted_at = time.monotonic()
        return True

    def _begin_anew(self) -> None:
        """Begins at the first object: all that is there is passed by. What was missing is counted again."""
        kept = ("rows", "row_bytes", "objects", "copied", "copied_bytes")
        self._run.cursor = ""
        self._run.counts = {name: self._run.counts[name] for name in kept if name in self._run.counts}

    def _seal(self) -> None:
        run, (snapshot, moment) = self._run, self._taken()
        runs.advance(self._database, run)
        seal = Seal(
            name=run.name,
            snapshot_at=moment,
            sealed_at=datetime.now(UTC),
            revisions=snapshot["revisions"],
            sequences=snapshot["sequences"],
            tables={table: Part(**part) for table, part in snapshot["tables"].items()},
            objects=Part(**snapshot["objects"]),
            object_bytes=run.counts.get("seen_bytes", 0),
            missing=sorted(set(runs.missing(self._database, run))),
        )
        if not layout.is_sealed(self._store, run.name):
            layout.write(self._store, layout.seal_name(run.name), seal.encode())
        runs.end(self._database, run, "sealed", needs_hold=True)
        telemetry.log("INFO", "backup sealed", name=run.name, destination=run.destination, **run.counts)
