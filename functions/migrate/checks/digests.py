"""Objects are read and hashed: all, as many of a hundred as was asked for, or so many bytes a day, in turn."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from itertools import accumulate
from typing import Final

from functions.migrate.checks.working import Work, advance
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.metadata.checks import checks, findings, objects
from functions.registry.metadata.checks.objects import HeldBlob
from functions.registry.metadata.checks.pieces import Piece
from functions.registry.metadata.checks.vocabulary import Found, Kind
from functions.registry.metadata.db import Call
from functions.registry.oci.digest import Digest

# So many are read before that is noted, and no more bytes, but for one that has more by itself.
_BLOBS: Final = 64
_BYTES: Final = 1 << 30
ALL: Final = 100
# Without reading it.
_KNOWN: Final[tuple[Kind, ...]] = ("size", "checksum")


def check(work: Work, piece: Piece) -> bool:
    """Returns False if the time was over before the end. Raises BlobStoreUnavailable and PieceLost."""
    after, stop = bytes.fromhex(piece.cursor or piece.start), bytes.fromhex(piece.stop)
    percent, budget = int(work.check.options.get("hash", ALL)), work.check.options.get("hash_bytes")
    hashed = work.check.counts.get("hashed_bytes", 0)
    while page := _within(_BYTES, objects.held(work.database, after, stop, _BLOBS)):
        chosen = [blob for blob in page if _is_chosen(work, blob.digest, percent)]
        found = list(work.pool.map(lambda blob: differs(work, blob.digest, blob.object_name), chosen))
        wrong = [blob for blob, fault in zip(chosen, found, strict=True) if fault]
        after = page[-1].digest.to_bytes()
        counts = {"hashed": len(chosen), "hashed_bytes": sum(blob.size for blob in chosen)}
        hashed += counts["hashed_bytes"]
        noting: list[Call[int]] = findings.noting(piece.check_id, _still(work, wrong))
        if budget is not None:
            noting.append(checks.noting_hashed(piece.check_id, after.hex()))
        advance(work, piece, after.hex(), [checks.counting(piece.check_id, counts), *noting])
        if budget is not None and hashed >= budget:
            return True
        if work.is_late():
            return False
    if budget is not None:
        advance(work, piece, None, [checks.noting_hashed(piece.check_id, "")])
    return True


def _within(most: int, page: list[HeldBlob]) -> list[HeldBlob]:
    """The first of them with at most so many bytes, and one in any case."""
    sizes = list(accumulate(blob.size for blob in page))
    return page[: max(1, bisect_right(sizes, most))]


def _is_chosen(work: Work, digest: Digest, percent: int) -> bool:
    """Others each time."""
    return (int(digest.hex[:8], 16) + work.check.id * percent) % ALL < percent


def differs(work: Work, digest: Digest, object_name: str) -> bool:
    """Says whether the object has other bytes than the blob. One that is gone has none; that is another finding."""
    hashing = hashlib.new(digest.algorithm)
    try:
        for read in work.bucket.read(object_name):
            hashing.update(read)
    except ObjectMissing:
        return False
    return hashing.hexdigest() != digest.hex


def _still(work: Work, wrong: list[HeldBlob]) -> list[Found]:
    """Returns those whose blob has the object still, for no name is used twice, and of which that isn't known yet."""
    names = [blob.object_name for blob in wrong]
    looks, known = objects.look(work.database, names), findings.open_subjects(work.database, _KNOWN, names)
    return [
        Found("digest", blob.object_name, "the object has other bytes", blob.digest, size=blob.size)
        for blob in wrong
        if looks[blob.object_name].digest == blob.digest and blob.object_name not in known
    ]
