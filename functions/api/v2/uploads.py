"""Uploads: in one request, in two, or in chunks; or no upload at all, if another repository has the blob."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Final

from flask import Response

from functions.api.v2.location import upload_location
from functions.api.v2.routes import DeleteUpload, GetUpload, PatchUpload, PutUpload, StartUpload, blob_path, upload_path
from functions.api.v2.upload_body import Overtaken, Received, receive
from functions.api.web.context import Context
from functions.api.web.responses import empty, upload_range
from functions.registry.metadata.content import blobs, uploads
from functions.registry.metadata.content.uploads import Announced, Upload
from functions.registry.metadata.db import Database
from functions.registry.oci.byte_range import ByteRange, parse_content_range
from functions.registry.oci.digest import CANONICAL, Digest
from functions.registry.oci.errors import SizeInvalid, TooManyRequests, UploadOutOfOrder, UploadUnknown
from functions.registry.oci.manifest import LARGEST_BLOB
from functions.registry.oci.name import RepositoryName
from functions.registry.uploading.finish import finish

_WAIT_FOR_UPLOADS_SECONDS: Final = 60


def source_of(route: StartUpload) -> str | None:
    """Returns the other repository that a mount reads from."""
    return route.source if route.mount is not None and route.source != route.repository else None


def start(context: Context, route: StartUpload) -> Response:
    """A mount that can't be made becomes an upload: nothing tells why."""
    context.services.imports.require_writable(route.repository)
    if route.mount is not None and _is_mounted(context, route, route.mount):
        return _created(route.repository, route.mount)
    algorithm = route.digest.algorithm if route.digest else route.algorithm or CANONICAL
    upload_id = _started(context, route.repository, algorithm, route.digest)
    if route.digest is None:
        return _accepted(context, route.repository, upload_id, 0)
    upload = Upload(upload_id, version=0, received=0, algorithm=algorithm, hash_state=None)
    received = _receive(context, route.repository, upload, algorithm, route.digest)
    finish(context.services, route.repository, received.upload, received.added, route.digest, context.owner)
    return _created(route.repository, route.digest)


def _started(context: Context, repository: RepositoryName, algorithm: str, digest: Digest | None) -> uuid.UUID:
    services, owner = context.services, context.owner
    try:
        seconds = services.settings.upload_expiry_seconds
        announced = Announced(min(context.body.announced or 0, LARGEST_BLOB), digest)
        return uploads.start(services.database, repository, algorithm, seconds, owner, announced)
    except uploads.TooManyUploads as error:
        reason = f"at most {owner.most} uploads at once: finish or cancel some"
        raise TooManyRequests(reason, _WAIT_FOR_UPLOADS_SECONDS) from error


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
    upload = _require(context, route.repository, route.upload)
    upload = _receive(context, route.repository, upload, upload.algorithm).upload
    return _accepted(context, route.repository, upload.id, upload.received)


def put(context: Context, route: PutUpload) -> Response:
    """The body, if any, is the last chunk, or the whole blob.

    A client that missed the answer sends it again: it is told the same as long as the blob is there.
    """
    try:
        _finish(context, route)
    except UploadUnknown:
        if not blobs.confirm_uploaded(context.services.database, route.repository, route.digest, route.upload):
            raise
        for _ in context.body.pieces():
            pass  # drained, not hashed: the blob is there already
    return _created(route.repository, route.digest)


def _finish(context: Context, route: PutUpload) -> None:
    services = context.services
    found = uploads.get_with_parts(services.database, route.repository, route.upload, route.digest, context.owner)
    if found is None:
        raise UploadUnknown
    upload, parts = found
    algorithm = upload.algorithm if upload.received else route.digest.algorithm
    received = _receive(context, route.repository, upload, algorithm, route.digest)
    finish(services, route.repository, received.upload, [*parts, *received.added], route.digest, context.owner)


def cancel(context: Context, route: DeleteUpload) -> Response:
    if not uploads.cancel(context.services.database, route.repository, route.upload, context.owner):
        raise UploadUnknown
    return empty(HTTPStatus.NO_CONTENT, {})


def _require(context: Context, repository: RepositoryName, upload_id: uuid.UUID) -> Upload:
    upload = uploads.get(context.services.database, repository, upload_id, context.owner)
    if upload is None:
        raise UploadUnknown
    return upload


def _receive(
    context: Context, repository: RepositoryName, upload: Upload, algorithm: str, digest: Digest | None = None
) -> Received:
    announced = _announced(context, repository, upload)
    try:
        return receive(context.services, upload, context.body, announced, algorithm, digest)
    except Overtaken as overtaken:
        now = _require(context, repository, upload.id)
        raise UploadOutOfOrder(
            now.received, upload_location(context, upload_path(repository, upload.id))
        ) from overtaken


def _announced(context: Context, repository: RepositoryName, upload: Upload) -> ByteRange | None:
    """Where the client says that its chunk belongs: next, or the chunk is refused."""
    header = context.request.headers.get("Content-Range")
    if header is None:
        return None
    announced = parse_content_range(header)
    if announced.first != upload.received:
        raise UploadOutOfOrder(upload.received, upload_location(context, upload_path(repository, upload.id)))
    length = context.body.announced
    if length is not None and length != announced.length:
        raise SizeInvalid("Content-Length differs from Content-Range", content_length=length)
    return announced


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
