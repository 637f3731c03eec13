"""What another registry holds is copied over its API: all of it, once, and by one rule for what changed meanwhile."""

from __future__ import annotations

import os
from typing import Any

import pytest

from functions.migrate.imports.remote.errors import RemoteUnavailable, TimeOver
from functions.registry.auth.source_credentials import Credentials
from functions.registry.metadata.imports.remote.copied_tags import Overtaken
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.imports.remote.conftest import Copying
from tests.imports.remote.other_registry import Other
from tests.support import Image, Registry, descriptor, encode, index_of


def pulled(registry: Registry, repository: str, reference: object) -> bytes:
    answer = registry.get(f"/v2/{repository}/manifests/{reference}")
    assert answer.status_code == 200, answer.text
    return bytes(answer.data)


def test_tags_with_all_that_they_lead_to(copying: Copying, other: Other, registry: Registry) -> None:
    one, two = Image(), Image()
    other.hold("a/b", one.manifest, blobs=one.blobs)
    other.hold("a/b", two.manifest, blobs=two.blobs)
    inner = index_of(one.manifest)
    other.hold("a/b", inner)
    outer = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(inner, OCI_INDEX), descriptor(two.manifest, OCI_MANIFEST)],
        }
    )
    other.hold("a/b", outer, "nested")
    other.hold_image("a/b", "v1", image=two)

    passed = copying.run("a/b", "c/d")

    assert not copying.problems
    assert (passed.tags, passed.changed, passed.copied.manifests) == (2, 2, 4)
    assert pulled(registry, "c/d", "nested") == outer
    assert pulled(registry, "c/d", "v1") == two.manifest
    assert pulled(registry, "c/d", one.digest) == one.manifest
    for blob in (*one.blobs, *two.blobs):
        assert registry.pull_blob("c/d", Digest.of(blob)) == blob


def test_referrers_come_with_their_subjects(copying: Copying, other: Other, registry: Registry) -> None:
    image = other.hold_image("a/b", "v1")
    signature = Image(more={"subject": descriptor(image.manifest, OCI_MANIFEST), "artifactType": "application/x.sig"})
    other.hold_image("a/b", image=signature)
    of_signature = Image(more={"subject": descriptor(signature.manifest, OCI_MANIFEST)})
    other.hold_image("a/b", image=of_signature)

    copying.run("a/b")

    listed = registry.get(f"/v2/a/b/referrers/{image.digest}").get_json()
    assert [entry["digest"] for entry in listed["manifests"]] == [str(signature.digest)]
    assert pulled(registry, "a/b", of_signature.digest) == of_signature.manifest


def test_a_second_pass_asks_for_digests_and_writes_nothing(copying: Copying, other: Other) -> None:
    other.page = 3
    for number in range(10):
        other.hold_image("a/b", f"v{number}")
    first = copying.run("a/b")
    other.asked.clear()

    second = copying.run("a/b")

    assert (first.tags, second.tags) == (10, 10)
    assert second.is_nothing
    assert other.count("HEAD", "/manifests/") == 10
    assert other.count("GET", "/manifests/") == other.count("GET", "/blobs/") == other.count("HEAD", "/blobs/") == 0


def test_only_what_is_missing_travels(copying: Copying, other: Other, registry: Registry) -> None:
    shared = os.urandom(5000)
    registry.push_blob("else/where", shared)
    image = other.hold_image("a/b", "v1", image=Image(layers=(shared, os.urandom(700))))

    passed = copying.run("a/b")

    assert passed.copied.blobs == 2
    assert passed.copied.bytes == sum(map(len, image.blobs)) - 5000
    assert other.count("GET", f"/blobs/{Digest.of(shared)}") == 0
    assert registry.pull_blob("a/b", Digest.of(shared)) == shared


def test_what_changed_there_alone_is_changed_here(copying: Copying, other: Other, registry: Registry) -> None:
    for tag in ("moved", "gone", "both", "deleted", "rolled-back"):
        other.hold_image("a/b", tag)
    copying.run("a/b")
    mine = registry.push_image("a/b", "both")
    base = other.manifests["a/b"][other.tags["a/b"]["rolled-back"]]
    registry.push_image("a/b", "rolled-back")
    assert registry.put_manifest("a/b", "rolled-back", base).status_code == 201
    assert registry.request("DELETE", "/v2/a/b/manifests/deleted").status_code == 202
    moved = other.hold_image("a/b", "moved")
    for tag in ("both", "deleted", "rolled-back"):
        other.hold_image("a/b", tag)
    del other.tags["a/b"]["gone"]

    passed = copying.run("a/b")

    assert passed.changed == 2
    assert pulled(registry, "a/b", "moved") == moved.manifest
    assert registry.get("/v2/a/b/manifests/gone").status_code == 404
    assert pulled(registry, "a/b", "both") == mine.manifest
    assert pulled(registry, "a/b", "rolled-back") == base
    assert registry.get("/v2/a/b/manifests/deleted").status_code == 404
    conflicts = [("tag", tag, "conflict") for tag in ("both", "deleted", "rolled-back")]
    assert copying.reasons == conflicts
    assert pulled(registry, "a/b", other.tags["a/b"]["both"])  # untagged, and here

    copying.problems.clear()
    assert copying.run("a/b").is_nothing
    assert not copying.problems


