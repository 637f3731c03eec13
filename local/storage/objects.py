"""The JSON API's calls on objects that are there: read about, change, copy, move, delete, restore."""

from http import HTTPStatus

from werkzeug.wrappers import Response

from local.storage import answers, conditions, resources
from local.storage.calls import Call, Document
from local.storage.checksums import Checksums
from local.storage.store import Content, Store

Address = tuple[str, str]
"""A bucket and a name in it."""


def get(store: Store, call: Call, bucket: str, name: str) -> Response:
    if call.query.get("softDeleted", "").lower() == "true":
        return answers.document(store.require_soft_deleted(bucket, name, call.require("generation")))
    return answers.document(store.require(bucket, name, call.query))


def patch(store: Store, call: Call, bucket: str, name: str) -> Response:
    """Change metadata; PUT is served alike, though the real one also removes what it does not name."""
    changes = resources.editable(call.document())
    with store.database.transaction():
        found = store.require(bucket, name, call.query)
        resources.check_custom_time(found, changes)
        changed = resources.patched(found, changes)
        store.catalog.update(changed, is_live=True)
    return answers.document(changed)


def delete(store: Store, call: Call, bucket: str, name: str) -> Response:
    query = {**call.query, **conditions.of_headers(call)}
    with store.database.transaction():
        store.drop(store.require(bucket, name, query))
    return answers.empty(HTTPStatus.NO_CONTENT)


def copy(store: Store, call: Call, source: Address, target: Address) -> Response:
    return answers.document(_copy(store, call, source, target))


def rewrite(store: Store, call: Call, source: Address, target: Address) -> Response:
    """A copy, done in the first call unless `maxBytesRewrittenPerCall` is less than it has: then in as many as that
    takes, and the last one makes the object.
    """
    size = int(store.require(*source, call.query, source=True)["size"])
    whole = max(int(call.query.get("maxBytesRewrittenPerCall", size)), 1)
    done = min(int(call.query.get("rewriteToken", "0")) + whole, size)
    answer = {"kind": "storage#rewriteResponse", "objectSize": str(size), "totalBytesRewritten": str(done)}
    if done < size:
        return answers.document({**answer, "done": False, "rewriteToken": str(done)})
    return answers.document({**answer, "done": True, "resource": _copy(store, call, source, target)})


def move(store: Store, call: Call, bucket: str, old: str, new: str) -> Response:
    """Rename in one step: nobody sees both names, or neither."""
    with store.database.transaction():
        moved = _copy(store, call, (bucket, old), (bucket, new))
        if old != new:
            store.drop(store.require(bucket, old, {}))
    return answers.document(moved)


def restore(store: Store, call: Call, bucket: str, name: str) -> Response:
    """A soft-deleted generation comes back as a new one."""
    with store.database.transaction():
        found = store.require_soft_deleted(bucket, name, call.require("generation"))
        restored = store.commit(bucket, name, _shared(store, found), found, call.query)
    return answers.document(restored)


def _copy(store: Store, call: Call, source: Address, target: Address) -> Document:
    wanted = call.document()
    found = store.require(*source, call.query, source=True)
    # The real service takes the metadata of the request whole as soon as it names a content type.
    metadata = wanted if wanted.get("contentType") else {**found, **wanted}
    return store.commit(*target, _shared(store, found), resources.editable(metadata), call.query)


def _shared(store: Store, resource: Document) -> Content:
    return Content(
        path=store.content_of(resource),
        checksums=Checksums(crc32c=resource["crc32c"], md5=resource.get("md5Hash")),
        component_count=resource.get("componentCount"),
        is_shared=True,
    )
