"""A source as something to read from: its place, where in it the layout begins, and how its blobs become ours."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from functions.registry.blobs.errors import BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.objects import StoredObject, StoredObjects
from functions.registry.config import MEBIBYTE, Settings
from functions.registry.imports import names
from functions.registry.imports.folder import Folder
from functions.registry.imports.places import Place
from functions.registry.imports.throttle import AT_ONCE, Throttled
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import adoption
from functions.registry.metadata.imports.adoption import FoundBlob
from functions.registry.metadata.imports.vocabulary import LAYOUT_ROOT
from functions.registry.oci.digest import Digest

_SCHEME: Final = "gs://"
_PIECE_BYTES: Final = MEBIBYTE


class FolderRefused(ValueError):
    """A folder of the machine was named where none may be read."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`root` is what the names of the layout begin with in the `place`.

    `bucket_name` is that of the bucket, None for a folder; `is_here` if it is this registry's own.
    """

    source_id: int
    place: Place
    root: str
    bucket_name: str | None
    is_here: bool
    folder: Folder | None = None


def open_origin(settings: Settings, source_id: int, address: str, prefix: str | None) -> Origin:
    """`address` is gs://BUCKET[/PREFIX] or a folder. Asks patiently. Raises FolderRefused."""
    origin = open_at_once(settings, source_id, address, prefix, settings.storage_timeout_seconds, AT_ONCE)
    return replace(origin, place=Throttled(origin.place))


def open_at_once(
    settings: Settings, source_id: int, address: str, prefix: str | None, timeout_seconds: float, at_once: int
) -> Origin:
    """Does the same for whoever is waited for: what is refused is not asked again."""
    if address.startswith(_SCHEME):
        name, _, below = address.removeprefix(_SCHEME).partition("/")
        below = below.strip("/")
        name = name if prefix is None else settings.bucket
        place = StoredObjects(name, timeout_seconds, at_once)
        root = prefix or (f"{below}/{LAYOUT_ROOT}" if below else LAYOUT_ROOT)
        return Origin(source_id, place, root, name, is_here=prefix is not None)
    if settings.import_folders != "accept":
        raise FolderRefused("SLIPWAY_IMPORT_FOLDERS does not accept folders of this machine")
    folder = Folder(Path(address))
    return Origin(source_id, folder, LAYOUT_ROOT, None, is_here=False, folder=folder)


@dataclass(frozen=True, slots=True)
class Blobs:
    """Makes blobs of the source's objects: adopts them where they lie, or copies them under a name of ours."""

    origin: Origin
    database: Database
    bucket: Bucket
    pool: Executor

    def bring(self, digests: Iterable[Digest], aliases: Mapping[Digest, Digest]) -> set[Digest]:
        """Returns the digests that the source does not have either: only the store says what is not there.

        An alias is another digest of the same bytes, which lie under the digest that it names. Raises
        BlobStoreUnavailable, also for what a collection has in hand.
        """
        asked = sorted(set(digests))
        names_there = [self.origin.root + names.blob_name(aliases.get(digest, digest)) for digest in asked]
        there = dict(zip(asked, self.pool.map(self.origin.place.find, names_there), strict=True))
        found = {digest: stored for digest, stored in there.items() if stored is not None}
        here = [
            FoundBlob(digest, stored.size, stored.name, stored.updated)
            for digest, stored in found.items()
            if self.origin.is_here and digest not in aliases
        ]
        adopted = {blob.digest for blob in here}
        here += self._copied({digest: stored for digest, stored in found.items() if digest not in adopted})
        if busy := adoption.adopt(self.database, here):
            raise BlobStoreUnavailable(f"{len(busy)} objects are being deleted, such as {busy[0]}")
        return {digest for digest in asked if digest not in {blob.digest for blob in here}}

    def _copied(self, found: Mapping[Digest, StoredObject]) -> list[FoundBlob]:
        """Copies under names of ours, which the database knows before they are written, and which are never used
        twice.
        """
        if not found:
            return []
        targets = {digest: f"imported/{self.origin.source_id}/{uuid.uuid4()}" for digest in found}
        adoption.expect(self.database, {targets[digest]: stored.size for digest, stored in found.items()})
        made = self.pool.map(lambda digest: self._is_copied(found[digest], targets[digest]), found)
        return [
            FoundBlob(digest, stored.size, targets[digest], stored.updated)
            for (digest, stored), is_made in zip(found.items(), made, strict=True)
            if is_made
        ]

    def _is_copied(self, stored: StoredObject, target: str) -> bool:
        """Is false if it has gone since it was looked at."""
        try:
            self._copy(stored, target)
        except ObjectMissing:
            return False
        return True

    def _copy(self, stored: StoredObject, target: str) -> None:
        if self.origin.bucket_name is not None:
            self.bucket.copy(target, self.origin.bucket_name, stored.name)
        elif self.origin.folder is not None:
            self._upload(self.origin.folder.open(stored.name), target)

    def _upload(self, path: Path, target: str) -> None:
        try:
            with path.open("rb") as file:
                if not path.stat().st_size:
                    self.bucket.create_empty(target)
                    return
                writer = self.bucket.start_object(target)
                while piece := file.read(_PIECE_BYTES):
                    writer.write(piece)
                writer.close()
        except FileNotFoundError as error:
            raise ObjectMissing(str(path)) from error
        except OSError as error:
            raise BlobStoreUnavailable(str(error)) from error
