"""One blob of another registry becomes one of this one: linked where its bytes are here, else streamed, in parts.

A copy is an upload of ours, whose owner's label finds it again: what a cut or the end of a step leaves is gone on with
from there, by whatever worker comes next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.errors import AnswerInvalid, RemoteUnavailable, TimeOver
from functions.registry.metadata.content import upload_parts, uploads
from functions.registry.metadata.content.uploads import NewUpload, Owner, Upload
from functions.registry.metadata.imports.remote import copies
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import UploadUnknown
from functions.registry.oci.name import RepositoryName
from functions.registry.uploading.finish import Overtaken, finish
from functions.registry.uploading.part import name_object, store
from functions.registry.wiring import Services

# Requests in a row that bring nothing.
_MOST_IDLE: Final = 3
# Slower than this, for as long as this, is a registry that keeps us waiting on purpose.
_LEAST_BYTES_A_SECOND: Final = 1024
_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A repository of another registry, `path` there and `name` here."""

    source_id: int
    path: str
    name: RepositoryName


def copy(services: Services, remote: Remote, place: Place, digest: Digest, said: int) -> int:
    """Returns how many bytes travelled, 0 if none had to. `said` is the size that a manifest gives.

    Raises DigestInvalid if the bytes are not those of `digest`; AnswerInvalid; RemoteMissing; ChangeRefused if the
    namespace's quota has no room; TimeOver, with what came kept; RemoteUnavailable; BlobStoreUnavailable.
    """
    known = remote.blob_size(place.path, digest)
    size = said if known is None else known
    if copies.link(services.database, place.name, digest):
        return 0
    owner = Owner(f"import:{place.source_id}:{digest}", 0)
    upload_id = copies.find_upload(services.database, place.name, owner.label)
    if upload_id is None:
        seconds = services.settings.upload_expiry_seconds
        new = NewUpload(size, digest)
        upload_id = uploads.start(services.database, place.name, digest.algorithm, seconds, owner, new)
    idle = 0
    while True:
        found = uploads.get_with_parts(services.database, place.name, upload_id, digest, owner)
        if found is None:
            raise RemoteUnavailable("somebody else copies the same blob")
        upload, parts = found
        if upload.received >= size:
            break
        try:
            received = _receive(services, remote, place, upload, digest, size)
        except AnswerInvalid:
            uploads.cancel(services.database, place.name, upload_id, owner)
            raise
        except UploadUnknown as error:
            raise RemoteUnavailable("somebody else copies the same blob") from error
        idle = 0 if received else idle + 1
        if idle == _MOST_IDLE:
            raise RemoteUnavailable(f"{remote.host} sends nothing of a blob")
    try:
        finish(services, place.name, upload, parts, digest, owner)
    except (UploadUnknown, Overtaken) as error:
        raise RemoteUnavailable("somebody else copies the same blob") from error
    return upload.received


def _receive(services: Services, remote: Remote, place: Place, upload: Upload, digest: Digest, size: int) -> int:
    """What comes of one request, to the cut or the end, is one more part of the upload; returns its bytes."""
    started = time.monotonic()
    with remote.blob(place.path, digest, upload.received) as (begins, answer):
        pieces = _within(answer.pieces(), upload.received - begins, size - upload.received)
        first = next(pieces, None)
        if first is None:
            return 0
        part = store(services, upload, name_object(services, upload), chain([first], pieces), digest.algorithm)
    seconds = services.settings.upload_expiry_seconds
    if upload_parts.advance(services.database, upload, part, seconds, digest) is None:
        raise RemoteUnavailable("somebody else copies the same blob")
    took = time.monotonic() - started
    if took > _PATIENCE_SECONDS and part.size < _LEAST_BYTES_A_SECOND * took:
        raise RemoteUnavailable(f"{remote.host} sends a blob at {part.size / took:.0f} bytes a second")
    if upload.received + part.size < size and time.monotonic() >= remote.until:
        raise TimeOver(f"{size - upload.received - part.size} bytes of a blob are left")
    return part.size


def _within(pieces: Iterator[bytes], skipped: int, most: int) -> Iterator[bytes]:
    """Yields the bytes without the first ones, which are here already. Raises AnswerInvalid for more than there can
    be.
    """
    received = 0
    for piece in pieces:
        if skipped >= len(piece):
            skipped -= len(piece)
            continue
        wanted, skipped = piece[skipped:], 0
        received += len(wanted)
        if received > most:
            raise AnswerInvalid(f"a blob has more bytes than the {most} that were announced")
        yield wanted
