"""The store of an older registry, as a touch looks into it: few small requests, and few at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from functions.registry import telemetry
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.objects import StoredObject
from functions.registry.imports import links, names, payloads
from functions.registry.imports.origin import Blobs, FolderRefused
from functions.registry.imports.payloads import Refusal
from functions.registry.imports.places import Place
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import adoption, problems
from functions.registry.metadata.imports.adoption import FoundBlob
from functions.registry.metadata.imports.touching.lookups import Old
from functions.registry.metadata.imports.touching.touches import FetchedManifest
from functions.registry.metadata.imports.vocabulary import ListedTag, Problem
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag

# Each holds a thread while the store answers: the others are for what is here already.
MOST_AT_ONCE: Final = 8
_WAIT_SECONDS: Final = 2.0
_REFUSED_SECONDS: Final = 60.0


class TooManyTouches(BlobStoreUnavailable):
    """As many as may be are being looked for: trying again works."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a tag names there; `listed` if it was read there just now."""

    digest: Digest
    listed: ListedTag | None


class OlderStore:
    """One for each process. What is found to be broken is noted, and taken for missing."""

    def __init__(self, database: Database, reach: Callable[[Old], Blobs], largest_manifest_bytes: int) -> None:
        self._database = database
        self._reach = reach
        self._largest_manifest_bytes = largest_manifest_bytes
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._reached: dict[int, Blobs] = {}
        # Sources that can't be read from here, and when to try again.
        self._refused: dict[int, float] = {}

    def reaches(self, old: Old) -> bool:
        """Says whether the source can be read from here: a folder is another machine's, mostly, and the right to
        another bucket may be missing. Then nothing is fetched, and nobody who pushes is kept by it.
        """
        if self._refused.get(old.source_id, 0) > time.monotonic():
            return False
        try:
            self._blobs(old)
        except (FolderRefused, AccessRefused) as error:
            self._refused[old.source_id] = time.monotonic() + _REFUSED_SECONDS
            telemetry.log("WARNING", "an import can't be read from here", source=old.source_id, reason=str(error))
            return False
        return True

    def _blobs(self, old: Old) -> Blobs:
        if old.source_id not in self._reached:
            made = self._reach(old)
            if not made.origin.is_here:
                # Nothing has that name: whoever may not look is told so.
                made.origin.place.find(made.origin.root + names.BLOBS)
            self._reached[old.source_id] = made
        return self._reached[old.source_id]

    @contextmanager
    def one_of_few(self) -> Iterator[None]:
        """Raises TooManyTouches where nothing becomes free in time."""
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise TooManyTouches("too much is being fetched from an older registry at once")
        try:
            yield
        finally:
            self._places.release()

    def named(self, old: Old, tag: Tag) -> Named | None:
        """Asks what the tag names there now: two small requests."""
        origin = self._blobs(old).origin
        name = origin.root + names.current_link_name(old.path, tag)
        found = origin.place.find(name)
        if found is None:
            return None
        try:
            digest = links.read(origin.place.read(name, links.MOST_BYTES))
        except ObjectMissing:
            return None
        if digest is None:
            return None
        return Named(digest, ListedTag(str(tag), digest, found.generation, found.updated, found.updated))

    def read_manifest(self, old: Old, digest: Digest) -> FetchedManifest | None:
        """Returns None if the repository there has none of that digest, or none that can be taken."""
        origin = self._blobs(old).origin
        link = origin.place.find(origin.root + names.revision_link_name(old.path, digest))
        if link is None or self._named_by(origin.place, link, digest) != digest:
            return None
        try:
            payload = origin.place.read(origin.root + names.blob_name(digest), self._largest_manifest_bytes + 1)
        except ObjectMissing:
            self._note(old, digest, Refusal("manifest_missing"))
            return None
        taken = payloads.take(digest, payload, self._largest_manifest_bytes)
        if isinstance(taken, Refusal):
            self._note(old, digest, taken)
            return None
        return FetchedManifest(digest, taken, payload, link.updated)

    def layer(self, old: Old, digest: Digest) -> Digest | None:
        """Returns the digest under which the layer's bytes lie, None if the repository there does not link it.

        That is its own, or its sha256 where it was pushed by another algorithm.
        """
        origin = self._blobs(old).origin
        link = origin.place.find(origin.root + names.layer_link_name(old.path, digest))
        named = None if link is None else self._named_by(origin.place, link, digest)
        is_good = named is not None and (named == digest or named.algorithm != digest.algorithm)
        return named if is_good else None

    def has_repository(self, old: Old) -> bool:
        origin = self._blobs(old).origin
        with self.one_of_few():
            return bool(origin.place.page(origin.root + names.repository_prefix(old.path)).objects)

    def find_blobs(self, old: Old, named: Sequence[Digest]) -> tuple[list[FoundBlob], list[Digest]]:
        """Returns those that no row tells of and the store has, and all that it has.

        Of a source that lies elsewhere none is looked for: its blobs are brought one by one, as they are asked for.
        """
        unknown = adoption.unknown(self._database, named)
        blobs = self._blobs(old)
        asked = blobs.pool.map(lambda digest: self.find_blob(old, digest), unknown) if blobs.origin.is_here else ()
        found = [blob for blob in asked if blob is not None]
        denied = set(unknown).difference(blob.digest for blob in found)
        return found, [digest for digest in named if digest not in denied]

    def find_blob(self, old: Old, digest: Digest) -> FoundBlob | None:
        origin = self._blobs(old).origin
        stored = origin.place.find(origin.root + names.blob_name(digest))
        return None if stored is None else FoundBlob(digest, stored.size, stored.name, stored.updated)

    def is_copied(self, old: Old, digest: Digest, lies_as: Digest) -> bool:
        """Says whether the blob gets an object of its own: its bytes lie elsewhere, or are another blob's already."""
        return not self._blobs(old).origin.is_here or lies_as != digest

    def copy(self, old: Old, digest: Digest, lies_as: Digest) -> bool:
        """Makes the blob one of this registry's, within the store; False if the source hasn't got it either."""
        return not self._blobs(old).bring([digest], {digest: lies_as} if lies_as != digest else {})

    def _named_by(self, place: Place, link: StoredObject, likely: Digest) -> Digest | None:
        """Returns what a link names; the store's sum tells whether that is the likely one, mostly."""
        if links.names(link, likely):
            return likely
        try:
            return links.read(place.read(link.name, links.MOST_BYTES))
        except ObjectMissing:
            return None

    def _note(self, old: Old, digest: Digest, refusal: Refusal) -> None:
        problem = Problem(old.path, "manifest", str(digest), refusal.reason, refusal.detail)
        self._database.batch(problems.noting(old.source_id, [problem]))
