"""Objects made of objects: compose, copy, rewrite, move, and what comes back from the dead."""

from typing import Any

import pytest
from google.api_core import exceptions

from tests.contract.storage_support import Api, crc32c_of


@pytest.fixture
def parts(bucket: Any) -> list[Any]:
    blobs = [bucket.blob("one"), bucket.blob("two")]
    for blob, content in zip(blobs, (b"aaa", b"bbb"), strict=True):
        blob.upload_from_string(content, content_type="text/x", retry=None)
    return blobs


def test_two_objects_are_composed_into_one(bucket: Any, parts: list[Any]) -> None:
    whole = bucket.blob("whole")
    whole.content_type = "application/x-whole"
    whole.compose(parts, retry=None)
    whole.reload(retry=None)
    assert whole.download_as_bytes(retry=None) == b"aaabbb"
    assert (whole.crc32c, whole.content_type) == (crc32c_of(b"aaabbb"), "application/x-whole")
    assert (whole.component_count, whole.md5_hash) == (2, None)


def test_components_of_components_are_counted(bucket: Any, parts: list[Any]) -> None:
    bucket.blob("pair").compose(parts, retry=None)
    whole = bucket.blob("whole")
    whole.compose([bucket.blob("pair"), *parts], retry=None)
    whole.reload(retry=None)
    assert (whole.component_count, whole.download_as_bytes(retry=None)) == (4, b"aaabbbaaabbb")


def test_an_object_can_be_composed_onto_itself(bucket: Any, parts: list[Any]) -> None:
    bucket.blob("one").compose(parts, retry=None)
    assert bucket.blob("one").download_as_bytes(retry=None) == b"aaabbb"


def test_thirty_two_objects_are_composed(bucket: Any, parts: list[Any]) -> None:
    bucket.blob("whole").compose(parts[:1] * 32, retry=None)
    assert bucket.blob("whole").download_as_bytes(retry=None) == b"aaa" * 32


@pytest.mark.parametrize("count", [0, 33])
def test_no_other_number_of_objects_is_composed(bucket: Any, parts: list[Any], count: int) -> None:
    with pytest.raises(exceptions.BadRequest):
        bucket.blob("whole").compose(parts[:1] * count, retry=None)


def test_a_missing_component_is_404(bucket: Any, parts: list[Any]) -> None:
    with pytest.raises(exceptions.NotFound):
        bucket.blob("whole").compose([parts[0], bucket.blob("nope")], retry=None)


def test_compose_respects_conditions(bucket: Any, parts: list[Any]) -> None:
    bucket.blob("whole").upload_from_string(b"taken", retry=None)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("whole").compose(parts, if_generation_match=0, retry=None)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("whole").compose(parts, if_source_generation_match=[1, 1], retry=None)


def test_a_copy_has_the_content_and_the_type(bucket: Any, parts: list[Any]) -> None:
    copied = bucket.copy_blob(parts[0], bucket, "copy", retry=None)
    assert (copied.download_as_bytes(retry=None), copied.content_type) == (b"aaa", "text/x")


def test_a_copy_outlives_what_it_was_copied_from(bucket: Any, parts: list[Any]) -> None:
    copied = bucket.copy_blob(parts[0], bucket, "copy", retry=None)
    parts[0].delete(retry=None)
    assert copied.download_as_bytes(retry=None) == b"aaa"


def test_a_copy_respects_conditions(bucket: Any, parts: list[Any]) -> None:
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(parts[0], bucket, "two", if_generation_match=0, retry=None)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(parts[0], bucket, "copy", if_source_generation_match=1, retry=None)


def test_a_rewrite_is_done_in_one_call(bucket: Any, parts: list[Any]) -> None:
    target = bucket.blob("rewritten")
    token, written, total = target.rewrite(parts[0], retry=None)
    assert (token, written, total) == (None, 3, 3)
    assert target.download_as_bytes(retry=None) == b"aaa"


def test_a_rewrite_respects_conditions(bucket: Any, parts: list[Any]) -> None:
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("two").rewrite(parts[0], if_generation_match=0, retry=None)


def test_a_rewrite_may_change_metadata(bucket: Any, parts: list[Any]) -> None:
    target = bucket.blob("rewritten")
    target.content_type = "application/new"
    target.metadata = {"k": "v"}
    target.rewrite(parts[0], retry=None)
    target.reload(retry=None)
    assert (target.content_type, target.metadata) == ("application/new", {"k": "v"})


def test_a_moved_object_leaves_its_old_name(bucket: Any, parts: list[Any]) -> None:
    moved = bucket.move_blob(parts[0], "moved", retry=None)
    assert moved.download_as_bytes(retry=None) == b"aaa"
    assert not bucket.blob("one").exists(retry=None)


def test_a_move_respects_conditions(bucket: Any, parts: list[Any]) -> None:
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.move_blob(parts[0], "two", if_generation_match=0, retry=None)
    assert bucket.blob("one").exists(retry=None)


def test_a_soft_deleted_object_can_be_restored(storage_client: Any, bucket: Any) -> None:
    bucket.soft_delete_policy.retention_duration_seconds = 7 * 86400
    bucket.patch(retry=None)
    blob = bucket.blob("soft")
    blob.upload_from_string(b"soft", retry=None)
    blob.delete(retry=None)
    assert not bucket.blob("soft").exists(retry=None)
    deleted = storage_client.list_blobs(bucket, soft_deleted=True, retry=None)
    assert [found.generation for found in deleted] == [blob.generation]
    bucket.restore_blob("soft", generation=blob.generation, retry=None)
    assert bucket.blob("soft").download_as_bytes(retry=None) == b"soft"


def test_a_source_that_is_not_there_is_404(api: Api) -> None:
    path = f"{api.object_path('nope')}/rewriteTo/b/{api.bucket}/o/target"
    assert api.call("POST", path).status_code == 404
