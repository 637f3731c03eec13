"""The fake as a WSGI application, and as gunicorn starts it.

    python -m gunicorn --worker-class gthread --threads 16 --bind 127.0.0.1:PORT "local.storage.server:create_app()"

One worker process only: open upload sessions and planned faults live in it.
"""

import json
import os
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gunicorn.http.unreader import SocketUnreader
from werkzeug.wrappers import Response

from local.storage import (
    answers,
    batch,
    buckets,
    composing,
    cors,
    downloads,
    listing,
    objects,
    signed_calls,
    uploads,
)
from local.storage.calls import BLOCK, CALLS, Call
from local.storage.errors import StorageError, no_such_call
from local.storage.faults import Faults
from local.storage.sessions import Sessions
from local.storage.signatures import Keys
from local.storage.store import Store
from local.storage.upkeep import Upkeep

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_JSON_ROOTS: Final = frozenset({"storage", "upload", "download", "batch"})


def create_app() -> Faults:
    """Returns the fake with its settings from the environment.

    SLIPWAY_STORAGE_ROOT is the folder to keep everything in; SLIPWAY_STORAGE_KEYS, if set, a JSON file that maps who
    may sign URLs to a PEM public key or an HMAC secret.
    """
    # The server would receive more than is asked for, and copy the rest of that with each block that is taken.
    SocketUnreader.max_body_chunk = BLOCK
    keys = os.environ.get("SLIPWAY_STORAGE_KEYS")
    known = json.loads(Path(keys).read_text(encoding="utf-8")) if keys else {}
    return Faults(Storage(Path(os.environ["SLIPWAY_STORAGE_ROOT"]), Keys(known)))


class Storage:
    """Cloud Storage over HTTP, kept under one folder."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self._store = Store(root)
        self._sessions = Sessions(self._store)
        self._keys = keys
        self._sessions.expire()
        self._store.files.sweep(self._store.catalog.has_generation, self._sessions.is_open)
        self._upkeep = Upkeep(self._store, self._sessions)

    def close(self) -> None:
        self._upkeep.stop()
        self._store.database.close()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        call = Call(environ)
        is_json = _JSON_ROOTS.issuperset(call.segments[:1])
        try:
            response = self._answer(call)
        except StorageError as error:
            response = answers.json_error(error) if is_json else answers.xml_error(error)
        if not is_json:
            cors.share(self._store, call, response)
        call.drain()
        return response(environ, start_response)

    def _answer(self, call: Call) -> Response:  # noqa: PLR0911 - a table of routes
        match [call.method, *call.segments]:
            case ["GET", ""]:
                return Response("ok")
            case ["POST", "batch", "storage", "v1"]:
                return batch.answer(call.environ.get(CALLS, self), call)
            case [_, "storage", "v1", "b", *rest]:
                return self._answer_about_buckets(call, rest)
            case ["GET", "download", "storage", "v1", "b", bucket, "o", name]:
                return downloads.media(self._store, call, self._store.require(bucket, name, call.query))
            case [_, "upload", "storage", "v1", "b", bucket, "o"]:
                return self._answer_about_uploads(call, bucket)
            case ["OPTIONS", bucket, _, *_] if bucket not in _JSON_ROOTS:
                return answers.empty(HTTPStatus.OK)
            case [_, bucket, _, *_] if bucket not in _JSON_ROOTS:
                return signed_calls.answer(self._store, self._sessions, self._keys, call)
        raise no_such_call()

    def _answer_about_buckets(self, call: Call, rest: list[str]) -> Response:  # noqa: PLR0911 - a table of routes
        store = self._store
        match [call.method, *rest]:
            case ["GET"]:
                return buckets.list_all(store)
            case ["POST"]:
                return buckets.create(store, call)
            case ["GET", bucket]:
                return buckets.get(store, bucket)
            case ["PATCH" | "PUT", bucket]:
                return buckets.patch(store, call, bucket)
            case ["DELETE", bucket]:
                return buckets.delete(store, bucket)
            case ["GET", bucket, "iam"]:
                return buckets.get_policy(store, bucket)
            case ["GET", bucket, "o"]:
                return listing.list_objects(store, call, bucket)
            case [_, bucket, "o", name, *verb]:
                return self._answer_about_object(call, bucket, name, verb)
        raise no_such_call()

    def _answer_about_object(  # noqa: PLR0911 - a table of routes
        self, call: Call, bucket: str, name: str, verb: list[str]
    ) -> Response:
        store = self._store
        match [call.method, *verb]:
            case ["GET"] if call.query.get("alt") == "media":
                return downloads.media(store, call, store.require(bucket, name, call.query))
            case ["GET"]:
                return objects.get(store, call, bucket, name)
            case ["PATCH" | "PUT"]:
                return objects.patch(store, call, bucket, name)
            case ["DELETE"]:
                return objects.delete(store, call, bucket, name)
            case ["POST", "compose"]:
                return composing.compose(store, call, bucket, name)
            case ["POST", "copyTo", "b", target, "o", new]:
                return objects.copy(store, call, (bucket, name), (target, new))
            case ["POST", "rewriteTo", "b", target, "o", new]:
                return objects.rewrite(store, call, (bucket, name), (target, new))
            case ["POST", "moveTo", "o", new]:
                return objects.move(store, call, bucket, name, new)
            case ["POST", "restore"]:
                return objects.restore(store, call, bucket, name)
        raise no_such_call()

    def _answer_about_uploads(self, call: Call, bucket: str) -> Response:
        match call.method:
            case "PUT" | "POST" if "upload_id" in call.query:
                return uploads.put_chunk(self._sessions, call)
            case "POST":
                return uploads.insert(self._store, self._sessions, call, bucket)
            case "DELETE":
                return uploads.cancel(self._sessions, call)
        raise no_such_call()
