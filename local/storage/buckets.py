"""The JSON API's calls on buckets."""

from http import HTTPStatus

from werkzeug.wrappers import Response

from local.storage import answers, conditions, resources
from local.storage.calls import Call
from local.storage.errors import conflict
from local.storage.store import Store


def list_all(store: Store) -> Response:
    return answers.document({"kind": "storage#buckets", "items": store.catalog.buckets()})


def create(store: Store, call: Call) -> Response:
    bucket = resources.new_bucket(call.document())
    if not store.catalog.add_bucket(bucket):
        raise conflict("Your previous request to create the named bucket succeeded and you already own it.")
    return answers.document(bucket)


def get(store: Store, bucket: str) -> Response:
    return answers.document(store.require_bucket(bucket))


def patch(store: Store, call: Call, bucket: str) -> Response:
    changes = call.document()
    with store.database.transaction():
        found = store.require_bucket(bucket)
        # A bucket has metagenerations only.
        conditions.check({"generation": "0", **found}, call.query)
        changed = resources.patched(found, changes)
        store.catalog.update_bucket(changed)
    return answers.document(changed)


def delete(store: Store, bucket: str) -> Response:
    with store.database.transaction():
        store.require_bucket(bucket)
        if not store.catalog.is_empty(bucket):
            raise conflict("The bucket you tried to delete is not empty.")
        store.catalog.remove_bucket(bucket)
    return answers.empty(HTTPStatus.NO_CONTENT)


def get_policy(store: Store, bucket: str) -> Response:
    """Nobody's permissions are looked at here, so the policy is empty."""
    store.require_bucket(bucket)
    return answers.document({"kind": "storage#policy", "version": 1, "etag": "CAE=", "bindings": []})
