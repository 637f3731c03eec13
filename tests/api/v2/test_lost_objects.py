"""Objects that are gone from the bucket, as after a restore: a push heals a blob, and an upload of them ends."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import requests
from werkzeug.test import TestResponse

from functions.registry.blobs.gcs import Bucket
from functions.registry.metadata.content import blobs
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.api.test_statements import COMMIT
from tests.metadata.build import query
from tests.support import Image, Registry

CONTENT = b"a layer that is lost"
DIGEST = Digest.of(CONTENT)


def objects_of(registry: Registry, location: str) -> list[str]:
    """Those of an upload, in order."""
    upload = location.partition("?")[0].rpartition("/")[2]
    sql = "SELECT object_name FROM upload_objects WHERE upload_id = CAST(:id AS uuid) ORDER BY number"
    return [name for (name,) in query(registry.services.database, sql, id=upload)]


def object_of(registry: Registry, digest: Digest = DIGEST) -> str:
    sql = "SELECT object_name FROM blobs WHERE digest = :digest"
    ((name,),) = query(registry.services.database, sql, digest=digest.to_bytes())
    return str(name)


def lose(registry: Registry, *names: str) -> None:
    assert registry.services.bucket.delete_all(names) == {}


def let_time_pass(registry: Registry, minutes: int) -> None:
    """All that was written was written so much earlier."""
    query(
        registry.services.database,
        "UPDATE upload_objects SET finished_at = finished_at - make_interval(mins => :minutes)",
        minutes=minutes,
    )


def push_in_two(registry: Registry, repository: str, content: bytes, digest: Digest) -> TestResponse:
    return registry.request("PUT", f"{registry.start_upload(repository)}?digest={digest}", data=content)


def push_at_once(registry: Registry, repository: str, content: bytes, digest: Digest) -> TestResponse:
    return registry.request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data=content)


def push_in_chunks(registry: Registry, repository: str, content: bytes, digest: Digest) -> TestResponse:
    location = registry.start_upload(repository)
    for chunk in (content[:5], content[5:]):
        registry.request("PATCH", location, data=chunk)
    return registry.request("PUT", f"{location}?digest={digest}")


Push = Callable[[Registry, str, bytes, Digest], TestResponse]


@pytest.mark.parametrize("push", [push_in_two, push_at_once, push_in_chunks])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [CONTENT, b""], ids=["bytes", "none"])
@pytest.mark.parametrize("repository", ["a/b", "c/d"], ids=["the same repository", "another"])
def test_pushing_its_bytes_again_heals_a_blob(
    registry: Registry, push: Push, algorithm: str, content: bytes, repository: str
) -> None:
    digest = registry.push_blob("a/b", content, algorithm)
    lost = object_of(registry, digest)
    lose(registry, lost)
    assert push(registry, repository, content, digest).status_code == 201
    assert registry.pull_blob("a/b", digest) == registry.pull_blob(repository, digest) == content
    pending = query(registry.services.database, "SELECT object_name FROM deletions")
    assert [lost] in pending
    assert [object_of(registry, digest)] not in pending


def test_an_object_of_another_size_is_no_better_than_none(registry: Registry, storage_address: str) -> None:
    registry.push_blob("a/b", CONTENT)
    bucket, name = registry.services.settings.bucket, object_of(registry)
    lose(registry, name)
    path = f"{storage_address}/upload/storage/v1/b/{bucket}/o"
    requests.post(path, params={"uploadType": "media", "name": name}, data=b"short", timeout=10).raise_for_status()
    assert push_in_two(registry, "c/d", CONTENT, DIGEST).status_code == 201
    assert registry.pull_blob("a/b", DIGEST) == CONTENT


def test_an_object_that_is_there_stays_and_the_new_one_goes(registry: Registry) -> None:
    registry.push_blob("a/b", CONTENT)
    older = object_of(registry)
    assert push_in_two(registry, "a/b", CONTENT, DIGEST).status_code == 201
    assert object_of(registry) == older
    assert len(query(registry.services.database, "SELECT FROM deletions")) == 1


def test_what_a_push_of_a_known_blob_asks(registry: Registry) -> None:
    """Only where the digest is known is anything asked a second time."""
    registry.push_blob("a/b", CONTENT)

    def push() -> list[str]:
        return registry.statements("PUT", f"{registry.start_upload('a/b')}?digest={DIGEST}", data=CONTENT)

    receive = ["uploads_get_with_parts", "uploads_name_next"]
    assert push() == [*receive, *COMMIT, *COMMIT]
    lose(registry, object_of(registry))
    assert push() == [*receive, *COMMIT, "blobs_mark", *COMMIT]
    blobs.mark(registry.services.database, DIGEST, object_of(registry))
    assert push() == [*receive, *COMMIT]


def test_a_damaged_blob_is_not_there_for_those_who_ask(registry: Registry) -> None:
    image = registry.push_image("a/b", "v1", Image(layers=(CONTENT,)))
    blobs.mark(registry.services.database, DIGEST, object_of(registry))
    for method in ("GET", "HEAD"):
        assert registry.request(method, f"/v2/a/b/blobs/{DIGEST}").status_code == 404
    assert registry.error_code(registry.get(f"/v2/a/b/blobs/{DIGEST}")) == "BLOB_UNKNOWN"
    for query_ in (f"mount={DIGEST}&from=a/b", f"mount={DIGEST}"):
        assert registry.request("POST", f"/v2/a/b/blobs/uploads/?{query_}").status_code == 202
        assert registry.request("POST", f"/v2/c/d/blobs/uploads/?{query_}").status_code == 202
    # The image is there, as before: nodes that have its layers rely on that.
    assert registry.request("HEAD", "/v2/a/b/manifests/v1").status_code == 200
    assert registry.put_manifest("a/b", "v2", image.manifest).status_code == 201
    registry.push_blob("a/b", CONTENT)
    assert registry.pull_blob("a/b", DIGEST) == CONTENT


@pytest.mark.parametrize("count", [2, 33])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("which", [0, -1])
def test_an_upload_that_lost_a_part_ends(registry: Registry, count: int, algorithm: str, which: int) -> None:
    """It ends where parts are joined, and where they are read once more for another algorithm than was thought."""
    chunks = [os.urandom(10) for _ in range(count)]
    location = registry.start_upload("a/b")
    for chunk in chunks:
        registry.request("PATCH", location, data=chunk)
    lose(registry, objects_of(registry, location)[which])
    digest = Digest.of(b"".join(chunks), algorithm)
    for request in (("PUT", f"{location}?digest={digest}"), ("PUT", f"{location}?digest={digest}"), ("GET", location)):
        gone = registry.request(*request)
        assert (gone.status_code, registry.error_code(gone)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert registry.request("HEAD", f"/v2/a/b/blobs/{digest}").status_code == 404


@pytest.mark.parametrize("minutes", [61, None], ids=["an hour ago", "by the previous release"])
@pytest.mark.parametrize("rest", [b"", b" and the rest"], ids=["one part", "a second comes with the PUT"])
def test_a_part_that_was_written_long_ago_is_looked_at(registry: Registry, minutes: int | None, rest: bytes) -> None:
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=CONTENT)
    let_time_pass(registry, minutes) if minutes else query(
        registry.services.database, "UPDATE upload_objects SET finished_at = NULL"
    )
    lose(registry, *objects_of(registry, location))
    gone = registry.request("PUT", f"{location}?digest={Digest.of(CONTENT + rest)}", data=rest)
    assert (gone.status_code, registry.error_code(gone)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert registry.get(location).status_code == 404


@pytest.mark.parametrize(("minutes", "looks"), [(59, 0), (61, 1)])
def test_a_part_that_was_written_within_the_hour_costs_no_request(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, minutes: int, looks: int
) -> None:
    looked_at: list[str] = []
    size = Bucket.size

    def look(bucket: Bucket, name: str) -> int:
        looked_at.append(name)
        return size(bucket, name)

    monkeypatch.setattr(Bucket, "size", look)
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=CONTENT)
    let_time_pass(registry, minutes)
    assert registry.request("PUT", f"{location}?digest={DIGEST}").status_code == 201
    assert len(looked_at) == looks
    assert push_at_once(registry, "a/b", b"", Digest.of(b"")).status_code == 201
    assert len(looked_at) == looks


def test_the_registry_goes_on_where_a_blob_and_an_upload_of_it_are_lost(registry: Registry) -> None:
    registry.push_blob("a/b", CONTENT)
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=CONTENT)
    lose(registry, object_of(registry), *objects_of(registry, location))
    let_time_pass(registry, 61)
    blobs.mark(registry.services.database, DIGEST, object_of(registry))
    assert registry.request("PUT", f"{location}?digest={DIGEST}").status_code == 404
    registry.push_blob("a/b", CONTENT)
    assert registry.pull_blob("a/b", DIGEST) == CONTENT


def test_a_config_that_is_lost_is_noticed_where_it_is_read(registry: Registry) -> None:
    image = registry.push_image("a/b", "v1")
    config = Digest.of(image.config)
    lose(registry, object_of(registry, config))
    assert registry.get("/gitlab/v1/repositories/a/b/tags/detail/v1/").status_code == 200
    assert blobs.get(registry.services.database, RepositoryName("a/b"), config) is None
    registry.push_blob("a/b", image.config)
    assert registry.pull_blob("a/b", config) == image.config
