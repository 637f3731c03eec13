"""The store of an older registry, as a touch looks into it: few small requests, and few at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from functions.registry.blobs.errors import BlobStoreUnavailable, ObjectMissing
from functions.registry.imports import links, names, payloads
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


class TooManyTouches(BlobStoreUnavailable):
    """As many as may be are being looked for: trying again works."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a tag names there; `listed` if it was read there just now."""

    digest: Digest
    listed: ListedTag | None


class OlderStore:
    """One for each process. What is found to be broken is noted, and taken for missing."""

    def __init__(self, database: Database, place: Callable[[], Place], largest_manifest_bytes: int) -> None:
        self._database = database
        self._make_place = place
        self._largest_manifest_bytes = largest_manifest_bytes
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)

    @cached_property
    def _place(self) -> Place:
        return self._make_place()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Makes threads for the blobs of a manifest, which are asked for at once where the listing has not told of
        them.
        """
        return ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="touch")

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
        name = old.prefix + names.current_link_name(old.path, tag)
        found = self._place.find(name)
        if found is None:
            return None
        try:
            digest = links.read(self._place.read(name, links.MOST_BYTES))
        except ObjectMissing:
            return None
        if digest is None:
            return None
        return Named(digest, ListedTag(str(tag), digest, found.generation, found.updated, found.updated))

    def read_manifest(self, old: Old, digest: Digest) -> FetchedManifest | None:
        """Returns None if the repository there has none of that digest, or none that can be taken."""
        link = self._place.find(old.prefix + names.revision_link_name(old.path, digest))
        if link is None or not self._holds(link.name, link.md5, digest):
            return None
        try:
            payload = self._place.read(old.prefix + names.blob_name(digest), self._largest_manifest_bytes + 1)
        except ObjectMissing:
            self._note(old, digest, Refusal("manifest_missing"))
            return None
        taken = payloads.take(digest, payload, self._largest_manifest_bytes)
        if isinstance(taken, Refusal):
            self._note(old, digest, taken)
            return None
        return FetchedManifest(digest, taken, payload, link.updated)

    def has_layer(self, old: Old, digest: Digest) -> bool:
        """Says whether the repository there links the blob."""
        link = self._place.find(old.prefix + names.layer_link_name(old.path, digest))
        return link is not None and self._holds(link.name, link.md5, digest)

    def has_repository(self, old: Old) -> bool:
        with self.one_of_few():
            return bool(self._place.page(old.prefix + names.repository_prefix(old.path)).objects)

    def find_blobs(self, old: Old, named: Sequence[Digest]) -> tuple[list[FoundBlob], list[Digest]]:
        """Returns those that no row tells of and the store has, and all that it has."""
        unknown = adoption.unknown(self._database, named)
        asked = self._threads.map(lambda digest: self.find_blob(old, digest), unknown) if unknown else ()
        found = [blob for blob in asked if blob is not None]
        denied = set(unknown).difference(blob.digest for blob in found)
        return found, [digest for digest in named if digest not in denied]

    def find_blob(self, old: Old, digest: Digest) -> FoundBlob | None:
        stored = self._place.find(old.prefix + names.blob_name(digest))
        return None if stored is None else FoundBlob(digest, stored.size, stored.name, stored.updated)

    def _holds(self, name: str, md5: bytes | None, digest: Digest) -> bool:
        """Says whether the link names what its folder says; the store's sum tells it, mostly."""
        if md5 is not None:
            return md5 == links.sum_of(digest)
        try:
            return links.read(self._place.read(name, links.MOST_BYTES)) == digest
        except ObjectMissing:
            return False

    def _note(self, old: Old, digest: Digest, refusal: Refusal) -> None:
        problem = Problem(old.path, "manifest", str(digest), refusal.reason, refusal.detail)
        self._database.batch(problems.noting(old.source_id, [problem]))
