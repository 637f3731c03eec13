"""A body becomes a part of an upload: hashed while it streams into an object of its own.

The object is named in the database before its first byte is sent, and counts only once the database says so: a crash at
any point leaves an upload that stands where it stood, and an object that is queued for deletion with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from functions.api.web.body import Body
from functions.api.web.limit import require_within_limit
from functions.registry.blobs.gcs import new_object_name
from functions.registry.config import Settings
from functions.registry.metadata.content import upload_parts
from functions.registry.metadata.content.upload_parts import Part
from functions.registry.metadata.content.uploads import NewObject, Upload
from functions.registry.metadata.db import ChangeRefused
from functions.registry.oci.byte_range import ByteRange
from functions.registry.oci.errors import SizeInvalid, UploadInvalid
from functions.registry.uploading.part import name_object, store
from functions.registry.wiring import Services


@dataclass(frozen=True, slots=True)
class Chunk:
    """A body that is to be received: where the client says that it belongs, and the object that it goes to.

    Without an announced body there is no object yet.
    """

    body: Body
    range: ByteRange | None
    object: NewObject | None


def chunk_of(upload_id: uuid.UUID, body: Body, announced: ByteRange | None) -> Chunk:
    """Raises SizeInvalid if the body's length is not that of the range."""
    if announced is not None and body.announced is not None and body.announced != announced.length:
        raise SizeInvalid("Content-Length differs from Content-Range", content_length=body.announced)
    if not body.is_announced:
        return Chunk(body, announced, None)
    first = announced.first if announced is not None else None
    return Chunk(body, announced, NewObject(new_object_name(upload_id), first))


def receive(services: Services, upload: Upload, chunk: Chunk, algorithm: str) -> Part | None:
    """Returns what came of the body, in its object; None if nothing did. It counts once it is added or committed.

    Raises SizeInvalid if it differs from what was announced, BlobStoreUnavailable; and ChangeRefused if it is more than
    the namespace's quota has room for. Nothing is kept then. A body that was cut is no error here: `require_whole`.
    """
    pieces = chunk.body.pieces()
    first = next(pieces, None)
    if first is None:
        return None
    object_name = chunk.object.name if chunk.object else name_object(services, upload)
    part = store(services, upload, object_name, _within(upload.room, chain([first], pieces)), algorithm)
    if not chunk.body.is_cut and chunk.range is not None and chunk.range.length != chunk.body.received:
        upload_parts.discard_object(services.database, part.object_name)
        raise SizeInvalid("the body differs from its Content-Range", received=chunk.body.received)
    return part


def require_whole(settings: Settings, body: Body) -> None:
    """Raises RequestTooLarge if the body was cut here for its length, UploadInvalid if it was cut."""
    require_within_limit(settings, body)
    if body.is_cut:
        raise UploadInvalid("the body ended early", announced=body.announced, received=body.received)


def _within(room: int | None, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A body without an end is not stored until it has one. Raises ChangeRefused."""
    received = 0
    for piece in pieces:
        received += len(piece)
        if room is not None and received > room:
            raise ChangeRefused(f"the quota of the namespace has {max(room, 0)} bytes left: more have come already")
        yield piece
