"""An endpoint that the platform limits says so itself, and names the one that has no limit."""

from __future__ import annotations

import os
from typing import Final

import pytest

from functions.registry.oci.digest import Digest
from tests.support import Registry

_LIMIT: Final = 1 << 20
_CONTENT: Final = os.urandom(2 * _LIMIT + 5)
_CHUNKED: Final = {"headers": {"Transfer-Encoding": "chunked"}, "environ_overrides": {"wsgi.input_terminated": True}}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """A function's, behind the platform's limit."""
    return {
        **environment,
        "SLIPWAY_REQUEST_LIMIT_BYTES": str(_LIMIT),
        "SLIPWAY_REGISTRY_HOST": "registry.example.com",
    }


def _is_told_where_to_go(registry: Registry, method: str, path: str, content: bytes, **options: object) -> None:
    answer = registry.request(method, path, data=content, **options)
    assert answer.status_code == 413
    assert registry.error_code(answer) == "SIZE_INVALID"
    [error] = answer.get_json()["errors"]
    assert "registry.example.com" in error["message"]
    assert str(_LIMIT) in error["message"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_body_announced_above_the_limit_is_refused_before_anything_is_read(registry: Registry, method: str) -> None:
    location = registry.start_upload("a/b")
    path = location if method == "PATCH" else f"{location}?digest={Digest.of(_CONTENT)}"
    _is_told_where_to_go(registry, method, path, _CONTENT)
    assert registry.get(location).headers["Range"] == "0-0"


def test_a_whole_blob_in_the_request_that_starts_its_upload_is_refused_likewise(registry: Registry) -> None:
    path = f"/v2/a/b/blobs/uploads/?digest={Digest.of(_CONTENT)}"
    _is_told_where_to_go(registry, "POST", path, _CONTENT)


def test_what_came_of_a_body_without_a_length_is_kept_and_the_rest_can_follow_in_chunks(registry: Registry) -> None:
    location = registry.start_upload("a/b")
    _is_told_where_to_go(registry, "PATCH", location, _CONTENT, **_CHUNKED)
    offset = int(registry.get(location).headers["Range"].removeprefix("0-")) + 1
    assert offset == _LIMIT * 7 // 8
    for first in range(offset, len(_CONTENT), _LIMIT):
        chunk = _CONTENT[first : first + _LIMIT]
        headers = {"Content-Range": f"{first}-{first + len(chunk) - 1}"}
        assert registry.request("PATCH", location, data=chunk, headers=headers).status_code == 202
    digest = Digest.of(_CONTENT)
    assert registry.request("PUT", f"{location}?digest={digest}").status_code == 201
    assert registry.pull_blob("a/b", digest) == _CONTENT


@pytest.mark.parametrize(("size", "options"), [(_LIMIT, {}), (_LIMIT * 7 // 8, _CHUNKED)], ids=["length", "without"])
def test_a_body_of_exactly_the_limit_is_taken(registry: Registry, size: int, options: dict[str, object]) -> None:
    location = registry.start_upload("a/b")
    assert registry.request("PATCH", location, data=_CONTENT[:size], **options).status_code == 202


class TestWithoutAnotherHost:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return {**environment, "SLIPWAY_REGISTRY_HOST": ""}

    def test_the_refusal_says_what_else_helps(self, registry: Registry) -> None:
        answer = registry.request("PATCH", registry.start_upload("a/b"), data=_CONTENT)
        assert answer.status_code == 413
        assert "in chunks" in answer.get_json()["errors"][0]["message"]
