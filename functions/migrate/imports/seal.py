"""The seal: an older registry is moved in to its end, and what nothing needs of it becomes garbage like any other.

Whatever dies in the middle, the same once more goes on. Not undone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from functions.registry.imports import names
from functions.registry.imports.places import Place
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.ending import garbage, sealing
from functions.registry.metadata.imports.ending.sealing import Awaited
from functions.registry.metadata.imports.ending.transactions import wait_for_all
from functions.registry.metadata.imports.vocabulary import Source

_WAIT_SECONDS: Final = 60.0
_MOST_NAMED: Final = 10


class SealRefused(Exception):
    """The message says what has to be done first."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """`check` raises SealRefused, or nothing: a last comparison with the source, where somebody wants one."""

    database: Database
    place: Place
    check: Callable[[], None] = lambda: None
    wait_seconds: float = _WAIT_SECONDS

    def seal(self, source_id: int) -> None:
        """Does all of it. Raises SealRefused before anything has changed, and MetadataUnavailable and
        BlobStoreUnavailable.
        """
        source = sources.get(self.database, source_id)
        if source is None or source.state == "added":
            raise SealRefused("there is no such source, or it was never started")
        if source.state not in ("sealing", "sealed"):
            self.check()
            self._require_complete(source)
            if not sealing.begin(self.database, source_id):
                raise SealRefused("repositories are still listed, imported or compared: wait for them")
        if source.state != "sealed":
            # Whoever fetched something at this moment is through with it: nothing is imported from now on.
            self._wait()
            garbage.queue_garbage(self.database, source)
            sealing.end(self.database, source_id)
        # Whoever queued the deletion of an object by what was true before has done so.
        self._wait()
        garbage.date_deletions(self.database, source)
        garbage.drop(self.database, source_id)

    def _wait(self) -> None:
        if not wait_for_all(self.database, self.wait_seconds):
            raise SealRefused("a transaction is open for long: seal again once it is over")

    def _require_complete(self, source: Source) -> None:
        if unfinished := sealing.unfinished(self.database, source.id, _MOST_NAMED):
            raise SealRefused(f"not imported or compared yet: {', '.join(unfinished)}")
        if source.prefix is None:
            return
        for each in sealing.awaited(self.database, source.id):
            if self._is_there(source.prefix, each):
                raise SealRefused(f"{each.path} needs {each.digest}, which lies in the bucket: import it once more")

    def _is_there(self, prefix: str, awaited: Awaited) -> bool:
        """Says whether the repository there has it: the object alone may be another repository's."""
        links = (names.layer_link_name, names.revision_link_name)
        return any(self.place.find(prefix + link(awaited.path, awaited.digest)) is not None for link in links) and (
            self.place.find(prefix + names.blob_name(awaited.digest)) is not None
        )
