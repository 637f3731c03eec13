"""What isn't here and may be in an older registry that is being moved in: asked for where there is one, and only then.

Most registries have none: what would look there is loaded when the first is opened (fetching.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from functions.registry.imports.sources import OpenSources
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Reference, RepositoryName, Tag

if TYPE_CHECKING:
    from functions.registry.imports.fetching import Fetching
    from functions.registry.imports.origin import Blobs
    from functions.registry.metadata.imports.touching.lookups import Old


class Touching:
    """One for each process. All methods raise MetadataUnavailable and BlobStoreUnavailable; where nothing is being
    moved in, they ask nobody.
    """

    def __init__(
        self, database: Database, sources: OpenSources, reach: Callable[[Old], Blobs], largest_manifest_bytes: int
    ) -> None:
        """`reach` opens the source of a repository, and raises FolderRefused where that can't be reached from here."""
        self._database = database
        self.sources = sources
        self._reach = reach
        self._largest_manifest_bytes = largest_manifest_bytes

    @cached_property
    def _fetching(self) -> Fetching:
        from functions.registry.imports.fetching import Fetching  # noqa: PLC0415  # as above

        return Fetching(self._database, self.sources, self._reach, self._largest_manifest_bytes)

    def decided(self, repository: RepositoryName, reference: Reference) -> Reference | None:
        """Returns what is to be answered with. Where the older registry decides, that is what the tag names there at
        this moment; None if it names nothing. What was pushed or deleted here since is as it is here.
        """
        if not isinstance(reference, Tag) or not self.sources.is_any_followed():
            return reference
        return self._fetching.decided(repository, reference)

    def fetch_manifest(self, repository: RepositoryName, reference: Reference) -> bool:
        """Says whether there is a manifest to be had after all: it is here now, with its links, and with the tag."""
        return bool(self.sources.layouts()) and self._fetching.fetch_manifest(repository, reference)

    def fetch_blob(self, repository: RepositoryName, digest: Digest) -> bool:
        """Says whether the blob is to be had after all: the repository links it now."""
        return bool(self.sources.layouts()) and self._fetching.fetch_blob(repository, digest)

    def fetch_references(self, repository: RepositoryName, digests: Sequence[Digest]) -> bool:
        """Says whether any of these, which a push found to be missing, is here now: a blob or a manifest."""
        return bool(self.sources.layouts()) and self._fetching.fetch_references(repository, digests)

    def fetch_referrers(self, repository: RepositoryName, subject: Digest) -> None:
        """Fetches what clients of the older registry have noted as referrers under a tag made of the digest, for want
        of a list.
        """
        if self.sources.layouts():
            self._fetching.fetch_referrers(repository, subject)

    def require_writable(self, repository: RepositoryName) -> None:
        """Raises Followed where the older registry decides: a push would be refused at its end, so it is at its
        start.
        """
        if self.sources.is_any_followed():
            self._fetching.require_writable(repository)

    def require_listed(self, repository: RepositoryName) -> None:
        """Raises NotListedYet while only a part of what its tags are is known. Its import comes before those that
        nobody asked for.
        """
        if self.sources.layouts():
            self._fetching.require_listed(repository)

    def make_here(self, repository: RepositoryName) -> None:
        """Makes the repository here, empty, if only an older registry has it: then it can be deleted, and stays so."""
        if self.sources.layouts():
            self._fetching.make_here(repository)
