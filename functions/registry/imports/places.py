"""Where an old layout lies: a bucket or a folder, listed and read in one way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from functions.registry.blobs.objects import ObjectPage, StoredObject


class Place(Protocol):
    """Names are those of objects, in the order of their characters. All methods raise BlobStoreUnavailable."""

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        """Returns objects whose names begin with `prefix`, come after `after`, and before `before` if that is not
        empty.
        """

    def find(self, name: str) -> StoredObject | None:
        """Returns what a listing would say of it now; None if there is no such object."""

    def read(self, name: str, most: int) -> bytes:
        """Returns up to `most` bytes of it. Raises ObjectMissing."""

    def folders(self, prefix: str) -> list[str]:
        """Returns the prefixes one slash deeper, under which something lies."""


def walk(place: Place, prefix: str, after: str = "", before: str = "") -> Iterator[StoredObject]:
    """Yields all of them, page after page."""
    while True:
        page = place.page(prefix, after, before)
        yield from page.objects
        if page.is_last:
            return
        after = page.objects[-1].name
