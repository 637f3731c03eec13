"""Objects pending deletion: first the object goes, then its row, so that a crash leaves a row to try again."""

from __future__ import annotations

from collections import ChainMap
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.gc import deletions
from functions.registry.metadata.gc.deletions import Deletion
from functions.registry.wiring import Services

# Objects in one request, and requests at once: at most as many as the Google client keeps connections.
_TOGETHER: Final = 50
_PARALLEL: Final = 10
# Past this a deletion is reported each time; it is never given up.
_ATTEMPTS_UNREPORTED: Final = 5


def collect(services: Services, limit: int) -> int:
    """Returns how many of at most `limit` due deletions were tried. No transaction is open while the store is asked."""
    claimed = deletions.claim(services.database, limit)
    if not claimed:
        return 0
    groups = [claimed[first : first + _TOGETHER] for first in range(0, len(claimed), _TOGETHER)]
    with ThreadPoolExecutor(min(_PARALLEL, len(groups))) as pool:
        failures = ChainMap(*pool.map(lambda group: _delete(services, group), groups))
    if gone := [deletion for deletion in claimed if deletion.object_name not in failures]:
        deletions.done(services.database, gone)
    for deletion in claimed:
        if deletion.object_name in failures:
            _put_off(services, deletion, failures[deletion.object_name])
    return len(claimed)


def _delete(services: Services, group: list[Deletion]) -> dict[str, str]:
    """Returns the reasons of those that could not be deleted. One object that can't be keeps no other."""
    names = [deletion.object_name for deletion in group]
    try:
        return services.bucket.delete_all(names)
    except BlobStoreUnavailable as error:
        return dict.fromkeys(names, str(error))


def _put_off(services: Services, deletion: Deletion, reason: str) -> None:
    """It was put off when it was claimed; now its row says why."""
    deletions.failed(services.database, deletion.object_name, reason)
    if deletion.attempts > _ATTEMPTS_UNREPORTED:
        telemetry.log(
            "ERROR",
            "an object can't be deleted",
            object=deletion.object_name,
            attempts=deletion.attempts,
            reason=reason,
        )
