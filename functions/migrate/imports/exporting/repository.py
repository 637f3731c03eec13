"""One repository written back into the layout it came from, as far as it differs: from the leaves up, tags last.

Whoever reads there meanwhile finds each thing complete or not at all. Nothing is written over that changed there since
both sides were last compared. Killed at any write and begun again it comes to the same end; and once both sides are
equal it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field
from typing import Final, TypeVar

from functions.registry.blobs.errors import ObjectMissing
from functions.registry.blobs.written import WrittenObjects
from functions.registry.imports import listing, names
from functions.registry.imports.origin import Origin
from functions.registry.imports.places import walk
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports.exporting import contents
from functions.registry.metadata.imports.exporting.contents import Located, Payload, TagHere, WrittenTag
from functions.registry.metadata.imports.exporting.exports import ExportClaim
from functions.registry.metadata.imports.vocabulary import Problem, ProblemKind, Reason
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest, parse_manifest
from functions.registry.oci.media_type import is_manifest

Item = TypeVar("Item")
Made = TypeVar("Made")

# Payloads in memory at once.
_STEP: Final = 50


@dataclass(slots=True)
class Exported:
    """`writes` are the requests that changed something there."""

    writes: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Export:
    """`bucket` is this registry's own, where blobs are copied from."""

    database: Database
    origin: Origin
    target: WrittenObjects
    bucket: str
    pool: Executor

    def run(self, claim: ExportClaim) -> Exported:
        """Raises BlobStoreUnavailable and MetadataUnavailable: begun again it goes on."""
        return _Repository(self, claim).run()


