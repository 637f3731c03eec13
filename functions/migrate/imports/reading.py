"""Manifests of a batch, read in steps that fit into memory, children before what lists them.

What lists others waits until those are read: found by their payloads, one after the other, so it does not matter how
deep that goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from functions.migrate.imports.batch import Batch, Work
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.config import MEBIBYTE
from functions.registry.imports import names, payloads
from functions.registry.imports.payloads import Refusal
from functions.registry.metadata.imports.bulk import bulk_steps
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest

MOST_BYTES: Final = 8 * MEBIBYTE
_MOST_KEPT_BYTES: Final = 16 * MEBIBYTE

Pair = tuple[int, Digest]


@dataclass(frozen=True, slots=True)
class Read:
    """A manifest of one member, with its bytes."""

    id: int
    digest: Digest
    manifest: Manifest
    payload: bytes


class Payloads:
    """Reads manifests of a source: each once, as long as there is room to remember it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()
        self._bytes = 0

    def read(self, digests: Iterable[Digest]) -> dict[Digest, bytes | None]:
        """Returns None for one that is not there; at most one byte more than one may have. Raises
        BlobStoreUnavailable.
        """
        asked = sorted(set(digests))
        missing = [digest for digest in asked if digest not in self._kept]
        for digest, payload in zip(missing, self._work.pool.map(self._read, missing), strict=True):
            if payload is not None:
                self._kept[digest] = payload
                self._bytes += len(payload)
        found = {digest: self._kept.get(digest) for digest in asked}
        while self._bytes > _MOST_KEPT_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])
        return found

    def _read(self, digest: Digest) -> bytes | None:
        origin = self._work.origin
        try:
            return origin.place.read(origin.root + names.blob_name(digest), self._work.largest_manifest_bytes + 1)
        except ObjectMissing:
            return None


class Reading:
    """The manifests of a batch that are not here yet. What can't be taken is noted as a problem of its member."""

    def __init__(self, batch: Batch, wanted: Iterable[Pair], kept: Payloads) -> None:
        self._batch = batch
        self._payloads = kept
        self._outstanding = set(wanted)
        # What lists a manifest that comes later; and what of that did not fit, and is read once more.
        self._waiting: dict[Pair, Read] = {}
        self._shelved: set[Pair] = set()

    def levels(self) -> Iterator[list[list[Read]]]:
        """Steps: each a few levels, of which none lists one of a later level."""
        pairs = sorted(self._outstanding)
        while pairs:
            for step in self._steps(pairs):
                yield self._sorted(self._take(step))
            pairs, self._shelved = sorted(self._shelved), set()

    def _steps(self, pairs: list[Pair]) -> Iterator[list[Pair]]:
        """Cuts by the sizes of the blobs where those are known; of what is too large, one byte more than may be is
        read.
        """
        most = self._batch.work.largest_manifest_bytes + 1
        first = 0
        while some := pairs[first : first + self._batch.work.pace.manifests]:
            first += len(some)
            sizes = bulk_steps.sizes(self._batch.work.database, (digest for _, digest in some))
            step: list[Pair] = []
            size = 0
            for pair in some:
                size += min(sizes.get(pair[1], most), most) if self._batch.work.origin.is_here else 0
                if step and size > MOST_BYTES:
                    yield step
                    step, size = [], 0
                step.append(pair)
            yield step

    def _take(self, step: list[Pair]) -> list[Read]:
        found = self._payloads.read(digest for _, digest in step)
        taken: dict[Digest, Manifest | Refusal] = {}
        read: list[Read] = []
        for id_, digest in step:
            payload = found[digest]
            if payload is None:
                self._refuse(id_, digest, Refusal("manifest_missing"))
                continue
            if digest not in taken:
                taken[digest] = payloads.take(digest, payload, self._batch.work.largest_manifest_bytes)
            manifest = taken[digest]
            if isinstance(manifest, Refusal):
                self._refuse(id_, digest, manifest)
            else:
                read.append(Read(id_, digest, manifest, payload))
        return read

    def _refuse(self, id_: int, digest: Digest, refusal: Refusal) -> None:
        self._outstanding.discard((id_, digest))
        if (member := self._batch.members.get(id_)) is not None:
            member.refuse(digest, refusal.reason, refusal.detail)

    def _sorted(self, found: list[Read]) -> list[list[Read]]:
        """Yields, level by level, what waits for nothing any more."""
        self._waiting.update({(read.id, read.digest): read for read in found})
        levels: list[list[Read]] = []
        while ready := [read for read in self._waiting.values() if not self._awaits(read)]:
            levels.append(ready)
            for read in ready:
                del self._waiting[read.id, read.digest]
            self._outstanding.difference_update((read.id, read.digest) for read in ready)
        if sum(len(read.payload) for read in self._waiting.values()) > _MOST_KEPT_BYTES:
            self._shelved.update(self._waiting)
            self._waiting.clear()
        return levels

    def _awaits(self, read: Read) -> bool:
        listed = (*read.manifest.child_digests, *read.manifest.listed_digests)
        return any((read.id, digest) in self._outstanding for digest in listed)
