"""A registry comes back from a backup, into a deployment that holds nothing yet.

Objects first, then the rows in one transaction: until that ends there is nothing that somebody could pull in part, and
whoever is killed begins anew, with the objects that are there. All of it is the owner's of the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from functions.migrate.backups import layout, rows
from functions.migrate.backups.copying import Copier, Outcome, Progress, Side
from functions.migrate.backups.layout import BackupInvalid, Entry, Seal
from functions.migrate.backups.stores import BucketStore, Store
from functions.migrate.grants import Users
from functions.migrate.schema import schema_of, take_down, upgrade
from functions.migrate.sql import NotFinished
from functions.registry.config import Settings
from functions.registry.metadata.backups.snapshot import Snapshot

_MOST_NAMED: Final = 5


class RestoreRefused(Exception):
    """Nothing was restored; the message says why, and what to do."""


@dataclass(slots=True)
class Restored:
    """`lost` are objects that the backup should have and has not; `missing` those that it never had."""

    counts: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def choose(store: Store, name: str | None = None) -> Seal:
    """The seal of the backup of that name, or of the latest. Raises BackupInvalid."""
    if name is not None:
        return layout.read_seal(store, name)
    for found in reversed(layout.names(store)):
        if layout.is_sealed(store, found):
            return layout.read_seal(store, found)
    raise BackupInvalid("there is no sealed backup")


def bring_back_objects(settings: Settings, store: Store, tell: Callable[[str], None]) -> Restored:
    """Copies objects into the registry's bucket that its rows name and it lacks, from whatever backups there are.

    Nothing else is touched: `lost` are those that no backup has, or in whose place another object lies. Raises
    BlobStoreUnavailable, MetadataUnavailable.
    """
    kept: list[bytes] = []
    with Snapshot.of(settings.database) as snapshot:
        snapshot.copy_objects(_Sink(kept))
    progress, lost = Progress(), []

    def note() -> None:
        tell(f"objects: {progress.counts.get('seen', 0)} of {len(kept)}")

    def lose(entry: Entry, _: Outcome) -> None:
        lost.append(entry.name)

    wanted = (replace(layout.entry_of(row.rstrip(b"\n")), is_damaged=False) for row in kept)
    Copier(Side(store, layout.OBJECTS), Side(BucketStore(settings, settings.bucket)), progress).run(wanted, note, lose)
    return Restored(counts=progress.counts, lost=lost)


class _Sink:
    def __init__(self, rows: list[bytes]) -> None:
        self.write = rows.append


class Restoring:
    """`tell` is given a line whenever there is something to say."""

    def __init__(self, settings: Settings, store: Store, seal: Seal, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._store = store
        self._seal = seal
        self._tell = tell
        self._restored = Restored()

    def run(self, *, is_forced: bool = False) -> Restored:
        """Raises RestoreRefused, BackupInvalid, SchemaNewer, BlobStoreUnavailable, MetadataUnavailable."""
        url = self._settings.database
        rows.require_empty(url)
        self._copy_objects()
        lost = self._restored.lost
        if lost and not is_forced:
            raise RestoreRefused(
                f"the backup lacks {len(lost)} objects that it should have, such as {', '.join(lost[:_MOST_NAMED])}:"
                " take another backup; or force it, which marks their blobs as damaged, so that pushes bring them back"
            )
        self._make_schema(url)
        rows.restore(url, self._store, self._seal, [*self._restored.missing, *lost], self._tell)
        self._go_on(url)
        return self._restored

    def _go_on(self, url: str) -> None:
        """Goes on to this release's schema, as far as that does not wait for a background migration of the backup's
        time.
        """
        try:
            applied = upgrade(url, users=self._users())
        except NotFinished as waits:
            applied = waits.applied
            self._tell(str(waits))
        for revision in applied:
            self._tell(f"applied: {revision}")

    def _copy_objects(self) -> None:
        progress = Progress()
        registry = Side(BucketStore(self._settings, self._settings.bucket))
        known = set(self._seal.missing)

        def lose(entry: Entry, _: Outcome) -> None:
            (self._restored.missing if entry.name in known else self._restored.lost).append(entry.name)

        def note() -> None:
            self._tell(f"objects: {progress.counts.get('seen', 0)} of {self._seal.objects.rows}")

        Copier(Side(self._store, layout.OBJECTS), registry, progress).run(self._entries(), note, lose)
        self._restored.counts = progress.counts

    def _entries(self) -> Iterator[Entry]:
        """What was missing then is not looked for: what there is under its name need not be the blob."""
        for entry in layout.entries(self._store, self._seal.name, self._seal.objects):
            yield Entry(entry.name, entry.size, entry.digest, is_damaged=entry.name in self._seal.missing)

    def _make_schema(self, url: str) -> None:
        """Makes the schema as it was when the backup was made: what later revisions do to rows, they do to those of
        the backup.
        """
        current = schema_of(url)
        if sorted(current) == sorted(self._seal.revisions):
            return
        if current:
            self._tell(f"the schema is made anew as of {', '.join(self._seal.revisions)}")
            take_down(url)
        upgrade(url, to=self._seal.revisions)

    def _users(self) -> Users:
        settings = self._settings
        return Users(settings.database_api_user, settings.database_gc_user, settings.database_work_user)
