"""Uploads: in one request, in two, or in chunks; or no upload at all, if another repository has the blob."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Final

from flask import Response

from functions.api.v2.location import upload_location
from functions.api.v2.routes import DeleteUpload, GetUpload, PatchUpload, PutUpload, StartUpload, blob_path, upload_path
from functions.api.v2.upload_body import Chunk, chunk_of, receive, require_whole
from functions.api.web.context import Context
from functions.api.web.responses import empty, upload_range
from functions.registry.metadata.content import blobs, upload_parts, uploads
from functions.registry.metadata.content.upload_parts import Part
from functions.registry.metadata.content.uploads import NewObject, NewUpload, Stored, Upload
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.oci.byte_range import parse_content_range
from functions.registry.oci.digest import CANONICAL, Digest
from functions.registry.oci.errors import TooManyRequests, UploadOutOfOrder, UploadUnknown
from functions.registry.oci.manifest import LARGEST_BLOB
from functions.registry.oci.name import RepositoryName
from functions.registry.uploading.finish import Overtaken, finish

_WAIT_FOR_UPLOADS_SECONDS: Final = 60


def source_of(route: StartUpload) -> str | None:
    """Returns the other repository that a mount reads from."""
    return route.source if route.mount is not None and route.source != route.repository else None


def start(context: Context, route: StartUpload) -> Response:
    """A mount that can't be made becomes an upload: nothing tells why."""
    context.services.imports.require_writable(route.repository)
    if route.mount is not None and _is_mounted(context, route, route.mount):
        return _created(route.repository, route.mount)
    if route.digest is not None:
        return _start_and_finish(context, route.repository, route.digest)
    new = NewUpload(_size(context))
    _start(context, route.repository, route.algorithm or CANONICAL, new)
    return _accepted(context, route.repository, new.id, 0)


def _start_and_finish(context: Context, repository: RepositoryName, digest: Digest) -> Response:
    upload = Upload(uuid.uuid4(), version=0, received=0, algorithm=digest.algorithm, hash_state=None)
    chunk = _chunk(context, upload.id)
    _start(context, repository, digest.algorithm, NewUpload(_size(context), digest, chunk.object, upload.id))
    _require_next(context, repository, upload, chunk)
    _finish(context, repository, upload, [], chunk, digest)
    return _created(repository, digest)


def _start(context: Context, repository: RepositoryName, algorithm: str, new: NewUpload) -> None:
    services, owner = context.services, context.owner
    try:
        uploads.start(services.database, repository, algorithm, services.settings.upload_expiry_seconds, owner, new)
    except uploads.TooManyUploads as error:
        reason = f"at most {owner.most} uploads at once: finish or cancel some"
        raise TooManyRequests(reason, _WAIT_FOR_UPLOADS_SECONDS) from error


def _size(context: Context) -> int:
    return min(context.body.announced or 0, LARGEST_BLOB)


def _is_mounted(context: Context, route: StartUpload, digest: Digest) -> bool:
    """Without a source only this repository itself is asked: what others hold is not told.

    A source that the caller may not pull from is answered as if it had no such blob.
    """
    services = context.services
    if route.source is not None and not context.caller.may(route.source, "pull"):
        return False
    is_there = _is_linked(services.database, route, digest)
    if not is_there and services.imports.fetch_blob(route.source or route.repository, digest):
        is_there = _is_linked(services.database, route, digest)
    return is_there


def _is_linked(database: Database, route: StartUpload, digest: Digest) -> bool:
    if route.source is not None:
        return blobs.mount(database, route.repository, digest, route.source)
    return blobs.confirm(database, route.repository, digest) is not None


def status(context: Context, route: GetUpload) -> Response:
    upload = _require(context, route.repository, route.upload)
    response = _accepted(context, route.repository, upload.id, upload.received)
    response.status_code = HTTPStatus.NO_CONTENT
    return response


def patch(context: Context, route: PatchUpload) -> Response:
    chunk = _chunk(context, route.upload)
    upload = _require(context, route.repository, route.upload, chunk.object)
    _require_next(context, route.repository, upload, chunk)
    part = receive(context.services, upload, chunk, upload.algorithm)
    if part is not None:
        upload = _added(context, route.repository, upload, part)
    require_whole(context.services.settings, context.body)
    return _accepted(context, route.repository, upload.id, upload.received)


