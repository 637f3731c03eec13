"""Objects with their contents: the only place where a generation comes to be or ceases to be."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.storage import conditions, resources
from local.storage.calls import Document
from local.storage.catalog import Catalog
from local.storage.checksums import Checksums
from local.storage.database import Database
from local.storage.errors import invalid, no_such_bucket, no_such_object
from local.storage.files import Files


@dataclass(frozen=True)
class Content:
    """Bytes in a file that are to become an object.

    The file is moved into place, or linked if it `is_shared` with an object that keeps it.
    """

    path: Path
    checksums: Checksums
    component_count: int | None = None
    is_shared: bool = False


class Store:
    """Everything that is stored, on disk under one folder."""

    def __init__(self, root: Path) -> None:
        self.files = Files(root)
        self.database = Database(root / "metadata.db")
        self.catalog = Catalog(self.database)
        self._newest_generation = self.catalog.newest_generation()

    def require_bucket(self, bucket: str) -> Document:
        found = self.catalog.bucket(bucket)
        if found is None:
            raise no_such_bucket()
        return found

    def require(self, bucket: str, name: str, query: Mapping[str, str], *, source: bool = False) -> Document:
        """Returns the live object that a call names. 404 if absent or of another generation, 412 if its conditions
        fail.
        """
        self.require_bucket(bucket)
        found = self.catalog.live(bucket, name)
        wanted = conditions.generation_of(query.get("sourceGeneration" if source else "generation"))
        if found is None or (wanted is not None and wanted != int(found["generation"])):
            raise no_such_object(bucket, name)
        conditions.check(found, query, source=source)
        return found

    def require_soft_deleted(self, bucket: str, name: str, generation: str) -> Document:
        found = self.catalog.soft_deleted(bucket, name, conditions.generation_of(generation) or 0)
        if found is None:
            raise no_such_object(bucket, name)
        return found

    def content_of(self, resource: Document) -> Path:
        return self.files.content(resource["generation"])

    def commit(
        self, bucket: str, name: str, content: Content, metadata: Document, query: Mapping[str, str]
    ) -> Document:
        """Make a content the live object of its name, if the conditions hold against what is live now.

        Checksums the caller announced in the metadata must match, else 400. What was live before is dropped.
        """
        _check_checksums(content.checksums, metadata)
        size = content.path.stat().st_size
        with self.database.transaction():
            self.require_bucket(bucket)
            replaced = self.catalog.live(bucket, name)
            conditions.check(replaced, query)
            resource = {
                **resources.new_object(bucket, name, self._next_generation(), metadata),
                **resources.of_content(size, content.checksums, content.component_count),
            }
            place = os.link if content.is_shared else os.replace
            place(content.path, self.content_of(resource))
            if replaced is not None:
                self.drop(replaced)
            self.catalog.add(resource)
        return resource

    def drop(self, resource: Document) -> None:
        """Take a live object away, softly where the bucket says so."""
        policy = self.require_bucket(resource["bucket"]).get("softDeletePolicy", {})
        with self.database.transaction():
            if int(policy.get("retentionDurationSeconds", 0)):
                softly = {**resource, "softDeleteTime": resources.now()}
                self.catalog.update(softly, is_live=False)
            else:
                self.catalog.remove(resource)
                self.files.park(resource["generation"])

    def unlink_dropped(self) -> None:
        """Give back the space of contents that were dropped a minute ago."""
        with self.database.transaction():
            self.files.unlink_parked(self.catalog.has_generation)

    def _next_generation(self) -> int:
        # Microseconds, as in Cloud Storage, but never one that was given before, whatever the clock does.
        self._newest_generation = max(self._newest_generation + 1, time.time_ns() // 1000)
        return self._newest_generation


def _check_checksums(calculated: Checksums, metadata: Document) -> None:
    for field, value in (("crc32c", calculated.crc32c), ("md5Hash", calculated.md5)):
        if value is not None and metadata.get(field, value) != value:
            raise invalid(f"Provided {field} doesn't match calculated {field} {value}.")
