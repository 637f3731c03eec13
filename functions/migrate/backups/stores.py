"""Where objects lie: the registry's bucket, and the bucket or folder that backups go to, both used in one way."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.objects import ObjectPage, StoredObject, StoredObjects
from functions.registry.blobs.written import WrittenObjects
from functions.registry.config import Settings, is_in_cloud
from functions.registry.imports.folder import Folder

AT_ONCE: Final = 32
_READ_BYTES: Final = 1 << 20
# The most that Cloud Storage takes in one request.
_DELETED_TOGETHER: Final = 100
# Beside what is kept, so that no listing shows a file that is not whole.
_INCOMPLETE: Final = "incomplete"
_BUCKET: Final = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/(.+?))?/?")


class DestinationInvalid(ValueError):
    """It is no place for backups; the message says what it takes."""


class Writer(Protocol):
    """`write` as bytes come, then `close`; or `cancel`, which leaves nothing."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def cancel(self) -> None: ...


class Store(Protocol):
    """Objects by name. All methods raise BlobStoreUnavailable, and AccessRefused where a right is missing."""

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        """Returns, in the order of their names, those that begin with `prefix`, after `after` and before `before`."""

    def folders(self, prefix: str) -> list[str]:
        """The prefixes one slash deeper, under which something lies."""

    def find(self, name: str) -> StoredObject | None:
        """Shows it as a listing would show it now."""

    def read(self, name: str) -> Iterator[bytes]:
        """All of it, in pieces. Raises ObjectMissing."""

    def create(self, name: str) -> Writer:
        """A new object, which is there once it is closed, and whole. Where one of that name is, that stays or goes."""

    def delete(self, names: Sequence[str]) -> dict[str, str]:
        """The reason for each that could not be deleted; absent ones are fine."""


class BucketStore:
    """What lies under a prefix of a bucket, which is empty or ends in a slash."""

    def __init__(self, settings: Settings, bucket: str, prefix: str = "") -> None:
        self.bucket, self.prefix = bucket, prefix
        self._settings = replace(settings, bucket=bucket)
        self._bucket = Bucket(self._settings)

    @cached_property
    def _listed(self) -> StoredObjects:
        return StoredObjects(self.bucket, self._settings.storage_timeout_seconds, AT_ONCE)

    @cached_property
    def written(self) -> WrittenObjects:
        """Is for copies within the store."""
        return WrittenObjects(self.bucket, self._settings.storage_timeout_seconds, AT_ONCE)

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        own = self.prefix
        page = self._listed.page(own + prefix, own + after if after else "", own + before if before else "")
        return ObjectPage([replace(each, name=each.name.removeprefix(own)) for each in page.objects], page.is_last)

    def folders(self, prefix: str) -> list[str]:
        return [each.removeprefix(self.prefix) for each in self._listed.folders(self.prefix + prefix)]

    def find(self, name: str) -> StoredObject | None:
        found = self._listed.find(self.prefix + name)
        return None if found is None else replace(found, name=name)

    def read(self, name: str) -> Iterator[bytes]:
        return self._bucket.read(self.prefix + name)

    def create(self, name: str) -> Writer:
        return self._bucket.start_object(self.prefix + name)

    def delete(self, names: Sequence[str]) -> dict[str, str]:
        failures: dict[str, str] = {}
        for first in range(0, len(names), _DELETED_TOGETHER):
            some = [self.prefix + name for name in names[first : first + _DELETED_TOGETHER]]
            failures |= {name.removeprefix(self.prefix): why for name, why in self._bucket.delete_all(some).items()}
        return failures


class FolderStore:
    """A folder of this machine. A file is on the disk, whole, before it has its name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = Folder(root)

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        return self._folder.page(prefix, after, before) if self._root.is_dir() else ObjectPage([], is_last=True)

    def folders(self, prefix: str) -> list[str]:
        try:
            return self._folder.folders(prefix)
        except ObjectMissing:
            return []

    def find(self, name: str) -> StoredObject | None:
        return self._folder.find(name)

    def read(self, name: str) -> Iterator[bytes]:
        path = self._folder.open(name)
        with _translating(), path.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                yield piece

    def create(self, name: str) -> Writer:
        if ".." in name.split("/"):
            raise AccessRefused(f"no file can have the name {name}")
        return _File(self._root, name)

    def delete(self, names: Sequence[str]) -> dict[str, str]:
        failures = {}
        for name in names:
            try:
                (self._root / name).unlink(missing_ok=True)
                self._remove_empty((self._root / name).parent)
            except OSError as error:
                failures[name] = str(error)
        return failures

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # something lies in it
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


class _File:
    def __init__(self, root: Path, name: str) -> None:
        self._path = root / name
        self._incomplete = root / _INCOMPLETE / secrets.token_hex(8)
        with _translating():
            self._incomplete.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._incomplete.open("xb")

    def write(self, data: bytes) -> None:
        with _translating():
            self._file.write(data)

    def close(self) -> None:
        with _translating():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            # Somebody may be removing the folder that has just become empty.
            for _ in range(3):
                with suppress(FileNotFoundError):
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._incomplete.replace(self._path)
                    break
            _keep(self._path.parent)

    def cancel(self) -> None:
        with suppress(OSError):
            self._file.close()
            self._incomplete.unlink(missing_ok=True)


def walk(store: Store, prefix: str, after: str = "") -> Iterator[StoredObject]:
    """All objects under the prefix, page after page."""
    while True:
        page = store.page(prefix, after)
        yield from page.objects
        if page.is_last:
            return
        after = page.objects[-1].name


def open_destination(settings: Settings, address: str) -> Store:
    """`gs://BUCKET[/PREFIX]`, or a folder, which the cloud doesn't have. Raises DestinationInvalid."""
    if match := _BUCKET.fullmatch(address):
        if match[1] == settings.bucket:
            raise DestinationInvalid("backups go to another bucket than the registry's own, which would go with it")
        return BucketStore(settings, match[1], f"{match[2]}/" if match[2] else "")
    if address.startswith("/") and not is_in_cloud():
        return FolderStore(Path(address))
    raise DestinationInvalid(f"backups go to gs://BUCKET[/PREFIX], or a folder of this machine: {address!r} is neither")


def _keep(folder: Path) -> None:
    """Waits until what the folder has is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise AccessRefused(str(error)) from error
    except OSError as error:
        raise BlobStoreUnavailable(str(error)) from error