class _Repository:
    def __init__(self, export: Export, claim: ExportClaim) -> None:
        self._export, self._claim = export, claim
        self._done = Exported()
        self._there = listing.repository(export.origin.place, export.origin.root, claim.path)
        self._linked = set(self._there.layers)

    def run(self) -> Exported:
        self._put_manifests()
        self._put_tags()
        self._remove_manifests()
        return self._done

    def _put_manifests(self) -> None:
        """Writes their blobs, the links to those, their own bytes; then, children first, that they are manifests."""
        database, claim = self._export.database, self._claim
        absent = [each for each in contents.manifests(database, claim) if each not in self._there.revisions]
        waiting: dict[Digest, Manifest] = {}
        for first in range(0, len(absent), _STEP):
            found = contents.payloads(database, claim, absent[first : first + _STEP])
            parsed = {each.digest: parse_manifest(each.payload, each.media_type) for each in found}
            self._put_contents(found, parsed)
            waiting.update(parsed)
        while waiting:
            ready = [each for each, manifest in waiting.items() if waiting.keys().isdisjoint(manifest.child_digests)]
            self._each(lambda digest: self._put(names.revision_link_name(self._claim.path, digest), digest), ready)
            for digest in ready:
                del waiting[digest]

    def _put_contents(self, found: Sequence[Payload], parsed: dict[Digest, Manifest]) -> None:
        export, path = self._export, self._claim.path
        for each in found:
            if not is_manifest(each.media_type):
                self._note("manifest", str(each.digest), "manifest_refused", f"it can't serve {each.media_type}")
        named = {
            digest
            for manifest in parsed.values()
            for digest in (*manifest.required_blobs, *manifest.optional_blobs, *manifest.listed_digests)
        }
        located = contents.locate(export.database, self._claim, sorted(named - self._linked))
        foreign = [each for each in located if each.object_name != self._name(names.blob_name(each.digest))]
        written = [(self._name(names.blob_name(each.digest)), each.size) for each in foreign]
        written += [(self._name(names.blob_name(each.digest)), len(each.payload)) for each in found]
        contents.expect(export.database, written)
        self._each(self._copy_blob, foreign)
        self._each(lambda blob: self._put(names.layer_link_name(path, blob.digest), blob.digest), located)
        self._each(lambda each: self._put(names.blob_name(each.digest), each.payload), found)
        self._linked.update(blob.digest for blob in located)

    def _copy_blob(self, blob: Located) -> int:
        target = self._name(names.blob_name(blob.digest))
        try:
            return int(self._export.target.copy(target, self._export.bucket, blob.object_name))
        except ObjectMissing:
            self._note("blob", str(blob.digest), "blob_missing", "its object is gone")
            return 0

    def _put_tags(self) -> None:
        """Writes the tags that changed here and not there. Of a tag the history comes before what it names now, as
        there.
        """
        database, claim = self._export.database, self._claim
        here, bases = contents.tags(database, claim), contents.bases(database, claim)
        known = contents.conflicts(database, claim)
        both: list[WrittenTag] = []
        changed: list[TagHere] = []
        for name, tag in here.items():
            there, base = self._there.tags.get(name), bases.get(name)
            if there is not None and there.digest == tag.digest:
                if base is None or base.digest != tag.digest or base.generation < there.generation:
                    both.append(WrittenTag(name, tag.digest, there.generation, tag.updated_at))
            elif name in known or (there.digest if there else None) != (base.digest if base else None):
                self._conflict(name)
            else:
                changed.append(tag)
        both += [written for written in self._each(self._put_tag, changed) if written is not None]
        gone = [base.name for base in bases.values() if base.name not in here]
        asked = [name for name in gone if self._may_remove(name, bases[name].digest, known)]
        removed = [name for name, is_gone in zip(asked, self._each(self._remove_tag, asked), strict=True) if is_gone]
        contents.wrote_tags(database, claim, both, removed)

    def _put_tag(self, tag: TagHere) -> WrittenTag | None:
        path, there = self._claim.path, self._there.tags.get(tag.name)
        self._put(names.history_link_name(path, tag.name, tag.digest), tag.digest)
        current = self._name(names.current_link_name(path, tag.name))
        generation = self._export.target.put(current, str(tag.digest).encode(), there.generation if there else 0)
        if generation is None:
            self._conflict(tag.name)
            return None
        self._done.writes += 1
        return WrittenTag(tag.name, tag.digest, generation, tag.updated_at)

    def _may_remove(self, name: str, base: Digest, known: set[str]) -> bool:
        there = self._there.tags.get(name)
        if there is not None and (there.digest != base or name in known):
            self._conflict(name)
            return False
        return True

    def _remove_tag(self, name: str) -> bool:
        """Removes what the tag names first: from then on it is no tag. A rest of it, too, that an export before
        left.
        """
        export, path = self._export, self._claim.path
        there = self._there.tags.get(name)
        if there is not None:
            if not export.target.delete(self._name(names.current_link_name(path, name)), there.generation):
                self._conflict(name)
                return False
            self._done.writes += 1
        folder = self._name(names.current_link_name(path, name)).removesuffix("current/link")
        for stored in walk(export.origin.place, f"{folder}index/"):
            export.target.delete(stored.name)
            self._done.writes += 1
        return True

    def _remove_manifests(self) -> None:
        """Removes the manifests that somebody deleted here by their digests."""
        deleted = contents.deleted_manifests(self._export.database, self._claim)
        gone = [digest for digest in deleted if digest in self._there.revisions]
        for digest in gone:
            self._export.target.delete(self._name(names.revision_link_name(self._claim.path, digest)))
            self._done.writes += 1

    def _put(self, name: str, content: Digest | bytes) -> int:
        """Writes where nothing is; what is there has the same content, for its name says so."""
        data = content if isinstance(content, bytes) else str(content).encode()
        is_written = self._export.target.put(self._name(name), data) is not None
        self._done.writes += is_written
        return int(is_written)

    def _name(self, name: str) -> str:
        return self._export.origin.root + name

    def _each(self, work: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
        """Does several at once; all have ended when it returns or raises."""
        futures = [self._export.pool.submit(work, item) for item in items]
        wait(futures)
        return [future.result() for future in futures]

    def _conflict(self, name: str) -> None:
        self._note("tag", name, "conflict", "changed there since both sides were compared: not written over")

    def _note(self, kind: ProblemKind, key: str, reason: Reason, detail: str) -> None:
        self._done.problems.append(Problem(self._claim.path, kind, key, reason, detail))
