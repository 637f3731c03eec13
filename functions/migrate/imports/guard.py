"""What keeps others from the blobs that an older registry and this one share: its own collection, and a second Slipway.

Distribution's collection knows no lock, but it marks all before it deletes any, and ends where it can't read a
manifest. So there is a repository with one that it finds and can't read: it takes a link to a layer, without which 2.8
does not see the repository, and a tag, without which 3.1 passes the manifest by. GitLab's registry obeys a file of its
own, once this registry decides. Both were tried (docs/migrate.md).
"""

from __future__ import annotations

import json
from typing import Final
from uuid import UUID

from functions.registry.blobs.errors import AccessRefused, ObjectMissing
from functions.registry.blobs.gcs import Bucket
from functions.registry.imports import names
from functions.registry.imports.places import Place
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import sources
from functions.registry.oci.digest import Digest

_PAYLOAD: Final = b"Slipway serves what lies here: this keeps the collection of the older registry from deleting it.\n"
_DIGEST: Final = Digest.of(_PAYLOAD)
_TAG: Final = "guard"
_LINK: Final = str(_DIGEST).encode()
_VERSION: Final = "v2/"
_MARK: Final = "slipway.json"
_IN_USE: Final = "lockfiles/database-in-use"
_MOST_BYTES: Final = 1024


class BucketTaken(AccessRefused):
    """Another registry works with the bucket; the message says which, and what can be done."""


class Guard:
    """That of one source, which lies in this registry's own bucket under `prefix`.

    All methods raise BlobStoreUnavailable, and AccessRefused where a right is missing.
    """

    def __init__(self, database: Database, place: Place, bucket: Bucket, prefix: str, mark: UUID) -> None:
        self._database = database
        self._place = place
        self._bucket = bucket
        self._prefix = prefix
        # Beside the layout: `docker/registry/`.
        self._beside = prefix.removesuffix(_VERSION)
        self._mark = json.dumps({"mark": str(mark)}).encode()

    def put_up(self, *, leads: bool) -> None:
        """Whatever of it isn't there is written. Raises BucketTaken, and then nothing was."""
        in_use, mark = self._require_free()
        if mark is None and not self._bucket.create(self._beside + _MARK, self._mark):
            self._require_free()
        there = self._there()
        for name, content in self._objects():
            if name not in there:
                self._bucket.create(name, content)
        if leads and in_use is None:
            self._bucket.create(self._beside + _IN_USE, self._mark)
        elif not leads and in_use is not None:
            self._bucket.remove(self._beside + _IN_USE)

    def _require_free(self) -> tuple[bytes | None, bytes | None]:
        """Looks at what GitLab's registry is told, and at the mark. Raises BucketTaken."""
        in_use = self._read(_IN_USE)
        if in_use is not None and not self._is_ours(in_use):
            raise BucketTaken(
                f"{self._beside}{_IN_USE} says that GitLab's registry keeps its metadata in a database: "
                "what lies in the bucket is stale, so import it over its API"
            )
        mark = self._read(_MARK)
        if mark is not None and not self._is_ours(mark):
            raise BucketTaken(f"{self._beside}{_MARK} was written by another Slipway, which works with this bucket")
        return in_use, mark

    def is_up(self) -> bool:
        """Says whether all of it is there."""
        return self._read(_MARK) is not None and self._there().issuperset(name for name, _ in self._objects())

    def take_down(self) -> None:
        """Takes all of it away, the tag first: the older registry has its bucket for itself again."""
        for name, _ in reversed(self._objects()):
            self._bucket.remove(name)
        for name in (_IN_USE, _MARK):
            content = self._read(name)
            if content is not None and self._is_ours(content):
                self._bucket.remove(self._beside + name)

    def _there(self) -> set[str]:
        """Returns the names of what is there: of the repository by one list, and of its blob."""
        listed = self._place.page(self._prefix + names.repository_prefix(names.GUARD)).objects
        blob = self._place.find(self._prefix + names.blob_name(_DIGEST))
        return {stored.name for stored in (*listed, *([blob] if blob is not None else []))}

    def _objects(self) -> list[tuple[str, bytes]]:
        """Yields the objects in the order in which they are written: whoever looks meanwhile finds a repository without
        a tag.
        """
        repository = names.GUARD
        return [
            (self._prefix + names.blob_name(_DIGEST), _PAYLOAD),
            (self._prefix + names.layer_link_name(repository, _DIGEST), _LINK),
            (self._prefix + names.revision_link_name(repository, _DIGEST), _LINK),
            (self._prefix + names.history_link_name(repository, _TAG, _DIGEST), _LINK),
            (self._prefix + names.current_link_name(repository, _TAG), _LINK),
        ]

    def _read(self, name: str) -> bytes | None:
        try:
            return self._place.read(self._beside + name, _MOST_BYTES)
        except ObjectMissing:
            return None

    def _is_ours(self, content: bytes) -> bool:
        """Says whether the mark is of this source, or of one before it: a registry that was moved in once may be moved
        in again.
        """
        try:
            mark = UUID(json.loads(content)["mark"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        return sources.has_mark(self._database, mark)
