"""An old layout in a folder of this machine, listed as a bucket lists it."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.objects import PAGE_SIZE, ObjectPage, StoredObject

# A folder knows no sums. Those of links are taken while it is listed: that is a few bytes each.
_LARGEST_LINK: Final = 1024
_MOST_RESUMABLE: Final = 64


class Folder:
    """A place to read from. What is neither a file nor a folder, or a link to a folder, is listed as an empty file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # Where listings stopped: the next page goes on there, and does not sort a large folder once more.
        self._stopped: dict[tuple[str, str, str], Iterator[StoredObject]] = {}
        self._lock = threading.Lock()

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        with self._lock:
            listed = self._stopped.pop((prefix, after, before), None)
        listed = listed or self._below("", prefix, after, before)
        try:
            with _translating():
                objects = list(islice(listed, PAGE_SIZE))
        except ObjectMissing as missing:
            if not self._root.is_dir():
                raise AccessRefused(f"there is no folder {self._root}") from missing
            raise
        if len(objects) == PAGE_SIZE:
            with self._lock:
                if len(self._stopped) >= _MOST_RESUMABLE:
                    self._stopped.clear()
                self._stopped[prefix, objects[-1].name, before] = listed
        return ObjectPage(objects, is_last=len(objects) < PAGE_SIZE)

    def find(self, name: str) -> StoredObject | None:
        try:
            with _translating():
                path = self._path(name)
                return self._stored(name, path, path.stat()) if path.is_file() else None
        except ObjectMissing:
            return None

    def read(self, name: str, most: int) -> bytes:
        with _translating():
            path = self._path(name)
            if not path.is_file():
                raise ObjectMissing(name)
            with path.open("rb") as file:
                return file.read(most)

    def folders(self, prefix: str) -> list[str]:
        with _translating(), os.scandir(self._path(prefix)) as entries:
            return sorted(f"{prefix}{entry.name}/" for entry in entries if entry.is_dir(follow_symlinks=False))

    def open(self, name: str) -> Path:
        """Returns the file to read pieces of. Raises ObjectMissing."""
        path = self._path(name)
        if not path.is_file():
            raise ObjectMissing(name)
        return path

    def _path(self, name: str) -> Path:
        if ".." in name.split("/"):
            raise ObjectMissing(name)
        return self._root / name

    def _below(self, folder: str, prefix: str, after: str, before: str) -> Iterator[StoredObject]:
        """A folder's name counts with its slash: `a-b/` comes before `a/`, as in a bucket."""
        with os.scandir(self._root / folder) as entries:
            found = sorted(
                (f"{folder}{entry.name}/" if entry.is_dir(follow_symlinks=False) else f"{folder}{entry.name}")
                for entry in entries
            )
        for name in found:
            if before and name >= before:
                return
            if not (name.startswith(prefix) or prefix.startswith(name)):
                continue
            if name.endswith("/"):
                if name > after or after.startswith(name):
                    yield from self._below(name, prefix, after, before)
            elif name > after and name.startswith(prefix):
                stored = self._listed(name)
                if stored is not None:
                    yield stored

    def _listed(self, name: str) -> StoredObject | None:
        path = self._root / name
        try:
            return self._stored(name, path, path.stat())
        except OSError:
            # A link to nothing or to itself is there, if as nothing; what is gone since is not.
            return self._stored(name, path, path.lstat()) if path.is_symlink() else None

    def _stored(self, name: str, path: Path, found: os.stat_result) -> StoredObject:
        is_file = stat.S_ISREG(found.st_mode)
        md5 = None
        if is_file and name.endswith("/link") and found.st_size <= _LARGEST_LINK:
            md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
        return StoredObject(
            name=name,
            size=found.st_size if is_file else 0,
            md5=md5,
            crc32c=None,
            updated=datetime.fromtimestamp(found.st_mtime, UTC),
            generation=found.st_mtime_ns,
        )


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectMissing(str(error)) from error
    except PermissionError as error:
        raise AccessRefused(str(error)) from error
    except OSError as error:
        raise BlobStoreUnavailable(str(error)) from error
