"""The end of an upload, sent again because its answer was lost: it is answered as before while the blob is there."""

from __future__ import annotations

import uuid

import pytest

from functions.registry.metadata.content import blobs
from functions.registry.oci.digest import Digest
from tests.metadata.build import query
from tests.support import Registry

CONTENT = b"a layer that was pushed"
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def finished(registry: Registry) -> str:
    """Where the upload was."""
    location = registry.start_upload("a/b")
    assert registry.request("PUT", f"{location}?digest={DIGEST}", data=CONTENT).status_code == 201
    return location


def put(registry: Registry, location: str, digest: Digest = DIGEST, content: bytes = CONTENT) -> int:
    """The status."""
    response = registry.request("PUT", f"{location}?digest={digest}", data=content)
    if response.status_code == 404:
        assert registry.error_code(response) == "BLOB_UPLOAD_UNKNOWN"
    return response.status_code


@pytest.mark.parametrize("content", [CONTENT, b"", b"something else" * 100_000])
def test_it_is_answered_as_the_first_time(registry: Registry, finished: str, content: bytes) -> None:
    response = registry.request("PUT", f"{finished}?digest={DIGEST}", data=content)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == str(DIGEST)
    assert response.headers["Location"] == f"/v2/a/b/blobs/{DIGEST}"
    assert registry.pull_blob("a/b", DIGEST) == CONTENT


def test_it_is_one_statement_more(registry: Registry, finished: str) -> None:
    statements = registry.statements("PUT", f"{finished}?digest={DIGEST}", data=CONTENT)
    assert statements == ["uploads_get_with_parts", "uploads_name_next", "blobs_confirm_uploaded"]


def test_it_renews_the_lease_as_a_head_does(registry: Registry, finished: str) -> None:
    database = registry.services.database
    query(database, "UPDATE link_reviews SET review_after = now() + interval '1 hour'")
    assert put(registry, finished) == 201
    assert query(database, "SELECT event, review_after > now() + interval '12 hours' FROM link_reviews") == [
        ["lease", True]
    ]


def test_what_is_not_in_this_repository_is_unknown(registry: Registry, finished: str) -> None:
    assert put(registry, finished, Digest.of(b"unknown")) == 404
    registry.push_blob("c/d", b"of another repository")
    assert put(registry, finished, Digest.of(b"of another repository")) == 404
    assert put(registry, finished.replace("/a/b/", "/c/d/")) == 404
    assert put(registry, finished.replace("/a/b/", "/no/where/")) == 404


def test_an_upload_that_nobody_began_is_as_one_that_has_ended(registry: Registry, finished: str) -> None:
    upload = finished.partition("?")[0].rpartition("/")[2]
    assert put(registry, finished.replace(upload, str(uuid.uuid4()))) == 201
    assert put(registry, finished.replace(upload, "not-an-id")) == 404


@pytest.mark.usefixtures("finished")
def test_a_colleagues_open_upload_is_unknown_until_it_ends(registry: Registry) -> None:
    for repository in ("a/b", "c/d"):
        theirs = registry.start_upload(repository)
        query(registry.services.database, "UPDATE uploads SET principal = 'user colleague'")
        assert put(registry, theirs.replace(f"/{repository}/", "/a/b/")) == 404
        query(registry.services.database, "UPDATE uploads SET expires_at = now()")
        assert put(registry, theirs.replace(f"/{repository}/", "/a/b/")) == 201


def test_a_damaged_blob_has_to_be_pushed_again(registry: Registry, finished: str) -> None:
    database = registry.services.database
    ((name,),) = query(database, "SELECT object_name FROM blobs")
    assert blobs.mark(database, DIGEST, name)
    assert put(registry, finished) == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_other_requests_still_find_nothing(registry: Registry, finished: str, method: str) -> None:
    assert registry.request(method, finished, data=b"" if method != "PATCH" else b"x").status_code == 404
