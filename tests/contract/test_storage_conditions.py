"""Preconditions on generations: who may write, and who comes too late."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core import exceptions

from tests.contract.storage_support import Api


def put(bucket: Any, name: str, content: bytes = b"content", **conditions: int) -> Any:
    blob = bucket.blob(name)
    blob.upload_from_string(content, retry=None, **conditions)
    return blob


def test_a_multipart_upload_creates_only_if_the_name_is_free(bucket: Any) -> None:
    put(bucket, "x", b"first")
    with pytest.raises(exceptions.PreconditionFailed):
        put(bucket, "x", b"second", if_generation_match=0)
    assert bucket.blob("x").download_as_bytes(retry=None) == b"first"


def test_a_simple_upload_creates_only_if_the_name_is_free(api: Api) -> None:
    assert api.upload("x", b"first", ifGenerationMatch="0").status_code == 200
    assert api.upload("x", b"second", ifGenerationMatch="0").status_code == 412


def test_a_replacement_needs_the_generation_it_replaces(bucket: Any) -> None:
    old = put(bucket, "x").generation
    put(bucket, "x", b"2", if_generation_match=old)
    with pytest.raises(exceptions.PreconditionFailed):
        put(bucket, "x", b"3", if_generation_match=old)


def test_of_sixteen_writers_that_want_to_be_first_one_wins(api: Api) -> None:
    def write(number: int) -> int:
        return api.upload("race", str(number).encode(), ifGenerationMatch="0").status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = Counter(pool.map(write, range(16)))
    assert statuses == {200: 1, 412: 15}


def test_a_delete_needs_the_generation_it_means(bucket: Any) -> None:
    generation = put(bucket, "x").generation
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("x").delete(if_generation_match=generation + 1, retry=None)
    bucket.blob("x").delete(if_generation_match=generation, retry=None)
    assert not bucket.blob("x").exists(retry=None)


def test_a_delete_of_a_generation_that_was_replaced_is_404(api: Api, bucket: Any) -> None:
    old = put(bucket, "x").generation
    put(bucket, "x", b"new")
    assert api.call("DELETE", f"{api.object_path('x')}?generation={old}").status_code == 404
    assert bucket.blob("x").exists(retry=None)


def test_a_patch_needs_the_metageneration_it_changes(bucket: Any) -> None:
    blob = put(bucket, "x")
    blob.metadata = {"a": "1"}
    with pytest.raises(exceptions.PreconditionFailed):
        blob.patch(if_metageneration_match=99, retry=None)
    blob.patch(if_metageneration_match=1, retry=None)
    assert blob.metageneration == 2


def test_a_read_of_what_has_not_changed_is_304(api: Api, bucket: Any) -> None:
    generation = put(bucket, "x").generation
    answer = api.call("GET", f"{api.object_path('x')}?ifGenerationNotMatch={generation}")
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_read_of_another_generation_is_404(api: Api, bucket: Any) -> None:
    generation = put(bucket, "x").generation
    assert api.call("GET", f"{api.object_path('x')}?generation={generation}").status_code == 200
    assert api.call("GET", f"{api.object_path('x')}?generation={generation + 5}").status_code == 404


def test_a_condition_that_is_no_number_is_refused(api: Api, bucket: Any) -> None:
    put(bucket, "x")
    assert api.call("GET", f"{api.object_path('x')}?ifGenerationMatch=one").status_code == 400


def test_generations_grow(bucket: Any) -> None:
    generations = [put(bucket, "x").generation for _ in range(5)]
    assert generations == sorted(set(generations))
