"""What clients ask for and only the older registry has is there, from the first minute, object by object."""

from __future__ import annotations

import pytest

from functions.registry.oci.digest import Digest
from tests.imports.old import OldRegistry, end_listing, open_source
from tests.metadata.build import query, value
from tests.support import Image, Registry, index_of


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry, old: OldRegistry) -> int:  # noqa: ARG001  # the order
    """In lead, and not listed yet."""
    return open_source(registry.services.database)


def test_an_image_of_a_repository_that_nobody_has_listed_yet_is_pulled_by_its_tag(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    pulled = registry.get("/v2/team/app/manifests/v1")
    assert (pulled.status_code, pulled.data) == (200, image.manifest)
    assert pulled.headers["Docker-Content-Digest"] == str(image.digest)
    for blob in image.blobs:
        assert registry.pull_blob("team/app", Digest.of(blob)) == blob
    assert source


def test_what_was_fetched_costs_what_it_always_does(registry: Registry, old: OldRegistry, source: int) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    registry.get("/v2/team/app/manifests/v1")
    assert registry.statements("GET", "/v2/team/app/manifests/v1") == ["manifests_get_by_tag"]
    assert registry.statements("GET", f"/v2/team/app/blobs/{Digest.of(image.layers[0])}") == ["blobs_get"]
    assert source


def test_a_manifest_is_pulled_by_its_digest_and_a_blob_by_itself(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    image = Image()
    old.push("team/app", image)
    for blob in image.blobs:
        assert registry.request("HEAD", f"/v2/team/app/blobs/{Digest.of(blob)}").status_code == 200
    assert registry.get(f"/v2/team/app/manifests/{image.digest}").data == image.manifest
    assert source


def test_an_index_is_pulled_before_and_with_its_children(registry: Registry, old: OldRegistry, source: int) -> None:
    images = [Image(), Image()]
    for image in images:
        old.push("team/app", image)
    index = index_of(*(image.manifest for image in images))
    old.push_manifest("team/app", index, "multi")
    assert registry.get("/v2/team/app/manifests/multi").data == index
    for image in images:
        assert registry.get(f"/v2/team/app/manifests/{image.digest}").data == image.manifest
        for blob in image.blobs:
            assert registry.pull_blob("team/app", Digest.of(blob)) == blob
    assert source


def test_what_neither_has_is_404(registry: Registry, old: OldRegistry, source: int) -> None:
    old.push("team/app", Image(), "v1")
    assert registry.get("/v2/team/app/manifests/v2").status_code == 404
    assert registry.get(f"/v2/team/app/manifests/{Image().digest}").status_code == 404
    assert registry.get(f"/v2/team/app/blobs/{Image().digest}").status_code == 404
    assert registry.get("/v2/team/none/manifests/v1").status_code == 404
    assert value(registry.services.database, "SELECT count(*) FROM import_repositories WHERE name = 'team/none'") == 0
    assert source


def test_times_are_those_that_the_older_registry_has(registry: Registry, old: OldRegistry, source: int) -> None:
    old.push("team/app", Image(), "v1")
    query(registry.services.database, "SELECT pg_sleep(0.05)")
    before = value(registry.services.database, "SELECT now()")
    registry.get("/v2/team/app/manifests/v1")
    times = query(
        registry.services.database,
        "SELECT tags.created_at, updated_at, pushed_at FROM tags JOIN manifests ON manifests.id = manifest_id",
    )
    assert all(time < before for time in times[0])
    assert source


def test_a_push_may_name_what_only_the_older_registry_has(registry: Registry, old: OldRegistry, source: int) -> None:
    image = Image()
    for blob in image.blobs:
        old.push_layer("team/app", blob)
    assert registry.put_manifest("team/app", "new", image.manifest).status_code == 201
    child = Image()
    old.push("team/app", child)
    assert registry.put_manifest("team/app", "multi", index_of(child.manifest)).status_code == 201
    assert source


def test_a_mount_reads_from_the_older_registry(registry: Registry, old: OldRegistry, source: int) -> None:
    digest = old.push_layer("team/app", b"layer")
    answer = registry.request("POST", f"/v2/team/other/blobs/uploads/?mount={digest}&from=team/app")
    assert answer.status_code == 201
    assert registry.pull_blob("team/other", digest) == b"layer"
    assert source


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_tag_that_is_only_there_is_deleted_and_stays_so(
    registry: Registry, old: OldRegistry, source: int, *, is_listed: bool
) -> None:
    image = Image()
    old.push("team/app", image, "v1", "v2")
    if is_listed:
        registry.get("/v2/team/app/manifests/v2")
        registry.get("/v2/team/app/manifests/v1")
        end_listing(registry.services.database)
    assert registry.request("DELETE", "/v2/team/app/manifests/v1").status_code == 202
    assert registry.get("/v2/team/app/manifests/v1").status_code == 404
    assert registry.get("/v2/team/app/manifests/v2").status_code == 200
    assert source


def test_a_manifest_that_is_only_there_is_deleted_with_its_tags_and_stays_so(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    assert registry.request("DELETE", f"/v2/team/app/manifests/{image.digest}").status_code == 202
    assert registry.get(f"/v2/team/app/manifests/{image.digest}").status_code == 404
    assert registry.get("/v2/team/app/manifests/v1").status_code == 404
    registry.push_image("team/app", image=image)
    assert registry.get(f"/v2/team/app/manifests/{image.digest}").status_code == 200
    assert source
