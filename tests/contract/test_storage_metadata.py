"""Buckets, patches, deletes and batches."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from google.api_core import exceptions

from tests.contract.storage_support import Api

_LATER: Final = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
_EARLIER: Final = datetime(2029, 1, 1, tzinfo=UTC)


@pytest.fixture
def blob(bucket: Any) -> Any:
    blob = bucket.blob("object")
    blob.upload_from_string(b"content", content_type="text/plain", retry=None)
    return blob


def delete_together(client: Any, bucket: Any, *names: str) -> None:
    with client.batch():
        for name in names:
            bucket.blob(name).delete()


def test_a_bucket_exists_once_created(storage_client: Any, bucket: Any) -> None:
    found = storage_client.get_bucket(bucket.name, retry=None)
    assert (found.location, found.storage_class) == ("US", "STANDARD")
    with pytest.raises(exceptions.Conflict):
        storage_client.create_bucket(bucket.name, retry=None)
    assert bucket.name in [listed.name for listed in storage_client.list_buckets(retry=None)]


def test_lifecycle_rules_are_kept(storage_client: Any, bucket: Any) -> None:
    bucket.add_lifecycle_delete_rule(age=7, matches_prefix=["uploads/"])
    bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=1)
    bucket.patch(retry=None)
    rules = list(storage_client.get_bucket(bucket.name, retry=None).lifecycle_rules)
    assert [rule["action"]["type"] for rule in rules] == ["Delete", "AbortIncompleteMultipartUpload"]


def test_a_bucket_with_objects_is_not_deleted(bucket: Any, blob: Any) -> None:
    with pytest.raises(exceptions.Conflict):
        bucket.delete(retry=None)
    blob.delete(retry=None)
    bucket.delete(retry=None)
    assert not bucket.exists(retry=None)


def test_a_bucket_has_a_policy(bucket: Any) -> None:
    assert list(bucket.get_iam_policy(requested_policy_version=3, retry=None)) == []


def test_a_patch_changes_metadata_and_only_the_metageneration(bucket: Any, blob: Any) -> None:
    blob.metadata = {"a": "1"}
    blob.content_type = "application/json"
    blob.cache_control = "no-store"
    blob.custom_time = _LATER
    blob.patch(retry=None)
    found = bucket.get_blob("object", retry=None)
    assert (found.metadata, found.content_type) == ({"a": "1"}, "application/json")
    assert (found.cache_control, found.custom_time) == ("no-store", _LATER)
    assert (found.generation, found.metageneration) == (blob.generation, 2)


def test_null_removes_a_metadata_key(bucket: Any, blob: Any) -> None:
    blob.metadata = {"a": "1"}
    blob.patch(retry=None)
    blob.metadata = {"a": None, "b": "2"}
    blob.patch(retry=None)
    assert bucket.get_blob("object", retry=None).metadata == {"b": "2"}


def test_custom_time_never_moves_back(blob: Any) -> None:
    blob.custom_time = _LATER
    blob.patch(retry=None)
    blob.custom_time = _EARLIER
    with pytest.raises(exceptions.BadRequest):
        blob.patch(retry=None)


def test_what_is_deleted_is_404(bucket: Any, blob: Any) -> None:
    blob.delete(retry=None)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("object").delete(retry=None)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("object").download_as_bytes(retry=None)


def test_an_error_names_its_reason(api: Api) -> None:
    error = api.call("GET", api.object_path("nope")).json()["error"]
    assert (error["code"], error["errors"][0]["reason"]) == (404, "notFound")


def test_a_body_that_is_no_document_is_refused(api: Api, blob: Any) -> None:
    path = api.object_path(blob.name)
    assert api.call("PATCH", path, data=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_an_unknown_call_is_404(api: Api) -> None:
    assert api.call("GET", "/storage/v1/nothing").status_code == 404


def test_a_batch_deletes_many(api: Api, bucket: Any, storage_client: Any) -> None:
    for number in range(20):
        api.upload(f"many/{number}", b"x")
    delete_together(storage_client, bucket, *(f"many/{number}" for number in range(20)))
    assert list(bucket.list_blobs(retry=None)) == []


def test_one_failure_in_a_batch_does_not_stop_the_rest(bucket: Any, blob: Any, storage_client: Any) -> None:
    with pytest.raises(exceptions.NotFound):
        delete_together(storage_client, bucket, "nope", blob.name)
    assert not bucket.blob(blob.name).exists(retry=None)


def test_conditions_hold_in_a_batch(bucket: Any, blob: Any, storage_client: Any) -> None:
    with pytest.raises(exceptions.PreconditionFailed), storage_client.batch():
        bucket.blob(blob.name).delete(if_generation_match=blob.generation + 1)
    assert bucket.blob(blob.name).exists(retry=None)


def test_a_batch_patches_many(api: Api, bucket: Any, storage_client: Any) -> None:
    for number in range(5):
        api.upload(f"é{number}", b"x")
    with storage_client.batch():
        for number in range(5):
            blob = bucket.blob(f"é{number}")
            blob.metadata = {"number": f"№{number}"}
            blob.patch()
    assert bucket.get_blob("é3", retry=None).metadata == {"number": "№3"}
