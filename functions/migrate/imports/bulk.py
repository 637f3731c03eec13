"""Repositories are imported whole: links, then manifests from the leaves up, then tags; in steps, each a transaction.

A step inserts first and looks second: whoever deletes something here meanwhile is seen in the next statement, and then
the step begins anew. Killed at any point it leaves what was committed, which is found and not written again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from functions.migrate.imports.batch import Batch, Member, Work, chunks
from functions.migrate.imports.reading import Payloads, Read, Reading
from functions.registry.metadata.db import Conflict, Session
from functions.registry.metadata.imports import adoption, bulk_steps, content, last_steps, mode, problems
from functions.registry.metadata.imports.bulk_steps import Lost
from functions.registry.metadata.imports.content import IncomingLink, IncomingManifest
from functions.registry.metadata.imports.last_steps import RisenTags
from functions.registry.oci.digest import Digest

Answer = TypeVar("Answer")
Pair = tuple[int, Digest]

_ATTEMPTS: Final = 8
_MOST_LINKS: Final = 5000
_MOST_TAGS: Final = 5000
_MOST_REVIEWS: Final = 5000


class Again(Exception):
    """Something came in between: all of the step is done once more."""


class OutOfTime(Exception):
    """The rest is for a later run."""


def import_batch(batch: Batch, kept: Payloads, deadline: float) -> None:
    """All of its repositories, as far as they are still its own when it comes to them.

    Raises OutOfTime once a step has ended after `deadline`, by the monotonic clock; BlobStoreUnavailable and
    MetadataUnavailable. What was committed stays.
    """
    _Importing(batch, kept, deadline).run()


class _Importing:
    def __init__(self, batch: Batch, kept: Payloads, deadline: float) -> None:
        self._batch = batch
        self._work: Work = batch.work
        self._kept = kept
        self._deadline = deadline
        # Blobs that the store does not have.
        self._denied: set[Digest] = set()

    def run(self) -> None:
        batch = self._batch
        layers = {
            (id_, digest): moment
            for id_, member in batch.members.items()
            for digest, moment in member.old.layers.items()
        }
        for chunk in chunks(layers, _MOST_LINKS):
            self._link({pair: IncomingLink(0, pair[1], layers[pair]) for pair in chunk})
        levels: list[list[Read]] = []
        for step in Reading(batch, self._wanted(), self._kept).levels():
            # The last one is kept for the transaction in which all ends: small repositories have no other.
            if levels:
                self._put(levels)
                self._require_time()
            levels = step
        self._end(levels)

    def _wanted(self) -> set[Pair]:
        """Revisions that are not here, and that nobody has deleted here."""
        pairs = set[Pair]()
        for id_, member in self._batch.members.items():
            doubtful = member.old.doubtful if not self._work.source.is_repairing else set()
            for digest in doubtful:
                member.refuse(digest, "link_broken", "its link names something else, or nothing")
            pairs |= {(id_, digest) for digest in member.old.revisions.keys() - doubtful}
        database = self._work.database
        for chunk in chunks(sorted(pairs), _MOST_LINKS):
            pairs -= bulk_steps.manifests_here(database, chunk) | bulk_steps.manifests_deleted(database, chunk)
        return pairs

    def _link(self, links: dict[Pair, IncomingLink], *, is_needed: bool = True) -> None:
        """Links what the store has; what is needed, and it denies, is noted."""
        for _ in range(_ATTEMPTS):
            wanted = {pair: link for pair, link in links.items() if pair[0] in self._batch.members}
            self._bring({digest for _, digest in wanted} - self._denied)

            def work(session: Session, wanted: dict[Pair, IncomingLink] = wanted) -> set[Pair]:
                held = bulk_steps.begin(session, self._work.source.id, self._batch.targets(), mode.linking())
                session.count(
                    content.putting_links(
                        [IncomingLink(held[id_], digest, link.linked_at) for (id_, digest), link in wanted.items()]
                    )
                )
                return bulk_steps.unlinked(session, wanted)

            try:
                left = self._work.database.transaction(work)
            except Lost as lost:
                self._batch.keep(lost.left)
            except Conflict:
                continue
            else:
                if all(digest in self._denied for _, digest in left):
                    self._note_missing(left if is_needed else ())
                    return
        raise Again

    def _bring(self, digests: set[Digest]) -> None:
        unknown = adoption.unknown(self._work.database, sorted(digests))
        self._denied |= self._work.blobs.bring(unknown, self._batch.aliases())

    def _note_missing(self, pairs: Iterable[Pair]) -> None:
        for id_, digest in pairs:
            if (member := self._batch.members.get(id_)) is not None:
                member.note("blob", str(digest), "blob_missing")

    def _put(self, levels: list[list[Read]]) -> None:
        self._prepare(levels)
        self._retrying(lambda session: self._put_content(session, levels, tags=False))

    def _end(self, levels: list[list[Read]]) -> None:
        """The tags, of many in steps of their own; then all is here."""
        self._prepare(levels)
        if len(self._batch.bases()) > _MOST_TAGS and levels:
            self._retrying(lambda session: self._put_content(session, levels, tags=False))
            levels = []
        bases = self._batch.bases()
        for first in range(0, max(len(bases) - _MOST_TAGS, 0), _MOST_TAGS):
            some = bases[first : first + _MOST_TAGS]
            self._retrying(lambda session, some=some: self._put_tags(session, some))  # type: ignore[misc]
            self._require_time()
        self._note_tags()
        self._retrying(lambda session: self._put_content(session, levels, tags=True))
        if self._batch.members:
            last_steps.settle(self._work.database, self._batch.done(), _MOST_REVIEWS)

    def _put_tags(self, session: Session, some: last_steps.Bases) -> None:
        held = self._begin(session)
        mine = [base for base in some if base[0] in held]
        session.batch(last_steps.locking_tags(held, mine))
        last_steps.put_tags(session, mine)

    def _put_content(self, session: Session, levels: list[list[Read]], *, tags: bool) -> None:
        batch = self._batch
        held = self._begin(session)
        asked = [(read.id, read.digest) for level in levels for read in level if read.id in held]
        dead = bulk_steps.manifests_deleted(session, asked)
        incoming = [
            [self._incoming(held, read) for read in level if read.id in held and (read.id, read.digest) not in dead]
            for level in levels
        ]
        flat = [came for level in incoming for came in level]
        bases = batch.bases()[-_MOST_TAGS:] if tags else []
        if locking := last_steps.locking_tags(held, bases):
            session.batch(locking)
        if flat:
            session.batch(content.putting_manifests(incoming))
            if session.all(content.left_out(flat, set(content.blobs_of(flat)) - self._denied)):
                raise Again
        if bulk_steps.manifests_deleted(session, asked) - dead:
            raise Again
        if tags:
            last_steps.put_tags(session, bases)
            last_steps.finish(session, batch.done(), batch.bases(), batch.problems())
        session.batch(problems.noting(self._work.source.id, batch.problems()) or [mode.importing()])

    def _begin(self, session: Session) -> dict[int, int]:
        return bulk_steps.begin(session, self._work.source.id, self._batch.targets(), mode.importing())

    def _incoming(self, held: dict[int, int], read: Read) -> IncomingManifest:
        pushed_at = self._batch.members[read.id].old.revisions[read.digest]
        return IncomingManifest(held[read.id], read.digest, read.manifest, read.payload, pushed_at)

    def _retrying(self, work: Callable[[Session], Answer]) -> Answer | None:
        """None if no repository is left to do it for."""
        for _ in range(_ATTEMPTS):
            if not self._batch.members:
                return None
            try:
                with self._work.pace.step():
                    return self._work.database.transaction(work)
            except Lost as lost:
                self._batch.keep(lost.left)
            except (Again, Conflict, RisenTags):
                continue
        raise Again

    def _require_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise OutOfTime

    def _prepare(self, levels: list[list[Read]]) -> None:
        """Links what they name, and notes what about that is not as they say."""
        reads = [read for level in levels for read in level if read.id in self._batch.members]
        named = {(read.id, digest) for read in reads for digest in read.manifest.required_blobs}
        elsewhere = {(read.id, digest) for read in reads for digest in read.manifest.optional_blobs} - named
        for pairs, is_needed in ((named, True), (elsewhere, False)):
            unlinked = [pair for pair in pairs if pair[1] not in self._batch.members[pair[0]].old.layers]
            for chunk in chunks(sorted(unlinked), _MOST_LINKS):
                self._link({pair: IncomingLink(0, pair[1]) for pair in chunk}, is_needed=is_needed)
        sizes = bulk_steps.sizes(self._work.database, (digest for _, digest in named))
        for read in reads:
            if (member := self._batch.members.get(read.id)) is not None:
                self._note(member, read, sizes)

    def _note(self, member: Member, read: Read, sizes: dict[Digest, int]) -> None:
        for blob in read.manifest.blobs:
            if (size := sizes.get(blob.digest)) is not None and size != blob.size:
                member.note("blob", str(blob.digest), "blob_size", f"{size} bytes; {read.digest} says {blob.size}")
        for digest in read.manifest.required_blobs:
            if digest not in member.old.layers and digest in sizes:
                member.note("layer", str(digest), "link_repaired", f"named by {read.digest}")
        for digest in read.manifest.child_digests:
            if digest not in member.old.revisions:
                member.note("manifest", str(digest), "child_missing", f"listed by {read.digest}")
        if read.digest in member.old.doubtful:
            member.note("manifest", str(read.digest), "link_repaired", "its link named something else")

    def _note_tags(self) -> None:
        for member in self._batch.members.values():
            for tag in member.old.tags.values():
                if tag.digest not in member.old.revisions:
                    member.note("tag", tag.name, "link_missing", f"it names {tag.digest}, which has no link")
