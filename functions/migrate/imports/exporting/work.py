"""A worker's share of an export: one repository after the other is written back, or handed back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.migrate.imports.exporting.repository import Export
from functions.registry import telemetry
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable
from functions.registry.blobs.written import WrittenObjects
from functions.registry.imports.origin import open_origin
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.exporting import exports
from functions.registry.metadata.imports.exporting.exports import ExportClaim
from functions.registry.wiring import Services

_AT_ONCE: Final = 16
_AGAIN_SECONDS: Final = 15.0


def export_one(services: Services) -> int:
    """Writes back the next repository that is due. Returns how many there were, 0 or 1.

    A source into which nothing may be written is paused, with the reason.
    """
    database = services.database
    claim = exports.claim(database)
    if claim is None:
        return 0
    try:
        _export(services, claim)
    except AccessRefused as error:
        exports.put_off(database, claim, 0, str(error))
        sources.pause(database, claim.source_id, f"it can't be written back: {error}")
    except BlobStoreUnavailable as error:
        exports.put_off(database, claim, _AGAIN_SECONDS, str(error))
        telemetry.log("WARNING", "an export waits", source=claim.source_id, path=claim.path, reason=str(error))
        return 0
    return 1


def _export(services: Services, claim: ExportClaim) -> None:
    source = sources.get(services.database, claim.source_id)
    settings = services.settings
    if source is None:
        return
    origin = open_origin(settings, source.id, source.address, source.prefix)
    if origin.bucket_name is None:
        raise AccessRefused("a folder is not written to: export into a bucket")
    target = WrittenObjects(origin.bucket_name, settings.storage_timeout_seconds, _AT_ONCE)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = Export(services.database, origin, target, settings.bucket, pool).run(claim)
    is_handed_back = claim.is_handing_back and done.is_complete
    exports.finish(services.database, claim, done.problems, is_handed_back=is_handed_back)
    telemetry.log(
        "INFO",
        "a repository is written back",
        source=claim.source_id,
        path=claim.path,
        writes=done.writes,
        problems=len(done.problems),
        handed_back=is_handed_back,
    )
