"""A body becomes a part of an upload: hashed while it streams into an object of its own.

The object is named in the database before its first byte is sent, and counts only once the database says so: a crash at
any point leaves an upload that stands where it stood, and an object that is queued for deletion with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from functions.api.web.body import Body
from functions.api.web.limit import require_within_limit
from functions.registry.metadata.content import uploads
from functions.registry.metadata.content.uploads import Stored, Upload
from functions.registry.metadata.db import ChangeRefused
from functions.registry.oci.byte_range import ByteRange
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import SizeInvalid, UploadInvalid
from functions.registry.uploading.part import store
from functions.registry.wiring import Services


class Overtaken(Exception):
    """Another request added to the upload meanwhile; what this one brought is thrown away."""


@dataclass(frozen=True, slots=True)
class Received:
    """`added` is the part that the body has become, if it had any bytes."""

    upload: Upload
    added: list[Stored]


def receive(
    services: Services,
    upload: Upload,
    body: Body,
    announced: ByteRange | None,
    algorithm: str,
    digest: Digest | None,
) -> Received:
    """The upload with the body added to it. An empty body adds nothing. With the last one the `digest` is known.

    What arrived of a body that was cut is kept, so that the client may go on from there; the request is refused all
    the same. Raises UploadInvalid for that, RequestTooLarge if it was cut here for its length, SizeInvalid if it
    differs from what was announced, Overtaken, UploadUnknown, BlobStoreUnavailable; and ChangeRefused, with nothing
    kept, if it is more than the namespace's quota has room for.
    """
    added: list[Stored] = []
    pieces = body.pieces()
    first = next(pieces, None)
    if first is not None:
        part = store(services, upload, _within(upload.room, chain([first], pieces)), algorithm)
        part = replace(part, digest=digest)
        if not body.is_cut and announced is not None and announced.length != body.received:
            uploads.discard_object(services.database, part.object_name)
            raise SizeInvalid("the body differs from its Content-Range", received=body.received)
        advanced = uploads.advance(services.database, upload, part, services.settings.upload_expiry_seconds)
        if advanced is None:
            raise Overtaken
        upload = advanced
        added.append(Stored(part.object_name, is_fresh=True))
    require_within_limit(services.settings, body)
    if body.is_cut:
        raise UploadInvalid("the body ended early", announced=body.announced, received=body.received)
    return Received(upload, added)


def _within(room: int | None, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A body without an end is not stored until it has one. Raises ChangeRefused."""
    received = 0
    for piece in pieces:
        received += len(piece)
        if room is not None and received > room:
            raise ChangeRefused(f"the quota of the namespace has {max(room, 0)} bytes left: more have come already")
        yield piece
