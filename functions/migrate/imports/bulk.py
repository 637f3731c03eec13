"""Repositories are imported whole: links, then manifests from the leaves up, then tags; in steps, each a transaction.

A step inserts first and looks second: whoever deletes something here meanwhile is seen in the next statement, and then
the step begins anew. Killed at any point it leaves what was committed, which is found and not written again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from functions.migrate.imports import tagged
from functions.migrate.imports.batch import Batch, Member, Work, chunks
from functions.migrate.imports.links import MOST_ATTEMPTS, MOST_LINKS, Again, Collected, Links, Pair
from functions.migrate.imports.reading import Payloads, Read, Reading
from functions.registry.metadata.db import Call, Conflict, Session
from functions.registry.metadata.imports import content, mode, problems
from functions.registry.metadata.imports.bulk import bulk_steps, deltas, last_steps, listed_tags
from functions.registry.metadata.imports.bulk.bulk_steps import Lost
from functions.registry.metadata.imports.bulk.listed_tags import RisenTags
from functions.registry.metadata.imports.content import IncomingManifest
from functions.registry.metadata.imports.vocabulary import ListedTag
from functions.registry.oci.digest import Digest

_MOST_TAGS: Final = 5000


class OutOfTime(Exception):
    """The rest is for a later run."""


class Importing:
    """The import of a batch, as far as its repositories are still its own when it comes to them.

    Raises OutOfTime once a step has ended after `deadline`, by the monotonic clock; Again, BlobStoreUnavailable and
    MetadataUnavailable. What was committed stays.
    """

    most_reviews: Final = 5000

    def __init__(self, batch: Batch, kept: Payloads, deadline: float) -> None:
        self._batch = batch
        self._work: Work = batch.work
        self._kept = kept
        self._deadline = deadline
        self._links = Links(batch, self._begin)

    def run(self) -> None:
        for _ in range(MOST_ATTEMPTS):
            try:
                self._run()
            except Collected:
                self._links = Links(self._batch, self._begin)
            else:
                return
        raise Again

    def _run(self) -> None:
        self._links.make_listed(self._layers())
        levels: list[list[Read]] = []
        for step in Reading(self._batch, self._wanted(), self._kept).levels():
            # The last one is kept for the transaction in which all ends: small repositories have no other.
            if levels:
                self._put(levels)
            levels = step
        self._end(levels)

    def _layers(self) -> dict[Pair, datetime | None]:
        members = self._batch.members.items()
        return {(id_, digest): at for id_, member in members for digest, at in member.old.layers.items()}

    def _wanted(self) -> set[Pair]:
        """Returns revisions that are not here, and that nobody has deleted here."""
        pairs = set[Pair]()
        for id_, member in self._batch.members.items():
            doubtful = member.old.doubtful if not self._work.source.is_repairing else set()
            for digest in doubtful:
                member.refuse(digest, "link_broken", "its link names something else, or nothing")
            pairs |= {(id_, digest) for digest in member.old.revisions.keys() - doubtful}
        return self._chosen(self._absent(pairs))

    def _chosen(self, wanted: set[Pair]) -> set[Pair]:
        """Leaves out what belongs to nothing that is tagged, if somebody chose so, and counts it."""
        if self._work.source.untagged != "skip":
            return wanted
        chosen = tagged.belonging(self._batch, wanted, self._kept)
        for id_, _ in wanted - chosen:
            self._batch.members[id_].left_out += 1
        return chosen

    def _absent(self, pairs: set[Pair]) -> set[Pair]:
        database = self._work.database
        for chunk in chunks(sorted(pairs), MOST_LINKS):
            pairs = pairs - bulk_steps.manifests_here(database, chunk) - bulk_steps.deleted_here(database, chunk)
        return pairs

    def _begin(self, session: Session, first: Call[str]) -> dict[int, int]:
        return bulk_steps.begin(session, self._work.source.id, self._batch.targets(), first)

    def _put(self, levels: list[list[Read]]) -> None:
        self._prepare(levels)
        self._retrying(lambda session: self._put_content(session, self._begin(session, mode.importing()), levels))
        self._require_time()

    def _end(self, levels: list[list[Read]]) -> None:
        """Puts the tags, of many in steps of their own; then all is here."""
        bases = self._batch.bases()
        if levels and len(bases) > _MOST_TAGS:
            self._put(levels)
            levels = []
        self._prepare(levels)
        for first in range(0, max(len(bases) - _MOST_TAGS, 0), _MOST_TAGS):
            self._put_tags(bases[first : first + _MOST_TAGS])
        self._note_tags()
        self._retrying(lambda session: self._finish(session, levels))
        if self._batch.members:
            last_steps.settle(self._work.database, self._batch.done(), self.most_reviews)

    def _put_tags(self, some: listed_tags.Bases) -> None:
        def work(session: Session) -> None:
            held = self._begin(session, mode.importing())
            mine = [base for base in some if base[0] in held]
            session.batch(listed_tags.locking_tags(held, mine))
            listed_tags.put_tags(session, mine)

        self._retrying(work)
        self._require_time()

    def _finish(self, session: Session, levels: list[list[Read]]) -> None:
        """What was fetched before follows its source to where that is now."""
        held = self._begin(session, mode.importing())
        bases = self._batch.bases()
        last = bases[-_MOST_TAGS:]
        changed, gone = self._differing(listed_tags.settled(session, held))
        deltas.lock_tags(session, held, [*changed, *last], gone)
        changed, gone = self._differing(listed_tags.settled(session, held, is_held=True))
        self._put_content(session, held, levels)
        self._follow(session, changed, gone)
        listed_tags.put_tags(session, last)
        last_steps.finish(session, self._batch.done(), bases, self._batch.problems())
        last_steps.note_baseline(session, self._batch.done())

    def _differing(self, known: Mapping[tuple[int, str], int]) -> tuple[list[tuple[int, ListedTag]], deltas.Gone]:
        """Returns, of tags whose generation is `known`, those that changed in the source since, and those that went."""
        listed = {(id_, tag.name): (id_, tag) for id_, tag in self._batch.bases()} if known else {}
        changed = [listed[key] for key, base in known.items() if key in listed and listed[key][1].generation > base]
        return changed, sorted(known.keys() - listed.keys())

    def _follow(self, session: Session, changed: deltas.Changed, gone: deltas.Gone) -> None:
        keeps_deleted = self._work.source.keeps_deleted
        if conflicts := deltas.follow(session, changed, gone, keeps_deleted=keeps_deleted):
            for conflict in conflicts:
                self._batch.members[conflict.id].note("tag", conflict.tag, "conflict", conflict.detail)
            self._note_problems(session)

    def _put_content(self, session: Session, held: dict[int, int], levels: list[list[Read]]) -> None:
        asked = [(read.id, read.digest) for level in levels for read in level if read.id in held]
        dead = bulk_steps.deleted_here(session, asked)
        incoming = [
            [self._incoming(held, read) for read in level if read.id in held and (read.id, read.digest) not in dead]
            for level in levels
        ]
        flat = [came for level in incoming for came in level]
        if flat:
            is_whole = content.put_manifests(session, incoming)
            present = set(content.blobs_of(flat)) - self._links.denied
            if not is_whole and session.all(content.left_out(flat, present)):
                raise Collected
        self._note_problems(session)
        if bulk_steps.deleted_here(session, asked) - dead:
            raise Again

    def _note_problems(self, session: Session) -> None:
        if noting := problems.noting(self._work.source.id, self._batch.problems()):
            session.batch(noting)

    def _incoming(self, held: dict[int, int], read: Read) -> IncomingManifest:
        pushed_at = self._batch.members[read.id].old.revisions[read.digest]
        return IncomingManifest(held[read.id], read.digest, read.manifest, read.payload, pushed_at)

    def _retrying(self, work: Callable[[Session], None]) -> None:
        for _ in range(MOST_ATTEMPTS):
            if not self._batch.members:
                return
            try:
                with self._work.pace.step():
                    self._work.database.transaction(work)
            except Lost as lost:
                self._batch.keep(lost.left)
            except (Again, Conflict, RisenTags):
                continue
            else:
                return
        raise Again

    def _require_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise OutOfTime

    def _prepare(self, levels: list[list[Read]]) -> None:
        """Links what they name, and notes what about that is not as they say."""
        reads = [read for level in levels for read in level if read.id in self._batch.members]
        named = {(read.id, digest) for read in reads for digest in read.manifest.required_blobs}
        elsewhere = {(read.id, digest) for read in reads for digest in read.manifest.optional_blobs} - named
        self._links.make(named)
        self._links.make(elsewhere, is_needed=False)
        sizes = bulk_steps.sizes(self._work.database, (digest for _, digest in named))
        for read in reads:
            if (member := self._batch.members.get(read.id)) is not None:
                _note(member, read, sizes)

    def _note_tags(self) -> None:
        for member in self._batch.members.values():
            for tag in member.old.tags.values():
                if tag.digest not in member.old.revisions:
                    member.note("tag", tag.name, "link_missing", f"it names {tag.digest}, which has no link")


def _note(member: Member, read: Read, sizes: dict[Digest, int]) -> None:
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
