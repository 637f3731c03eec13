"""Condemned objects: first the object goes, then its row, so that a crash leaves a row to try again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata import deletions
from functions.registry.metadata.deletions import Deletion
from functions.registry.wiring import Services

_PARALLEL: Final = 16
# Past this a deletion is reported each time; it is never given up.
_ATTEMPTS_UNREPORTED: Final = 5


def collect(services: Services, limit: int) -> int:
    """How many of at most `limit` due deletions were tried. No transaction is open while the store is asked."""
    claimed = deletions.claim(services.database, limit)
    if not claimed:
        return 0
    with ThreadPoolExecutor(min(_PARALLEL, len(claimed))) as pool:
        is_deleted = list(pool.map(lambda deletion: _delete(services, deletion), claimed))
    gone = [deletion for deletion, succeeded in zip(claimed, is_deleted, strict=True) if succeeded]
    if gone:
        deletions.done(services.database, gone)
    return len(claimed)


def _delete(services: Services, deletion: Deletion) -> bool:
    try:
        services.bucket.delete(deletion.object_name)
    except BlobStoreUnavailable as error:
        deletions.failed(services.database, deletion.object_name, str(error))
        if deletion.attempts > _ATTEMPTS_UNREPORTED:
            telemetry.log(
                "ERROR", "an object can't be deleted", object=deletion.object_name, attempts=deletion.attempts
            )
        return False
    return True
