"""What has changed in a source since a repository was imported, by a three-way rule for each tag.

A tag that is still here as it was imported follows the source; one that somebody changed here stays, and if it changed
there too, that is told as a conflict. The rules of this registry hold: what they protect stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from functions.migrate.imports.batch import Batch
from functions.migrate.imports.bulk import Importing
from functions.migrate.imports.links import Collected, Pair
from functions.migrate.imports.reading import Payloads, Read
from functions.registry.imports import payloads
from functions.registry.imports.payloads import Refusal
from functions.registry.metadata.db import Call, Session
from functions.registry.metadata.imports import mode
from functions.registry.metadata.imports.bulk import bulk_steps, deltas, last_steps, listed_tags
from functions.registry.metadata.imports.vocabulary import ListedTag

# What was written while the last listing was under way may have been missed by it; and clocks differ.
_SLACK: Final = timedelta(minutes=5)


class Delta(Importing):
    """As an import, for repositories that are imported: only what is new is read, and only what changed is written."""

    def __init__(self, batch: Batch, kept: Payloads, deadline: float) -> None:
        super().__init__(batch, kept, deadline)
        known = deltas.bases(self._work.database, list(batch.members))
        self._changed: list[tuple[int, ListedTag]] = [
            (id_, tag)
            for id_, tag in batch.bases()
            if (base := known.get((id_, tag.name))) is None or tag.generation > base
        ]
        listed = {(id_, tag.name) for id_, tag in batch.bases()}
        self._gone = sorted(known.keys() - listed)

    def _begin(self, session: Session, first: Call[str]) -> dict[int, int]:
        return bulk_steps.begin_again(session, self._work.source.id, self._batch.targets(), first)

    def _layers(self) -> dict[Pair, datetime | None]:
        """Returns new layers: those that are missing otherwise were collected here, unless something names them."""
        return {(id_, digest): at for (id_, digest), at in super()._layers().items() if at and self._is_new(id_, at)}

    def _wanted(self) -> set[Pair]:
        """Returns new revisions, and whatever the tags name that have changed, with all that those list."""
        new = {
            (id_, digest)
            for id_, member in self._batch.members.items()
            for digest, at in member.old.revisions.items()
            if self._is_new(id_, at)
        }
        named = {(id_, tag.digest) for id_, tag in self._changed}
        wanted: set[Pair] = set()
        found = self._absent(self._there(new | named))
        while found:
            wanted |= found
            found = self._absent(self._there(self._children(found)) - wanted)
        return self._chosen(wanted)

    def _there(self, pairs: set[Pair]) -> set[Pair]:
        members = self._batch.members
        return {(id_, digest) for id_, digest in pairs if id_ in members and digest in members[id_].old.revisions}

    def _children(self, pairs: set[Pair]) -> set[Pair]:
        found: set[Pair] = set()
        read = self._kept.read(digest for _, digest in pairs)
        for id_, digest in pairs:
            payload = read[digest]
            if payload is None:
                continue
            manifest = payloads.take(digest, payload, self._work.largest_manifest_bytes)
            if not isinstance(manifest, Refusal):
                found |= {(id_, child) for child in (*manifest.child_digests, *manifest.listed_digests)}
        return found

    def _is_new(self, id_: int, at: datetime) -> bool:
        compared_at = self._batch.members[id_].claim.compared_at
        return compared_at is None or at >= compared_at - _SLACK

    def _end(self, levels: list[list[Read]]) -> None:
        self._prepare(levels)
        self._note_tags()
        self._retrying(lambda session: self._finish(session, levels))
        if self._batch.members:
            last_steps.settle(self._work.database, self._batch.done(), self.most_reviews)

    def _finish(self, session: Session, levels: list[list[Read]]) -> None:
        batch = self._batch
        held = self._begin(session, mode.importing())
        changed = [(id_, tag) for id_, tag in self._changed if id_ in held]
        gone = [(id_, name) for id_, name in self._gone if id_ in held]
        deltas.lock_tags(session, held, changed, gone)
        self._put_content(session, held, levels)
        self._require_here(session, {(id_, tag.digest) for id_, tag in changed})
        self._follow(session, changed, gone)
        listed_tags.put_tags(session, changed)
        last_steps.finish(session, batch.done(), batch.bases(), batch.problems())

    def _put_content(self, session: Session, held: dict[int, int], levels: list[list[Read]]) -> None:
        super()._put_content(session, held, levels)
        reads = [read for level in levels for read in level]
        self._require_here(session, {(read.id, child) for read in reads for child in read.manifest.child_digests})

    def _require_here(self, session: Session, named: set[Pair]) -> None:
        """Looks once more at what was here already when all else was read. Raises Collected."""
        members = self._batch.members
        wanted = {(id_, digest) for id_, digest in self._there(named) if digest not in members[id_].refused}
        if wanted - bulk_steps.manifests_here(session, wanted) - bulk_steps.deleted_here(session, wanted):
            raise Collected
