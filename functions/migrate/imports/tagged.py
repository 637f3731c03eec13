"""Which manifests of a repository belong to something that is tagged, where the others are left out.

A tag leads to a manifest, an index to what it lists, and a manifest to what was attached to it: signatures and the like
have no tags of their own, and name what they are about. So each manifest is read, and what it names is remembered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from functions.migrate.imports.batch import Batch, chunks
from functions.migrate.imports.links import Pair
from functions.migrate.imports.reading import Payloads
from functions.registry.imports import payloads
from functions.registry.imports.payloads import Refusal
from functions.registry.metadata.imports.bulk import bulk_steps
from functions.registry.oci.manifest import Manifest


def belonging(batch: Batch, wanted: set[Pair], kept: Payloads) -> set[Pair]:
    """Returns those of `wanted` that a tag leads to, or that are about such a one or about one that is here already.

    Raises BlobStoreUnavailable.
    """
    led_to: dict[Pair, set[Pair]] = defaultdict(set)
    subjects: set[Pair] = set()
    for pair, manifest in _read(batch, wanted, kept):
        led_to[pair] |= {(pair[0], child) for child in (*manifest.child_digests, *manifest.listed_digests)}
        if manifest.subject is not None:
            subject = (pair[0], manifest.subject.digest)
            subjects.add(subject)
            led_to[subject].add(pair)
    tagged = {(id_, tag.digest) for id_, tag in batch.bases()}
    return _reached(tagged | bulk_steps.manifests_here(batch.work.database, subjects), led_to) & wanted


def _read(batch: Batch, wanted: set[Pair], kept: Payloads) -> Iterable[tuple[Pair, Manifest]]:
    for some in chunks(sorted(wanted), batch.work.pace.manifests):
        found = kept.read(digest for _, digest in some)
        for id_, digest in some:
            payload = found[digest]
            if payload is None:
                continue
            manifest = payloads.take(digest, payload, batch.work.largest_manifest_bytes)
            if not isinstance(manifest, Refusal):
                yield (id_, digest), manifest


def _reached(begin: set[Pair], led_to: Mapping[Pair, set[Pair]]) -> set[Pair]:
    reached = set(begin)
    left = list(begin)
    while left:
        news = led_to.get(left.pop(), set()) - reached
        reached |= news
        left += news
    return reached
