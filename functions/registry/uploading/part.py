"""Bytes that come one after the other become a part of an upload, hashed while they stream into an object of its own.

The object is named in the database before its first byte is written, and counts only once the database says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import google_crc32c

from functions.registry.blobs import hashing
from functions.registry.blobs.gcs import new_object_name
from functions.registry.metadata.content import upload_parts
from functions.registry.metadata.content.upload_parts import Part
from functions.registry.metadata.content.uploads import Upload
from functions.registry.oci.errors import UploadUnknown
from functions.registry.wiring import Services


def name_object(services: Services, upload: Upload) -> str:
    """Makes a new object of the upload known. Raises UploadUnknown if the upload is gone."""
    object_name = new_object_name(upload.id)
    if not upload_parts.name_object(services.database, upload, object_name):
        raise UploadUnknown
    return object_name


def store(services: Services, upload: Upload, object_name: str, pieces: Iterator[bytes], algorithm: str) -> Part:
    """Writes all pieces; `upload_parts.advance` or the upload's commit makes them count.

    Raises BlobStoreUnavailable and what `pieces` raises; the object is queued for deletion then.
    """
    # Without a state to go on from, the finished object is hashed instead.
    running = hashing.resume(algorithm, upload.hash_state) if upload.received else hashing.start(algorithm)
    checksum = upload.crc32c if upload.received else None
    writer = services.bucket.start_object(object_name)
    try:
        for piece in pieces:
            if running is not None:
                running.update(piece)
            if checksum is not None:
                checksum = google_crc32c.extend(checksum, piece)
            writer.write(piece)
        writer.close()
    except Exception:
        writer.cancel()
        upload_parts.discard_object(services.database, object_name)
        raise
    hash_state = running.state() if running is not None else None
    # Of the first part the writer has it.
    return Part(object_name, writer.size, algorithm, hash_state, checksum if upload.received else writer.checksum)
