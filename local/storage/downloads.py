"""Contents on their way out: whole or one range, straight from the file."""

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import BinaryIO, Final

from werkzeug.http import http_date, is_resource_modified, parse_range_header
from werkzeug.wrappers import Response

from local.storage import answers
from local.storage.calls import BLOCK, Call, Document
from local.storage.store import Store

_DEFAULT_CACHE_CONTROL: Final = "private, max-age=0"


def media(store: Store, call: Call, resource: Document) -> Response:
    """Returns the content of an object, or the range that was asked for.

    Several ranges at once are answered with everything, as Cloud Storage does.
    """
    headers = _headers(call, resource)
    if not is_resource_modified(call.environ, etag=resource["etag"]):
        return answers.empty(HTTPStatus.NOT_MODIFIED, headers)
    size = int(resource["size"])
    span = _span(call, size)
    start, stop = span or (0, size)
    if span is not None and start >= size:
        unsatisfiable = {"Content-Range": f"bytes */{size}"}
        return answers.empty(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, unsatisfiable)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT
    headers["Content-Length"] = str(stop - start)
    body = () if call.method == "HEAD" else _piece(store, call, resource, (start, stop))
    return Response(body, status, headers, direct_passthrough=True)


def _span(call: Call, size: int) -> tuple[int, int] | None:
    """Returns where the wanted range starts and stops, if there is one and it makes sense."""
    wanted = parse_range_header(call.headers.get("Range"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    start, stop = wanted.ranges[0]
    if start < 0:
        return max(size + start, 0), size
    return start, size if stop is None else min(stop, size)


def _piece(store: Store, call: Call, resource: Document, span: tuple[int, int]) -> Iterator[bytes]:
    start, stop = span
    file = store.content_of(resource).open("rb")
    file.seek(start)
    wrapper = call.environ.get("wsgi.file_wrapper")
    if wrapper is not None:
        # gunicorn hands this to sendfile, which sends Content-Length bytes from where the file stands.
        wrapped: Iterator[bytes] = wrapper(file, BLOCK)
        return wrapped
    return _FilePiece(file, stop - start)


class _FilePiece(Iterator[bytes]):
    """Part of a file, for servers without a file wrapper. Closes the file with the answer.

    Werkzeug's server forgets to end an answer whose client is gone: then the file is closed with the piece.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length

    def __next__(self) -> bytes:
        block = self._file.read(min(BLOCK, self._left))
        if not block:
            raise StopIteration
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._file.close()

    __del__ = close


def _headers(call: Call, resource: Document) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": resource.get("cacheControl", _DEFAULT_CACHE_CONTROL),
        "Content-Type": call.query.get("response-content-type") or resource["contentType"],
        "ETag": f'"{resource["etag"]}"',
        "Last-Modified": http_date(datetime.fromisoformat(resource["updated"])),
        "x-goog-generation": resource["generation"],
        "x-goog-hash": _hash_header(resource),
        "x-goog-metageneration": resource["metageneration"],
        "x-goog-storage-class": resource["storageClass"],
        "x-goog-stored-content-encoding": resource.get("contentEncoding", "identity"),
        "x-goog-stored-content-length": resource["size"],
        **{f"x-goog-meta-{key}": value for key, value in resource.get("metadata", {}).items()},
    }
    disposition = call.query.get("response-content-disposition") or resource.get("contentDisposition")
    if disposition:
        headers["Content-Disposition"] = disposition
    return headers


def _hash_header(resource: Document) -> str:
    md5 = f",md5={resource['md5Hash']}" if "md5Hash" in resource else ""
    return f"crc32c={resource['crc32c']}{md5}"
