"""Layouts as they should not be: each fault is imported or told, none ends anything, and none is a 5xx."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from functions.gc import run as gc_run
from functions.migrate import work
from functions.migrate.imports import layouts
from functions.registry.imports import names
from functions.registry.metadata.imports import verifying
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.metadata.imports.vocabulary import Source
from functions.registry.metadata.usage import recount
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.imports.importing import add, problems, run, states
from tests.imports.old import OldRegistry
from tests.metadata.build import pass_time, query, value
from tests.support import Image, Registry, descriptor, encode, index_of

APP = "team/app"


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


def told(registry: Registry) -> set[tuple[str, str]]:
    """Kind and reason of what is told of the one repository."""
    return {(kind, reason) for _, kind, _, reason in problems(registry.services)}


def status(registry: Registry, reference: object, repository: str = APP) -> int:
    return registry.get(f"/v2/{repository}/manifests/{reference}").status_code


def imported(registry: Registry, **options: Any) -> Source:
    source = add(registry.services, **options)
    run(registry.services)
    return source


def test_indexes_eight_levels_deep(registry: Registry, old: OldRegistry) -> None:
    image = Image()
    old.push(APP, image)
    payload = index_of(image.manifest)
    for _ in range(7):
        old.push_manifest(APP, payload)
        payload = index_of(payload)
    old.push_manifest(APP, payload, "deep")
    imported(registry)
    assert status(registry, "deep") == 200
    assert problems(registry.services) == set()
    assert value(registry.services.database, "SELECT count(*) FROM manifest_children") == 8
    # Each level has the size of all below it.
    assert value(registry.services.database, "SELECT size FROM tags") > 8 * len(image.manifest) // 2


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "manifest_empty"),
        (b"{", "manifest_json"),
        (b"\xff\xfe", "manifest_json"),
        (b'{"schemaVersion": 1}', "schema1"),
        (encode({"schemaVersion": 2, "mediaType": "nonsense"}), "manifest_refused"),
        (encode({"schemaVersion": 2, "Config": {}}), "manifest_refused"),
        (b"{" + b" " * (5 << 20) + b"}", "manifest_too_large"),
    ],
)
def test_a_manifest_that_can_t_be_taken_is_told_and_keeps_no_other(
    registry: Registry, old: OldRegistry, payload: bytes, reason: str
) -> None:
    good = Image()
    old.push(APP, good, "good")
    bad = old.push_manifest(APP, payload, "bad")
    old.push_manifest(APP, index_of(payload, good.manifest) if payload else index_of(good.manifest), "index")
    imported(registry)
    assert told(registry) == {("manifest", reason)}
    assert (status(registry, "good"), status(registry, "bad"), status(registry, bad)) == (200, 404, 404)
    assert status(registry, "index") == 200
    assert "named by bad" in value(registry.services.database, "SELECT detail FROM import_problems")


def test_an_index_that_lists_the_blob_of_an_image_keeps_nothing_from_being_imported(
    registry: Registry, old: OldRegistry
) -> None:
    image = Image()
    old.push(APP, image, "v1")
    old.push_manifest(APP, index_of(image.config), "odd")
    imported(registry)
    assert told(registry) == {("manifest", "child_missing")}
    assert states(registry.services) == {APP: "imported"}
    assert (status(registry, "v1"), status(registry, "odd")) == (200, 200)


def test_other_bytes_under_a_digest_are_not_served(registry: Registry, old: OldRegistry) -> None:
    image, other = Image(), Image()
    old.push(APP, image, "bad")
    old.write(names.blob_name(image.digest), other.manifest)
    imported(registry)
    assert told(registry) == {("manifest", "manifest_digest")}
    assert status(registry, "bad") == 404


def test_what_is_missing_is_told_and_the_rest_is_here(registry: Registry, old: OldRegistry) -> None:
    image, child = Image(), Image()
    old.push(APP, image, "v1")
    old.remove(names.blob_name(Digest.of(image.layers[0])))
    old.push_manifest(APP, index_of(image.manifest, child.manifest), "index")
    gone = Image()
    old.push(APP, gone, "gone")
    old.remove(names.blob_name(gone.digest))
    unlinked = Image()
    old.push(APP, unlinked, "unlinked")
    old.remove(names.revision_link_name(APP, unlinked.digest))
    imported(registry)
    assert told(registry) == {
        ("blob", "blob_missing"),
        ("manifest", "child_missing"),
        ("manifest", "manifest_missing"),
        ("tag", "link_missing"),
    }
    assert [status(registry, tag) for tag in ("v1", "index", "gone", "unlinked")] == [200, 200, 404, 404]
    assert registry.request("HEAD", f"/v2/{APP}/blobs/{Digest.of(image.layers[0])}").status_code == 404
    assert registry.pull_blob(APP, Digest.of(image.layers[1])) == image.layers[1]


def test_a_foreign_layer_that_is_elsewhere_is_no_problem(registry: Registry, old: OldRegistry) -> None:
    config = b"{}"
    old.push_layer(APP, config)
    payload = encode(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": str(Digest.of(config)),
                "size": 2,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                    "digest": str(Digest.of(b"elsewhere")),
                    "size": 9,
                    "urls": ["https://example.com/layer"],
                }
            ],
        }
    )
    old.push_manifest(APP, payload, "windows")
    imported(registry)
    assert problems(registry.services) == set()
    assert status(registry, "windows") == 200


def test_a_layer_under_its_sha512_gets_an_object_of_its_own(registry: Registry, old: OldRegistry) -> None:
    content = b"pushed by its other digest"
    canonical, other = Digest.of(content), Digest.of(content, "sha512")
    old.write(names.blob_name(canonical), content)
    old.write(names.layer_link_name(APP, canonical), str(canonical).encode())
    old.write(names.layer_link_name(APP, other), str(canonical).encode())
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(other), "size": len(content)}
    payload = encode({"schemaVersion": 2, "config": layer, "layers": [layer]})
    old.push_manifest(APP, payload, "v1")
    imported(registry)
    assert problems(registry.services) == set()
    assert registry.pull_blob(APP, other) == registry.pull_blob(APP, canonical) == content
    assert value(registry.services.database, "SELECT count(*) FROM deletions") == 0


@pytest.mark.parametrize("is_repaired", [True, False])
def test_a_revision_whose_link_is_broken_is_here_if_its_bytes_are(
    registry: Registry, old: OldRegistry, is_repaired: bool
) -> None:
    image, other = Image(), Image()
    old.push(APP, image, "cut")
    old.push(APP, other, "crossed")
    old.write(names.revision_link_name(APP, image.digest), b"sha256:")
    old.write(names.revision_link_name(APP, other.digest), str(image.digest).encode())
    add(registry.services)
    if not is_repaired:
        query(registry.services.database, "UPDATE import_sources SET options = '{\"repair\": false}'")
    run(registry.services)
    expected = 200 if is_repaired else 404
    assert [status(registry, tag) for tag in ("cut", "crossed")] == [expected, expected]
    assert told(registry) == {("manifest", "link_repaired" if is_repaired else "link_broken")}


def test_names_that_this_registry_refuses_are_told(registry: Registry, old: OldRegistry) -> None:
    image = Image()
    for repository in ("Team/App", "team//app", "a" * 256, "team/app_", "team/caf\u00e9"):
        old.push(repository, image, "v1")
    old.push("team/fine", image, "v1", "-bad", "also bad")
    imported(registry)
    refused = {path for path, state in states(registry.services).items() if state == "refused"}
    assert refused == {"Team/App", "team//app", "a" * 256, "team/app_", "team/caf\u00e9"}
    assert told(registry) == {("repository", "name"), ("tag", "tag_name")}
    assert status(registry, "v1", "team/fine") == 200


def test_a_refused_name_is_imported_under_another(registry: Registry, old: OldRegistry) -> None:
    old.push("Team/App", Image(), "v1")
    old.push("team/app", Image(), "v1")
    imported(registry, renames={"Team/App": "team/renamed"})
    assert problems(registry.services) == set()
    assert status(registry, "v1", "team/renamed") == status(registry, "v1") == 200


def test_two_repositories_can_t_get_one_name(registry: Registry, old: OldRegistry) -> None:
    old.push("team/other", Image(), "v1")
    old.push("team/app", Image(), "v1")
    imported(registry, renames={"team/other": "team/app"})
    assert {each[:2] + each[3:] for each in problems(registry.services)} == {("team/other", "repository", "name")}
    assert states(registry.services) == {"team/app": "imported", "team/other": "refused"}


def test_a_repository_of_an_upload_alone_gets_no_repository(registry: Registry, old: OldRegistry) -> None:
    for name in ("data", "startedat", "hashstates/sha256/0"):
        old.write(f"repositories/{APP}/_uploads/0c8e8fd6-6d0c-4a3a-a2a8-3a6b7c1d2e3f/{name}", b"x")
    imported(registry)
    assert states(registry.services) == {APP: "imported"}
    assert problems(registry.services) == set()
    assert value(registry.services.database, "SELECT count(*) FROM repositories") == 0


def test_untagged_manifests_are_kept_for_as_long_as_was_chosen(registry: Registry, old: OldRegistry) -> None:
    old.push(APP, Image())
    imported(registry)
    ((event, is_far),) = query(
        registry.services.database, "SELECT event, review_after > now() + interval '89 days' FROM manifest_reviews"
    )
    assert (event, is_far) == ("import", True)


def test_an_untagged_manifest_of_years_ago_is_here_a_day_later(registry: Registry, old: OldRegistry) -> None:
    """There it was kept for ever, and here for a day: what is imported has a grace of its own, which shows."""
    image = Image()
    old.push(APP, image)
    old.push(APP, Image(), "v1")
    imported(registry)
    database = registry.services.database
    query(database, "UPDATE manifests SET pushed_at = '2021-01-01'")
    pass_time(database, 25)
    gc_run.run(registry.services)
    assert status(registry, image.digest) == 200
    assert query(database, "SELECT event FROM manifest_reviews") == [["import"]]
    (shown,) = registry.get(f"/api/v1/repositories/{APP}/-/gc").get_json()["manifests"]
    left = datetime.fromisoformat(shown["review_after"]) - datetime.now(UTC)
    assert (shown["digest"], shown["event"]) == (str(image.digest), "import")
    assert timedelta(days=88) < left < timedelta(days=90)
    pass_time(database, 24 * 90)
    gc_run.run(registry.services)
    assert status(registry, image.digest) == 404
    assert status(registry, "v1") == 200


def test_untagged_manifests_are_kept_for_ever_if_asked(registry: Registry, old: OldRegistry) -> None:
    old.push(APP, Image())
    imported(registry, untagged="keep")
    assert value(registry.services.database, "SELECT keep_untagged FROM repositories") is True


def test_untagged_manifests_may_be_left_out_but_for_what_belongs_to_a_tag(registry: Registry, old: OldRegistry) -> None:
    tagged, child, left = Image(), Image(), Image()
    old.push(APP, tagged, "v1")
    old.push(APP, child)
    index = index_of(child.manifest)
    old.push_manifest(APP, index, "multi")
    subject = {"subject": descriptor(tagged.manifest, OCI_MANIFEST), "artifactType": "application/x.sig"}
    signature = Image(more=subject)
    of_signature = Image(more={"subject": descriptor(signature.manifest, OCI_MANIFEST)})
    old.push(APP, signature)
    old.push(APP, of_signature)
    old.push(APP, left)
    of_left = Image(more={"subject": descriptor(left.manifest, OCI_MANIFEST)})
    old.push(APP, of_left)
    source = imported(registry, untagged="skip")
    for image in (tagged, child, signature, of_signature):
        assert status(registry, str(image.digest)) == 200
    for image in (left, of_left):
        assert status(registry, str(image.digest)) == 404
    assert registry.get(f"/api/v1/imports/{source.id}").get_json()["left_out"] == 2
    assert problems(registry.services) == set()
    # What came later is taken by the same rule.
    later = Image(more={"subject": descriptor(child.manifest, OCI_MANIFEST)})
    old.push(APP, later)
    old.push(APP, Image())
    pieces.add_whole(registry.services.database, source.id, ["repositories"])
    run(registry.services)
    assert status(registry, str(later.digest)) == 200
    verifying.ask(registry.services.database, source.id, None)
    run(registry.services)
    assert registry.get(f"/api/v1/imports/{source.id}").get_json()["counts"]["verification"]["found"] == 0


def test_an_index_that_was_asked_for_first_has_the_size_of_its_children(registry: Registry, old: OldRegistry) -> None:
    image = Image()
    old.push(APP, image)
    inner = index_of(image.manifest)
    old.push_manifest(APP, inner)
    old.push_manifest(APP, index_of(inner), "outer")
    add(registry.services)
    database = registry.services.database
    # Its names first, as they are while an import goes on; then somebody pulls by the tag alone.
    with mock.patch.object(layouts, "_import"):
        work.run(registry.services, budget_seconds=2)
    query(database, "UPDATE import_repositories SET state = 'listed', lease_until = now(), due_at = now()")
    assert status(registry, "outer") == 200
    assert value(database, "SELECT count(*) FROM sparse_references") > 0
    run(registry.services)
    assert value(database, "SELECT count(*) FROM sparse_references") == 0
    assert value(database, "SELECT count(*) FROM manifest_children") == 2
    whole = len(image.manifest) + sum(map(len, image.blobs)) + len(inner) + len(index_of(inner))
    assert query(database, "SELECT size FROM tags") == [[whole]]
    assert recount.recount(database).differences == []
