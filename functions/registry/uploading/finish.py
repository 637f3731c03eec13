"""An upload becomes a blob: its digest is compared, its parts are joined, and one transaction makes it visible."""

from __future__ import annotations

from collections.abc import Sequence

from functions.registry.blobs import hashing
from functions.registry.blobs.errors import BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.gcs import MOST_COMPOSED
from functions.registry.metadata.content import commits, uploads
from functions.registry.metadata.content.uploads import Owner, Stored, Upload
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, UploadUnknown
from functions.registry.oci.name import RepositoryName
from functions.registry.uploading import lost_objects
from functions.registry.uploading.part import name_object
from functions.registry.wiring import Services


class Overtaken(Exception):
    """Another request added to the upload meanwhile; what this one brought is thrown away."""


def finish(
    services: Services, repository: RepositoryName, upload: Upload, parts: list[Stored], digest: Digest, owner: Owner
) -> None:
    """The bytes in `parts`, in order, become the blob; the database need not know of the last.

    Raises DigestInvalid, and ends the upload, if they are not those of `digest`; UploadUnknown if it is gone, or ends
    here because one of its objects is; Overtaken; ChangeRefused.
    """
    try:
        actual = _digest(services, upload, parts, digest.algorithm)
        object_name = _object(services, upload, parts) if actual == digest else None
    except ObjectMissing as missing:
        uploads.cancel(services.database, repository, upload.id, owner)
        raise UploadUnknown from missing
    if object_name is None:
        uploads.cancel(services.database, repository, upload.id, owner)
        raise DigestInvalid(expected=str(digest), actual=str(actual))
    try:
        commit(services, repository, upload, digest, object_name)
    except UploadUnknown:
        if uploads.get(services.database, repository, upload.id, owner) is None:
            raise
        raise Overtaken from None


def commit(services: Services, repository: RepositoryName, upload: Upload, digest: Digest, object_name: str) -> None:
    """Where the digest is known, its older object stays, if it is there: if not, this one takes its place.

    Raises UploadUnknown if the upload is gone, or is not as it was read.
    """
    seen: str | None = None
    while True:
        committed = commits.commit(services.database, repository, upload, digest, object_name, seen)
        if committed.is_done:
            return
        older = committed.object_name
        if older is None or older in (object_name, seen):
            raise UploadUnknown
        # Outside of any transaction: nobody waits for the store with us.
        seen = older if lost_objects.is_whole(services, digest, older, upload.received) else None


def _digest(services: Services, upload: Upload, parts: list[Stored], algorithm: str) -> Digest:
    """Takes the digest from the kept state if there is one of this algorithm; else the parts are read once more."""
    running = hashing.resume(algorithm, upload.hash_state) if upload.algorithm == algorithm else None
    if running is None:
        running = hashing.start(algorithm)
        for part in parts:
            for piece in services.bucket.read(part.object_name):
                running.update(piece)
    return Digest(algorithm, running.hexdigest())


def _object(services: Services, upload: Upload, parts: list[Stored]) -> str:
    """Returns the one object that holds the whole upload. The store has looked at each, but for one that is alone and
    fresh.
    """
    if not parts:
        empty = name_object(services, upload)
        services.bucket.create_empty(empty)
        return empty
    if len(parts) == 1 and not parts[0].is_fresh:
        services.bucket.size(parts[0].object_name)
    names: Sequence[str] = [part.object_name for part in parts]
    while len(names) > 1:
        groups = [names[first : first + MOST_COMPOSED] for first in range(0, len(names), MOST_COMPOSED)]
        names = [_compose(services, upload, group, is_whole=len(groups) == 1) for group in groups]
    return names[0]


def _compose(services: Services, upload: Upload, sources: Sequence[str], *, is_whole: bool) -> str:
    """Raises BlobStoreUnavailable if it is the whole upload, and has other bytes than were sent."""
    if len(sources) == 1:
        return sources[0]
    composed = name_object(services, upload)
    checksum = services.bucket.compose(composed, sources)
    if is_whole and upload.crc32c not in (None, checksum):
        raise BlobStoreUnavailable("the joined object differs from what was sent")
    return composed
