"""Uploads by the JSON API: simple, multipart and resumable."""

from collections.abc import Iterator
from http import HTTPStatus

from werkzeug.wrappers import Response

from local.storage import answers, checksums, content_range, multipart
from local.storage.calls import Call, Document
from local.storage.errors import invalid
from local.storage.sessions import Session, Sessions, object_name
from local.storage.store import Content, Store


def insert(store: Store, sessions: Sessions, call: Call, bucket: str) -> Response:
    """Store an object sent in one body, or open a session for one that comes in pieces."""
    store.require_bucket(bucket)
    match call.query.get("uploadType"):
        case "resumable":
            metadata = call.document()
            metadata.setdefault("contentType", call.headers.get("X-Upload-Content-Type"))
            address = (bucket, object_name(call.query, metadata))
            return answers.empty(HTTPStatus.OK, start(sessions, call, address, metadata, call.query))
        case "multipart":
            related = multipart.read(call)
            metadata = {"contentType": related.content_type, **related.metadata}
            blocks = related.blocks
        case "media":
            metadata, blocks = {"contentType": call.content_type}, call.blocks()
        case other:
            raise invalid(f"Unknown uploadType: {other}")
    name = object_name(call.query, metadata)
    return answers.document(store_whole(store, (bucket, name), blocks, metadata, call.query))


def store_whole(
    store: Store, address: tuple[str, str], blocks: Iterator[bytes], metadata: Document, query: dict[str, str]
) -> Document:
    """Stream one body into one object; a body cut short stores nothing."""
    with store.files.scratch() as path:
        content = Content(path=path, checksums=checksums.store(blocks, path))
        return store.commit(*address, content, metadata, query)


def start(
    sessions: Sessions, call: Call, address: tuple[str, str], metadata: Document, query: dict[str, str]
) -> dict[str, str]:
    """Open a session under the conditions of the query; the answer's headers say where its bytes go."""
    conditions = {name: value for name, value in query.items() if name.startswith("if")}
    upload_id = sessions.start(*address, metadata, conditions)
    path = f"upload/storage/v1/b/{address[0]}/o?uploadType=resumable&upload_id={upload_id}"
    return {"Location": call.host_url + path, "X-GUploader-UploadID": upload_id}


def put_chunk(sessions: Sessions, call: Call) -> Response:
    """Take the next bytes of a session, tell how far it is, or end it. A finished one answers with its object."""
    chunk = content_range.parse(call)
    session = sessions.require(call.require("upload_id"))
    if not isinstance(session, Session):
        return answers.document(session)
    turn = session.take_turn()
    if session.finished is not None:
        return answers.document(session.finished)
    if chunk.start is not None:
        session.append(turn, chunk.start, call.blocks())
    if chunk.completes(session.size):
        return answers.document(sessions.finish(session, turn))
    return _incomplete(session.settle(turn))


def _incomplete(size: int) -> Response:
    headers = {"Range": f"bytes=0-{size - 1}"} if size else {}
    return answers.empty(HTTPStatus.PERMANENT_REDIRECT, headers)


def cancel(sessions: Sessions, call: Call) -> Response:
    sessions.cancel(call.require("upload_id"))
    return answers.empty(answers.CLIENT_CLOSED_REQUEST)
