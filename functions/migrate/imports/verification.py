"""What was imported is compared with a fresh listing of its source; or all blobs are read, and hashed."""

from __future__ import annotations

import hashlib
import time
from typing import Final

from functions.migrate.imports.batch import Batch, Work, list_batch
from functions.migrate.imports.links import Pair
from functions.migrate.imports.ranges import RangeLost
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.blobs.gcs import Bucket
from functions.registry.metadata.db import Call, Session
from functions.registry.metadata.imports import problems, verifying
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.metadata.imports.bulk.pieces import Range
from functions.registry.metadata.imports.verifying import Difference, HeldBlob
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.oci.digest import Digest

_REPOSITORIES: Final = 50
_BLOBS: Final = 64
_ALL: Final = 100


def verify(work: Work, piece: Range, deadline: float) -> bool:
    """Compares repository after repository; False if the time was over before the end. Raises BlobStoreUnavailable.

    Nothing is read but the listing: the bytes of a manifest are in the database, under their digest.
    """
    after = int(piece.cursor or 0)
    if not after:
        work.database.count(verifying.beginning(piece.source_id, piece.tree))
    while claims := verifying.next_repositories(work.database, piece.source_id, after, _REPOSITORIES):
        after = claims[-1].id
        batch = list_batch(work, claims)
        found = verifying.differences(
            work.database,
            [claim.id for claim in claims],
            batch.bases(),
            _expected(batch),
        )
        _note(work, piece, str(after), verifying.noting(piece.source_id, piece.tree, len(claims), found, is_end=False))
        if time.monotonic() > deadline:
            return False
    work.database.count(verifying.noting(piece.source_id, piece.tree, 0, [], is_end=True))
    return True


def _expected(batch: Batch) -> list[Pair]:
    """Returns the manifests that are to be here. Which of those without a tag were left out can't be told without a
    read.
    """
    if batch.work.source.untagged == "skip":
        return [(id_, tag.digest) for id_, tag in batch.bases()]
    return [(id_, digest) for id_, member in batch.members.items() for digest in member.old.revisions]


def rehash(work: Work, bucket: Bucket, piece: Range, deadline: float) -> bool:
    """Reads blobs of the source, as many of a hundred as the piece's start says, and compares each with its digest."""
    after = Digest.parse(piece.cursor) if piece.cursor else None
    percent = int(piece.start or _ALL)
    if after is None:
        work.database.count(verifying.beginning(piece.source_id, piece.tree))
    while held := verifying.blobs_after(work.database, after, _BLOBS):
        after = held[-1].digest
        chosen = [blob for blob in held if _is_of(work, blob) and int(blob.digest.hex[:8], 16) % _ALL < percent]
        results = list(work.pool.map(lambda blob: _fault(bucket, blob), chosen))
        found = [
            Difference("", "blob", str(blob.digest), fault)
            for blob, fault in zip(chosen, results, strict=True)
            if fault is not None
        ]
        told = [Problem("", "blob", each.key, "blob_digest", each.detail) for each in found]
        noting = verifying.noting(piece.source_id, piece.tree, len(chosen), found, is_end=False)
        _note(work, piece, str(after), noting, *problems.noting(piece.source_id, told))
        if time.monotonic() > deadline:
            return False
    work.database.count(verifying.noting(piece.source_id, piece.tree, 0, [], is_end=True))
    return True


def _is_of(work: Work, blob: HeldBlob) -> bool:
    theirs = work.origin.root if work.origin.is_here else f"imported/{work.source.id}/"
    return blob.object_name.startswith(theirs)


def _fault(bucket: Bucket, blob: HeldBlob) -> str | None:
    """Reads in pieces, so that a large one does not have to fit into memory."""
    hashing = hashlib.new(blob.digest.algorithm)
    try:
        for piece in bucket.read(blob.object_name):
            hashing.update(piece)
    except ObjectMissing:
        return "its object is gone"
    return None if hashing.hexdigest() == blob.digest.hex else f"its bytes have {hashing.hexdigest()}"


def _note(work: Work, piece: Range, cursor: str, *calls: Call[object]) -> None:
    def note(session: Session) -> None:
        if not session.count(pieces.advancing(piece, cursor)):
            raise RangeLost
        session.batch(list(calls))

    work.database.transaction(note)
