"""What somebody asked for about a source as a whole, and a worker does: to seal it."""

from __future__ import annotations

from functions.migrate.imports.seal import Sealing, SealRefused
from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.imports.origin import open_origin
from functions.registry.imports.places import Place
from functions.registry.metadata.imports import claims, sources
from functions.registry.metadata.imports.ending import sealing
from functions.registry.metadata.imports.vocabulary import Source
from functions.registry.wiring import Services

_PLACE_SECONDS = 300.0


def seal_wished(services: Services) -> int:
    """Seals what is to be sealed. Returns how many sources it was through with."""
    return sum(_seal(services, source_id) for source_id in sealing.wished(services.database))


def _seal(services: Services, source_id: int) -> int:
    database = services.database
    source = sources.get(database, source_id)
    if source is not None and source.state == "open" and sealing.is_busy(database, source_id):
        return 0
    place = claims.take_place(database, source_id, _PLACE_SECONDS)
    if source is None or place is None:
        return 0
    try:
        Sealing(database, _place_of(services, source)).seal(source_id)
    except SealRefused as refused:
        sealing.refuse(database, source_id, str(refused))
    except BlobStoreUnavailable as error:
        telemetry.log("WARNING", "a seal waits for the store", source=source_id, reason=str(error))
        return 0
    finally:
        claims.leave_place(database, place)
    return 1


def _place_of(services: Services, source: Source) -> Place:
    if source.kind == "registry":
        return _Nowhere()
    return open_origin(services.settings, source.id, source.address, source.prefix).place


class _Nowhere:
    """A registry behind its API has no objects of which anything could be asked."""

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:  # noqa: ARG002  # as a place has it
        return ObjectPage([], is_last=True)

    def find(self, name: str) -> StoredObject | None:  # noqa: ARG002  # as above
        return None

    def read(self, name: str, most: int) -> bytes:  # noqa: ARG002  # as above
        return b""

    def folders(self, prefix: str) -> list[str]:  # noqa: ARG002  # as above
        return []
