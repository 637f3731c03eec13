"""Links to blobs that the source has: what this registry does not know is asked for, and only the store's no counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from functions.migrate.imports.batch import Batch, chunks
from functions.registry.metadata.db import Call, Conflict, Session
from functions.registry.metadata.imports import adoption, content, mode
from functions.registry.metadata.imports.bulk import bulk_steps
from functions.registry.metadata.imports.bulk.bulk_steps import Lost
from functions.registry.metadata.imports.content import IncomingLink
from functions.registry.oci.digest import Digest

MOST_ATTEMPTS: Final = 8
MOST_LINKS: Final = 5000

Pair = tuple[int, Digest]
# Begins a transaction in the given mode, and gives the id here of each member.
Begin = Callable[[Session, Call[str]], dict[int, int]]


class Again(Exception):
    """Something came in between each time: all of it is done once more, later."""


class Collected(Exception):
    """Something that was here before is not any more: all of it is looked at anew."""


class Links:
    """`denied` are digests of which the store has no blob."""

    def __init__(self, batch: Batch, begin: Begin) -> None:
        self._batch = batch
        self._begin = begin
        self._made: set[Pair] = set()
        self._deleted: set[Pair] = set()
        self.denied: set[Digest] = set()

    def make_listed(self, links: Mapping[Pair, datetime | None]) -> None:
        """Links what is linked there, as below, but for what somebody deleted here: unless a manifest names it, that
        does not come back.
        """
        for chunk in chunks(sorted(links), MOST_LINKS):
            self._note_missing(self._make({pair: links[pair] for pair in chunk}, is_named=False))
            self._made.update(set(chunk) - self._deleted)

    def make(self, named: Iterable[Pair], *, is_needed: bool = True) -> None:
        """Links what manifests name and the store has, each once; what is needed, and it denies, is noted. Raises
        BlobStoreUnavailable.
        """
        for chunk in chunks(sorted(set(named) - self._made), MOST_LINKS):
            left = self._make(dict.fromkeys(chunk), is_named=True)
            self._made.update(chunk)
            if is_needed:
                self._note_missing(left)

    def _make(self, links: Mapping[Pair, datetime | None], *, is_named: bool) -> set[Pair]:
        """Returns those that could not be made, for there is no blob."""
        for _ in range(MOST_ATTEMPTS):
            wanted = {pair: moment for pair, moment in links.items() if pair[0] in self._batch.members}
            if not wanted:
                return set()
            self._bring({digest for _, digest in wanted} - self.denied)

            def work(session: Session, wanted: Mapping[Pair, datetime | None] = wanted) -> set[Pair]:
                held = self._begin(session, mode.linking())
                dead = set() if is_named else bulk_steps.deleted_here(session, wanted)
                incoming = [
                    IncomingLink(held[id_], digest, moment)
                    for (id_, digest), moment in wanted.items()
                    if (id_, digest) not in dead
                ]
                made = session.count(content.putting_links(incoming))
                if not is_named and bulk_steps.deleted_here(session, wanted) - dead:
                    raise Collected
                self._deleted |= dead
                # What this transaction has put in is there.
                return bulk_steps.unlinked(session, wanted) - dead if made < len(incoming) else set()

            try:
                left = self._batch.work.database.transaction(work)
            except Lost as lost:
                self._batch.keep(lost.left)
            except (Conflict, Collected):
                continue
            else:
                # A blob that was here may have been collected, and its object be there all the same.
                if all(digest in self.denied for _, digest in left):
                    return left
        raise Again

    def _bring(self, digests: set[Digest]) -> None:
        unknown = adoption.unknown(self._batch.work.database, sorted(digests))
        self.denied |= self._batch.work.blobs.bring(unknown, self._batch.aliases())

    def _note_missing(self, pairs: Iterable[Pair]) -> None:
        for id_, digest in pairs:
            if (member := self._batch.members.get(id_)) is not None:
                member.note("blob", str(digest), "blob_missing")
