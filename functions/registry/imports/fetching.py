"""What a client asks for and only an older registry has: looked for there, one object at a time, and taken over.

A touch makes few requests to the store, whatever the repository's size: a look at the link that gives the right, and
the manifest's own bytes. Blobs are asked for only if the listing has not told of them. What is found to be broken is
answered as if it were not there, and noted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.imports import names
from functions.registry.imports.older_store import OlderStore
from functions.registry.imports.origin import Blobs
from functions.registry.imports.sources import OpenSources
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import adoption
from functions.registry.metadata.imports.touching import lookups, touches
from functions.registry.metadata.imports.touching.lookups import Old
from functions.registry.metadata.imports.touching.steps import BeginAnew
from functions.registry.metadata.imports.touching.touches import Touch
from functions.registry.metadata.imports.vocabulary import ListedTag
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Reference, RepositoryName, Tag

_ATTEMPTS: Final = 4
# Of an index of referrers that an older client has kept under a tag.
_MOST_REFERRERS: Final = 32
_LONGEST_TAG: Final = 128


class NotListedYet(BlobStoreUnavailable):
    """A list would lack something: it is complete a moment later."""


class Fetching:
    """What Touching does where something is being moved in."""

    def __init__(
        self, database: Database, sources: OpenSources, reach: Callable[[Old], Blobs], largest_manifest_bytes: int
    ) -> None:
        self._database = database
        self._sources = sources
        self._store = OlderStore(database, reach, largest_manifest_bytes)

    def decided(self, repository: RepositoryName, reference: Reference) -> Reference | None:
        """Returns what is to be answered with. Where the older registry decides, that is what the tag names there at
        this moment; None if it names nothing. What was pushed or deleted here since is as it is here.
        """
        if not isinstance(reference, Tag):
            return reference
        for old in self._look(repository):
            if old.mode != "follow":
                continue
            base = lookups.find_tag(self._database, old, repository, reference)
            if base.is_deleted or (base.here is not None and not base.is_base):
                return reference
            with self._store.one_of_few():
                named = self._store.named(old, reference)
            if named is not None:
                return named.digest
            if old.id is not None:
                return None
        return reference

    def fetch_manifest(self, repository: RepositoryName, reference: Reference) -> bool:
        """Says whether there is a manifest to be had after all: it is here now, with its links, and with the tag."""
        for old in self._look(repository):
            if not isinstance(reference, Tag):
                if self._touch(old, repository, reference):
                    return True
                continue
            base = lookups.find_tag(self._database, old, repository, reference)
            if base.is_deleted:
                return False
            if base.here is not None:
                return True
            if old.mode == "lead" and base.listed is not None:
                # What it named when it was listed may be gone since, and the tag be moved.
                if self._touch(old, repository, base.listed, reference):
                    return True
            elif old.mode == "lead" and old.is_listed:
                continue
            with self._store.one_of_few():
                named = self._store.named(old, reference)
            if named is not None and self._touch(old, repository, named.digest, reference, named.listed):
                return True
        return False

    def fetch_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Says whether the blob is to be had after all: the repository links it now."""
        return any(self._touch_link(old, repository, digest) for old in self._look(repository))

    def fetch_references(self, repository: RepositoryName, digests: Sequence[Digest]) -> bool:
        """Says whether any of these, which a push found to be missing, is here now: a blob or a manifest."""
        olds = self._look(repository)
        fetched = [
            self._touch_link(old, repository, digest) or self._touch(old, repository, digest)
            for old in olds
            for digest in digests
        ]
        return any(fetched)

    def fetch_referrers(self, repository: RepositoryName, subject: Digest) -> None:
        """Fetches what clients of the older registry have noted as referrers under a tag made of the digest, for want
        of a list.
        """
        for old in self._look(repository):
            if old.id is not None:
                touches.ask_for(self._database, old.id)
            fallback = Tag.parse(f"{subject.algorithm}-{subject.hex}"[:_LONGEST_TAG])
            base = lookups.find_tag(self._database, old, repository, fallback)
            if base.listed is None or base.is_deleted:
                continue
            with self._store.one_of_few():
                index = self._store.read_manifest(old, base.listed)
            if index is None:
                continue
            listed = index.manifest
            for child in [*listed.child_digests, *listed.listed_digests][:_MOST_REFERRERS]:
                self._touch(old, repository, child)

    def require_writable(self, repository: RepositoryName) -> None:
        """Raises Followed where the older registry decides: a push would be refused at its end, so it is at its
        start.
        """
        lookups.refuse_followed(self._database, repository)

    def require_listed(self, repository: RepositoryName) -> None:
        """Raises NotListedYet while only a part of what its tags are is known. Its import comes before those that
        nobody asked for.
        """
        for old in self._look(repository):
            if old.id is not None:
                touches.ask_for(self._database, old.id)
            elif self._store.has_repository(old):
                self._know(old, repository)
            else:
                continue
            if not old.is_listed:
                raise NotListedYet(f"{repository} is being listed")

    def make_here(self, repository: RepositoryName) -> None:
        """Makes the repository here, empty, if only an older registry has it: then it can be deleted, and stays so."""
        for old in self._look(repository):
            if old.id is not None or self._store.has_repository(old):
                self._know(old, repository)
                touches.place(self._database, old.source_id, repository)

    def _look(self, repository: RepositoryName) -> list[Old]:
        """Tells where what isn't here may be."""
        sources = self._sources.layouts()
        if not sources or repository == names.GUARD:
            return []
        found = lookups.find(self._database, repository, sources)
        return [old for old in found if old.is_awaited and self._store.reaches(old)]

    def _touch(
        self,
        old: Old,
        repository: RepositoryName,
        digest: Digest,
        tag: Tag | None = None,
        listed: ListedTag | None = None,
    ) -> bool:
        if lookups.is_deleted(self._database, repository, digest):
            return False
        with self._store.one_of_few():
            fetched = self._store.read_manifest(old, digest)
            if fetched is None:
                return False
            self._know(old, repository)
            for _ in range(_ATTEMPTS):
                found, present = self._store.find_blobs(old, fetched.blobs)
                touch = Touch(old.source_id, repository, fetched, found, present, tag, listed)
                try:
                    return touches.touch_manifest(self._database, touch)
                except BeginAnew:
                    continue
        raise BlobStoreUnavailable(f"{repository} changes too fast to fetch {digest}")

    def _touch_link(self, old: Old, repository: RepositoryName, digest: Digest) -> bool:
        if lookups.is_deleted(self._database, repository, digest):
            return False
        with self._store.one_of_few():
            lies_as = self._store.layer(old, digest)
            if lies_as is None:
                return False
            self._know(old, repository)
            for _ in range(_ATTEMPTS):
                found = None
                if adoption.unknown(self._database, [digest]):
                    if self._store.is_copied(old, digest, lies_as):
                        if not self._store.copy(old, digest, lies_as):
                            return False
                    elif (found := self._store.find_blob(old, digest)) is None:
                        return False
                try:
                    return touches.touch_link(self._database, old.source_id, repository, digest, found)
                except BeginAnew:
                    continue
        raise BlobStoreUnavailable(f"{repository} changes too fast to fetch {digest}")

    def _know(self, old: Old, repository: RepositoryName) -> None:
        if old.id is None:
            touches.note_repository(self._database, old.source_id, old.path, repository)
