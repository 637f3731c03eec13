"""The XML API, as far as signed URLs reach: read, write, delete, and start a resumable upload."""

from http import HTTPStatus

from werkzeug.wrappers import Response

from local.storage import answers, conditions, downloads, objects, signatures, uploads
from local.storage.calls import Call
from local.storage.errors import StorageError
from local.storage.sessions import Sessions
from local.storage.signatures import Keys
from local.storage.store import Store


def answer(store: Store, sessions: Sessions, keys: Keys, call: Call) -> Response:
    """Check the signature, then do what was signed."""
    signatures.check(call, keys)
    bucket, *rest = call.segments
    name = "/".join(rest)
    match call.method:
        case "GET" | "HEAD":
            query = {**call.query, **conditions.of_headers(call)}
            return downloads.media(store, call, store.require(bucket, name, query))
        case "PUT":
            return _put(store, call, bucket, name)
        case "DELETE":
            return objects.delete(store, call, bucket, name)
        case "POST" if call.headers.get("x-goog-resumable") == "start":
            metadata = {"contentType": call.content_type}
            headers = uploads.start(sessions, call, (bucket, name), metadata, conditions.of_headers(call))
            return answers.empty(HTTPStatus.CREATED, headers)
        case _:
            raise StorageError(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed.", code="MethodNotAllowed")


def _put(store: Store, call: Call, bucket: str, name: str) -> Response:
    metadata = {"contentType": call.content_type}
    resource = uploads.store_whole(store, (bucket, name), call.blocks(), metadata, conditions.of_headers(call))
    return answers.empty(
        HTTPStatus.OK,
        {
            "ETag": f'"{resource["etag"]}"',
            "x-goog-generation": resource["generation"],
            "x-goog-hash": f"crc32c={resource['crc32c']},md5={resource['md5Hash']}",
        },
    )