def put(context: Context, route: PutUpload) -> Response:
    """The body, if any, is the last chunk, or the whole blob.

    A client that missed the answer sends it again: it is told the same as long as the blob is there.
    """
    try:
        _put(context, route)
    except UploadUnknown:
        if not blobs.confirm_uploaded(context.services.database, route.repository, route.digest, route.upload):
            raise
        for _ in context.body.pieces():
            pass  # drained, not hashed: the blob is there already
    return _created(route.repository, route.digest)


def _put(context: Context, route: PutUpload) -> None:
    chunk = _chunk(context, route.upload)
    key = (route.repository, route.upload, route.digest, context.owner)
    found = uploads.get_with_parts(context.services.database, *key, chunk.object)
    if found is None:
        raise UploadUnknown
    upload, parts = found
    _require_next(context, route.repository, upload, chunk)
    _finish(context, route.repository, upload, parts, chunk, route.digest)


def _finish(
    context: Context, repository: RepositoryName, upload: Upload, parts: list[Stored], chunk: Chunk, digest: Digest
) -> None:
    """The last chunk is committed with the upload as it was read; only what was cut is added, to go on from there."""
    services = context.services
    part = receive(services, upload, chunk, upload.algorithm if upload.received else digest.algorithm)
    if part is not None and context.body.is_cut:
        _added(context, repository, upload, part, digest)
    require_whole(services.settings, context.body)
    if part is not None:
        upload, parts = upload_parts.added(upload, part), [*parts, Stored(part.object_name, is_fresh=True)]
    try:
        finish(services, repository, upload, parts, digest, context.owner)
    except (Overtaken, ChangeRefused) as error:
        if part is not None:
            upload_parts.discard_object(services.database, part.object_name)
        if isinstance(error, Overtaken):
            raise _out_of_order(context, repository, upload) from error
        raise


def cancel(context: Context, route: DeleteUpload) -> Response:
    if not uploads.cancel(context.services.database, route.repository, route.upload, context.owner):
        raise UploadUnknown
    return empty(HTTPStatus.NO_CONTENT, {})


def _require(
    context: Context, repository: RepositoryName, upload_id: uuid.UUID, next_: NewObject | None = None
) -> Upload:
    upload = uploads.get(context.services.database, repository, upload_id, context.owner, next_)
    if upload is None:
        raise UploadUnknown
    return upload


def _chunk(context: Context, upload_id: uuid.UUID) -> Chunk:
    header = context.request.headers.get("Content-Range")
    return chunk_of(upload_id, context.body, None if header is None else parse_content_range(header))


def _require_next(context: Context, repository: RepositoryName, upload: Upload, chunk: Chunk) -> None:
    """Requires that the client's chunk is the next, or the chunk is refused."""
    if chunk.range is not None and chunk.range.first != upload.received:
        location = upload_location(context, upload_path(repository, upload.id))
        raise UploadOutOfOrder(upload.received, location)


def _added(
    context: Context, repository: RepositoryName, upload: Upload, part: Part, digest: Digest | None = None
) -> Upload:
    seconds = context.services.settings.upload_expiry_seconds
    advanced = upload_parts.advance(context.services.database, upload, part, seconds, digest)
    if advanced is None:
        raise _out_of_order(context, repository, upload)
    return advanced


def _out_of_order(context: Context, repository: RepositoryName, upload: Upload) -> UploadOutOfOrder:
    """Tells where the upload stands now, for another request was first. Raises UploadUnknown if it has ended."""
    now = _require(context, repository, upload.id)
    return UploadOutOfOrder(now.received, upload_location(context, upload_path(repository, upload.id)))


def _accepted(context: Context, repository: RepositoryName, upload_id: uuid.UUID, received: int) -> Response:
    headers = {
        "Location": upload_location(context, upload_path(repository, upload_id)),
        "Range": upload_range(received),
        "Docker-Upload-UUID": str(upload_id),
        "Content-Length": "0",
    }
    return empty(HTTPStatus.ACCEPTED, headers)


def _created(repository: RepositoryName, digest: Digest) -> Response:
    headers = {
        "Location": blob_path(repository, digest),
        "Docker-Content-Digest": str(digest),
        "Content-Length": "0",
    }
    return empty(HTTPStatus.CREATED, headers)
