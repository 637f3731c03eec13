"""Blobs: HEAD from the metadata, GET from the bucket."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from flask import Response

from functions.api.v2.routes import DeleteBlob, GetBlob, HeadBlob
from functions.api.web.conditions import has_same_etag, not_modified
from functions.api.web.context import Context
from functions.api.web.responses import empty
from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable, ObjectMissing
from functions.registry.metadata.content import blobs
from functions.registry.oci.byte_range import ByteRange, parse_range
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import BlobReferenced, BlobUnknown
from functions.registry.uploading import lost_objects


def get(context: Context, route: GetBlob) -> Response:
    """Takes one statement and one signature; the store answers the rest, ranges too."""
    services = context.services
    blob = blobs.get(services.database, route.repository, route.digest)
    if blob is None and services.imports.fetch_blob(route.repository, route.digest):
        blob = blobs.get(services.database, route.repository, route.digest)
    if blob is None:
        raise BlobUnknown(digest=str(route.digest))
    if has_same_etag(context, route.digest):
        return not_modified(route.digest)
    # A range that can't be met is refused here whatever the delivery: a store may answer it with the whole blob.
    wanted = parse_range(_range(context, route.digest), blob.size)
    if not blob.size:
        # The store has nothing to add, and refuses all ranges of it.
        return _whole(b"", route.digest, 0)
    if services.settings.blob_delivery == "streaming":
        return _streamed(context, route.digest, blob, wanted)
    headers = {"Location": services.signed_urls.url(blob.object_name), "Docker-Content-Digest": str(route.digest)}
    return empty(HTTPStatus.TEMPORARY_REDIRECT, headers)


def head(context: Context, route: HeadBlob) -> Response:
    services = context.services
    size = blobs.confirm(services.database, route.repository, route.digest)
    if size is None and services.imports.fetch_blob(route.repository, route.digest):
        size = blobs.confirm(services.database, route.repository, route.digest)
    if size is None:
        raise BlobUnknown(digest=str(route.digest))
    return not_modified(route.digest) if has_same_etag(context, route.digest) else _whole(b"", route.digest, size)


def _range(context: Context, digest: Digest) -> str | None:
    """A range of something else, as If-Range has it, is none of this blob (RFC 9110, section 13.1.5)."""
    headers = context.request.headers
    return headers.get("Range") if headers.get("If-Range", f'"{digest}"') == f'"{digest}"' else None


def delete(context: Context, route: DeleteBlob) -> Response:
    """Takes the blob from this repository. Refused while a manifest names it: its image could not be pulled."""
    try:
        rank = context.caller.rank(route.repository)
        is_deleted = blobs.delete(context.services.database, route.repository, route.digest, rank)
    except blobs.NamedByManifests as named:
        raise BlobReferenced([str(digest) for digest in named.holders]) from named
    if not is_deleted:
        raise BlobUnknown(digest=str(route.digest))
    return empty(HTTPStatus.ACCEPTED, {"Content-Length": "0"})


def _streamed(context: Context, digest: Digest, blob: blobs.Blob, wanted: ByteRange | None) -> Response:
    """Returns the blob through this function, for clients that can't follow a redirect."""
    if wanted is None:
        content = _read(context, digest, blob, ByteRange(0, blob.size - 1))
        return _whole(content, digest, blob.size)
    content = _read(context, digest, blob, wanted)
    response = Response(content, HTTPStatus.PARTIAL_CONTENT, content_type="application/octet-stream")
    response.headers["Content-Length"] = str(wanted.length)
    response.headers.extend(_described(digest))
    response.headers["Content-Range"] = f"bytes {wanted.first}-{wanted.last}/{blob.size}"
    return response


def _whole(content: bytes | Iterator[bytes], digest: Digest, length: int) -> Response:
    response = Response(content, content_type="application/octet-stream")
    response.headers["Content-Length"] = str(length)
    response.headers.extend(_described(digest))
    return response


def _read(context: Context, digest: Digest, blob: blobs.Blob, wanted: ByteRange) -> Iterator[bytes]:
    """The first piece is here when this returns: whether the store has the object is known before the answer begins."""
    pieces = context.services.bucket.read(blob.object_name, wanted.first, wanted.last)
    try:
        first = next(pieces, b"")
    except ObjectMissing as missing:
        lost_objects.mark(context.services, digest, blob.object_name)
        raise BlobUnknown(digest=str(digest)) from missing
    return _to_the_end(digest, wanted.length, first, pieces)


def _to_the_end(digest: Digest, length: int, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """What breaks off now breaks the connection: the answer's length has been told."""
    left = length - len(first)
    reason = "the object ended"
    yield first
    try:
        for piece in rest:
            left -= len(piece)
            yield piece
    except (BlobStoreUnavailable, ObjectMissing) as error:
        reason = f"{type(error).__name__}: {error}"
    if left:
        telemetry.log("ERROR", "a blob broke off", digest=str(digest), missing=left, reason=reason)
        raise BlobStoreUnavailable(reason)


def _described(digest: Digest) -> dict[str, str]:
    return {
        "Docker-Content-Digest": str(digest),
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
    }
