"""What single images run on: read from their configs after the push, which reads none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable, ObjectMissing
from functions.registry.metadata.gc import platforms
from functions.registry.metadata.gc.platforms import Look
from functions.registry.oci.platform import LARGEST_CONFIG, Platform, read_config
from functions.registry.wiring import Services

# Images in one batch, whose configs may all be in memory at once; and requests at once.
_TOGETHER: Final = 50
_PARALLEL: Final = 10
# A config that was accepted without being there may still come: it is looked for that often, which takes most of a day.
MOST_ATTEMPTS: Final = 10
# Past this a store that does not give a config is reported each time; it is never given up.
_ATTEMPTS_UNREPORTED: Final = 5


def collect(services: Services, limit: int) -> int:
    """Returns how many of at most `limit` images were looked at; 0 also if the store gave nothing, so that a run ends.

    No transaction is open while the store is asked.
    """
    claimed = platforms.claim(services.database, min(limit, _TOGETHER))
    if not claimed:
        return 0
    here = [look for look in claimed if look.object_name is not None]
    found: dict[int, Platform | None] = {
        look.manifest_id: None for look in claimed if look.object_name is None and look.attempts >= MOST_ATTEMPTS
    }
    failed = 0
    with ThreadPoolExecutor(_PARALLEL) as pool:
        # Documents may take many times their bytes in memory: they are read here, one after the other.
        for look, content in zip(here, pool.map(lambda look: _content(services, look), here), strict=True):
            if isinstance(content, BlobStoreUnavailable):
                failed += 1
                _report(look, content)
            else:
                found[look.manifest_id] = read_config(content)
    if found:
        platforms.tell(services.database, found)
    telemetry.log(
        "INFO",
        "platforms",
        looked_at=len(claimed),
        known=sum(platform is not None for platform in found.values()),
        unknown=sum(platform is None for platform in found.values()),
        failed=failed,
    )
    return len(claimed) - failed


def _content(services: Services, look: Look) -> bytes | BlobStoreUnavailable:
    """Returns the config; nothing if there is none to read, or too much: that is no config either."""
    if look.object_name is None or look.size is None or not 0 < look.size <= LARGEST_CONFIG:
        return b""
    try:
        return services.bucket.read_once(look.object_name, look.size)
    except ObjectMissing:
        return b""
    except BlobStoreUnavailable as error:
        return error


def _report(look: Look, error: BlobStoreUnavailable) -> None:
    """It was put off when it was claimed."""
    if look.attempts > _ATTEMPTS_UNREPORTED:
        telemetry.log(
            "ERROR",
            "a config can't be read",
            object=look.object_name,
            attempts=look.attempts,
            reason=str(error),
        )
