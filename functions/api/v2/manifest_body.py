"""The body of a push of a manifest: the whole of it, in memory, and not too many large ones at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from functions.api.v2.routes import PutManifest
from functions.api.web.body import Body
from functions.api.web.context import Context
from functions.registry.oci.errors import ManifestTooLarge, SizeInvalid

# Nearly all manifests are smaller by far.
LARGE_BYTES: Final = 256 << 10


@contextmanager
def payload(context: Context, route: PutManifest) -> Iterator[bytes]:
    """Returns the bytes. A large one is read on once there is room for it, in the time of one piece of a layer, and has
    that room until the end of the block.

    Raises ManifestTooLarge, SizeInvalid and NoRoom.
    """
    body, settings = context.body, context.services.settings
    limit = settings.largest_manifest_bytes
    if (body.announced or 0) > limit:
        raise _too_large(limit)
    begun = bytearray()
    is_large = _read(body, begun, min(LARGE_BYTES, limit))
    size = limit if body.announced is None else body.announced
    room = context.services.manifest_room.taken(route.repository.namespace, size) if is_large else nullcontext()
    with room:
        if is_large:
            body.finish_within(settings.body_idle_seconds)
        if _read(body, begun, limit):
            raise _too_large(limit)
        if body.is_cut:
            raise SizeInvalid("the body ended early", announced=body.announced, received=body.received)
        content = bytes(begun)
        begun.clear()
        yield content


def _read(body: Body, content: bytearray, limit: int) -> bool:
    """Returns True, and it stops, once there is more than the limit."""
    for piece in body.pieces():
        content += piece
        if len(content) > limit:
            break
    return len(content) > limit


def _too_large(limit: int) -> ManifestTooLarge:
    return ManifestTooLarge(f"a manifest has at most {limit} bytes")
