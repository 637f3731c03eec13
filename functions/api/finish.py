"""An upload becomes a blob: its digest is compared, its parts are joined, and one transaction makes it visible."""

from __future__ import annotations

from collections.abc import Sequence

from functions.registry.blobs import hashing
from functions.registry.blobs.gcs import MOST_COMPOSED, new_object_name
from functions.registry.metadata import uploads
from functions.registry.metadata.uploads import Owner, Upload
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, UploadUnknown
from functions.registry.oci.name import RepositoryName
from functions.registry.wiring import Services


def finish(services: Services, repository: RepositoryName, upload: Upload, digest: Digest, owner: Owner) -> None:
    """Raises DigestInvalid, and ends the upload, if its bytes are not those of `digest`; UploadUnknown if it's gone."""
    actual = _digest(services, upload, digest.algorithm)
    if actual != digest:
        uploads.cancel(services.database, repository, upload.id, owner)
        raise DigestInvalid(expected=str(digest), actual=str(actual))
    if not uploads.commit(services.database, repository, upload, digest, _object(services, upload)):
        raise UploadUnknown


def _digest(services: Services, upload: Upload, algorithm: str) -> Digest:
    """From the kept state if there is one of this algorithm; else the parts are read once more."""
    running = hashing.resume(algorithm, upload.hash_state) if upload.algorithm == algorithm else None
    if running is None:
        running = hashing.start(algorithm)
        for part in upload.parts:
            for piece in services.bucket.read(part):
                running.update(piece)
    return Digest(algorithm, running.hexdigest())


def _object(services: Services, upload: Upload) -> str:
    """The one object that holds the whole upload."""
    if not upload.parts:
        empty = _name(services, upload)
        services.bucket.create_empty(empty)
        return empty
    parts: Sequence[str] = upload.parts
    while len(parts) > 1:
        groups = [parts[first : first + MOST_COMPOSED] for first in range(0, len(parts), MOST_COMPOSED)]
        parts = [_compose(services, upload, group) for group in groups]
    return parts[0]


def _compose(services: Services, upload: Upload, sources: Sequence[str]) -> str:
    if len(sources) == 1:
        return sources[0]
    composed = _name(services, upload)
    services.bucket.compose(composed, sources)
    return composed


def _name(services: Services, upload: Upload) -> str:
    object_name = new_object_name(upload.id)
    if not uploads.name_object(services.database, upload, object_name):
        raise UploadUnknown
    return object_name