def test_what_was_deleted_here_before_it_came_stays_deleted(copying: Copying, other: Other, registry: Registry) -> None:
    copying.claim("a/b")
    registry.push_image("a/b", "v1")
    assert registry.request("DELETE", "/v2/a/b/manifests/v1").status_code == 202
    other.hold_image("a/b", "v1")
    copying.run("a/b")
    assert registry.get("/v2/a/b/manifests/v1").status_code == 404


def test_a_manifest_that_was_deleted_here_is_not_brought_again(
    copying: Copying, other: Other, registry: Registry
) -> None:
    image = other.hold_image("a/b", "v1")
    copying.run("a/b")
    assert registry.request("DELETE", f"/v2/a/b/manifests/{image.digest}").status_code == 202
    assert copying.run("a/b").is_nothing
    assert registry.get(f"/v2/a/b/manifests/{image.digest}").status_code == 404


def test_a_tag_that_came_back_there_comes_back_here(copying: Copying, other: Other, registry: Registry) -> None:
    image = other.hold_image("a/b", "v1")
    copying.run("a/b")
    digest = other.tags["a/b"].pop("v1")
    copying.run("a/b")
    assert registry.get("/v2/a/b/manifests/v1").status_code == 404
    other.tags["a/b"]["v1"] = digest
    copying.run("a/b")
    assert pulled(registry, "a/b", "v1") == image.manifest


def test_what_is_deleted_there_may_be_kept(copying: Copying, other: Other, registry: Registry) -> None:
    image = other.hold_image("a/b", "v1")
    copying.run("a/b")
    del other.tags["a/b"]["v1"]
    copying.run("a/b", keeps_deleted=True)
    assert pulled(registry, "a/b", "v1") == image.manifest


def test_a_worker_that_lost_its_lease_changes_nothing(copying: Copying, other: Other, registry: Registry) -> None:
    other.hold_image("a/b", "v1")
    claim = copying.claim
    overtaken = claim("a/b")
    claim("a/b")
    copying.claim = lambda *_: overtaken  # type: ignore[method-assign]
    with pytest.raises(Overtaken):
        copying.run("a/b")
    assert registry.get("/v2/a/b/manifests/v1").status_code == 404


def test_a_blob_that_is_cut_is_gone_on_with_where_it_stopped(
    copying: Copying, other: Other, registry: Registry
) -> None:
    layer = os.urandom(300_000)
    other.hold_image("a/b", "v1", image=Image(layers=(layer,)))
    other.cut_after = 100_000
    passed = copying.run("a/b")
    assert passed.copied.bytes == sum(map(len, other.blobs["a/b"].values()))
    assert other.count("GET", f"/blobs/{Digest.of(layer)}") == 3
    assert registry.pull_blob("a/b", Digest.of(layer)) == layer


def test_a_registry_that_ignores_ranges_sends_it_all_again(copying: Copying, other: Other, registry: Registry) -> None:
    layer = os.urandom(300_000)
    other.hold_image("a/b", "v1", image=Image(layers=(layer,)))
    other.cut_after, other.ignores_ranges = 200_000, True

    def whole(handler: Any) -> None:
        other.cut_after = 0
        del other.odd[str(Digest.of(layer))]
        handler._blobs("a/b", str(Digest.of(layer)))

    with pytest.raises(RemoteUnavailable, match="sends nothing"):
        copying.run("a/b")
    other.odd[str(Digest.of(layer))] = whole
    copying.run("a/b")
    assert registry.pull_blob("a/b", Digest.of(layer)) == layer


def test_a_pass_whose_time_is_over_is_gone_on_with(copying: Copying, other: Other, registry: Registry) -> None:
    layer = os.urandom(300_000)
    image = other.hold_image("a/b", "v1", image=Image(layers=(layer,)))

    def stalling(handler: Any) -> None:
        del other.odd[f"blobs/{Digest.of(layer)}"]
        handler.send_response(200)
        handler.send_header("Content-Length", "300000")
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(layer[:150_000])
            handler.wfile.flush()
            handler.rfile.read(1)  # until it hangs up

    other.odd[f"blobs/{Digest.of(layer)}"] = lambda handler: (
        stalling(handler) if handler.command == "GET" else handler._blobs("a/b", str(Digest.of(layer)))
    )
    with pytest.raises(TimeOver):
        copying.run("a/b", remote=copying.remote(seconds=3))
    passed = copying.run("a/b")
    assert pulled(registry, "a/b", "v1") == image.manifest
    assert other.count("GET", f"/blobs/{Digest.of(layer)}") == 2
    assert passed.copied.manifests == 1


@pytest.mark.parametrize("uses_basic", [False, True])
def test_signing_in(copying: Copying, other: Other, registry: Registry, uses_basic: bool) -> None:
    other.username, other.secret, other.uses_basic = "reader", "s3cret", uses_basic
    image = other.hold_image("a/b", "v1")
    copying.run("a/b", remote=copying.remote(credentials=Credentials("reader", "s3cret")))
    assert pulled(registry, "a/b", "v1") == image.manifest
    assert other.count("GET", "/token") == (0 if uses_basic else 1)


def test_one_that_asks_for_rest_is_given_it(copying: Copying, other: Other) -> None:
    other.every = 10
    for number in range(6):
        other.hold_image("a/b", f"v{number}")
    passed = copying.run("a/b")
    assert passed.changed == 6
    assert not copying.problems
