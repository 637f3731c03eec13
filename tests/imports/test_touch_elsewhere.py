"""What clients ask for is there from the first minute also where the older registry lies in another bucket, in a
folder, or under another digest: then a blob is copied at the moment it is asked for, and no sooner.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.registry.imports import names
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.oci.digest import Digest
from tests.imports.importing import files, problems, requests_counted, run
from tests.imports.old import OldRegistry, open_source
from tests.imports.test_origins import faults, make_bucket, plan
from tests.metadata.build import query, value
from tests.support import Image, Registry, index_of

__all__ = ["faults"]

APP = "team/app"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_IMPORT_FOLDERS": "accept"}


def opened(registry: Registry, address: str, mode: str = "lead") -> int:
    """A source that is listed, of which nothing is here yet."""
    database = registry.services.database
    source = sources.add(database, NewSource("layout", address))
    sources.set_mode(database, source.id, mode)  # type: ignore[arg-type]
    assert sources.open_up(database, source.id)
    assert sources.begin_listing(database, source.id)
    return source.id


@pytest.fixture
def elsewhere(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, make_bucket(storage_address, f"older-than-{bucket_name}"))


def objects(registry: Registry) -> list[str]:
    return [name for (name,) in query(registry.services.database, "SELECT object_name FROM blobs ORDER BY 1")]


def test_an_image_in_another_bucket_is_pulled(registry: Registry, elsewhere: OldRegistry) -> None:
    image = Image()
    elsewhere.push(APP, image, "v1")
    opened(registry, f"gs://{elsewhere.bucket}")
    # The first asks whether the bucket may be read at all.
    assert registry.get(f"/v2/{APP}/manifests/none").status_code == 404
    with requests_counted() as asked:
        assert registry.get(f"/v2/{APP}/manifests/v1").data == image.manifest
    assert len(asked) == 4  # the tag's link twice, the manifest's link, and its bytes
    assert objects(registry) == []
    for blob in image.blobs:
        assert registry.pull_blob(APP, Digest.of(blob)) == blob
    assert all(name.startswith("imported/") for name in objects(registry))
    assert registry.statements("GET", f"/v2/{APP}/blobs/{Digest.of(image.layers[0])}") == ["blobs_get"]


def test_a_bucket_that_may_not_be_read_keeps_nobody_from_pushing(
    registry: Registry, elsewhere: OldRegistry, faults: str
) -> None:
    elsewhere.push(APP, Image(), "v1")
    opened(registry, f"gs://{elsewhere.bucket}")
    plan(faults, match=f"GET /storage/v1/b/{elsewhere.bucket}/", action="status", status=403, count=1000)
    assert registry.get(f"/v2/{APP}/manifests/v1").status_code == 404
    registry.push_image(APP, "v2")
    assert registry.get(f"/v2/{APP}/manifests/v2").status_code == 200


def test_an_index_in_another_bucket_is_pulled_with_its_children(registry: Registry, elsewhere: OldRegistry) -> None:
    image = Image()
    elsewhere.push(APP, image)
    index = index_of(image.manifest)
    elsewhere.push_manifest(APP, index, "multi")
    opened(registry, f"gs://{elsewhere.bucket}")
    assert registry.get(f"/v2/{APP}/manifests/multi").data == index
    assert registry.get(f"/v2/{APP}/manifests/{image.digest}").data == image.manifest
    assert registry.pull_blob(APP, Digest.of(image.layers[0])) == image.layers[0]


def test_what_was_fetched_and_what_was_not_are_one_after_the_import(registry: Registry, elsewhere: OldRegistry) -> None:
    image, other = Image(), Image()
    elsewhere.push(APP, image, "v1")
    elsewhere.push(APP, other, "v2")
    source = opened(registry, f"gs://{elsewhere.bucket}")
    assert registry.get(f"/v2/{APP}/manifests/v1").status_code == 200
    database = registry.services.database
    query(database, "UPDATE import_sources SET state = 'opening'")
    run(registry.services)
    assert problems(registry.services) == set()
    assert value(database, "SELECT count(*) FROM sparse_references") == 0
    assert value(database, "SELECT count(*) FROM manifest_blobs") == 6
    assert value(database, "SELECT count(*) FROM deletions") == 0
    for blob in (*image.blobs, *other.blobs):
        assert registry.pull_blob(APP, Digest.of(blob)) == blob
    assert source


def test_a_push_may_name_what_another_bucket_has(registry: Registry, elsewhere: OldRegistry) -> None:
    image = Image()
    for blob in image.blobs:
        elsewhere.push_layer(APP, blob)
    opened(registry, f"gs://{elsewhere.bucket}")
    assert registry.put_manifest(APP, "new", image.manifest).status_code == 201
    assert registry.pull_blob(APP, Digest.of(image.layers[1])) == image.layers[1]


def test_tags_are_those_of_another_bucket_while_that_decides(registry: Registry, elsewhere: OldRegistry) -> None:
    first, second = Image(), Image()
    elsewhere.push(APP, first, "v1")
    opened(registry, f"gs://{elsewhere.bucket}", "follow")
    assert registry.get(f"/v2/{APP}/manifests/v1").data == first.manifest
    elsewhere.push(APP, second, "v1")
    assert registry.get(f"/v2/{APP}/manifests/v1").data == second.manifest
    assert registry.put_manifest(APP, "v2", first.manifest).status_code == 405


def test_a_folder_is_read_where_folders_may_be(registry: Registry, elsewhere: OldRegistry, tmp_path: Path) -> None:
    image = Image()
    write(tmp_path, image)
    opened(registry, str(tmp_path))
    assert registry.get(f"/v2/{APP}/manifests/v1").data == image.manifest
    assert registry.pull_blob(APP, Digest.of(image.layers[0])) == image.layers[0]
    assert files(tmp_path)
    assert elsewhere


def write(folder: Path, image: Image) -> None:
    digests = [(Digest.of(content), content) for content in (*image.blobs, image.manifest)]
    contents = {names.blob_name(digest): content for digest, content in digests}
    contents |= {names.layer_link_name(APP, digest): str(digest).encode() for digest in image.blob_digests}
    for name in (
        names.revision_link_name(APP, image.digest),
        names.history_link_name(APP, "v1", image.digest),
        names.current_link_name(APP, "v1"),
    ):
        contents[name] = str(image.digest).encode()
    for name, content in contents.items():
        path = folder / "docker/registry/v2" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_a_layer_that_was_pushed_by_its_sha512_is_pulled_by_it(
    registry: Registry, storage_address: str, bucket_name: str
) -> None:
    old = OldRegistry(storage_address, bucket_name)
    content = b"pushed by its other digest"
    canonical, other = old.push_layer(APP, content), Digest.of(content, "sha512")
    old.write(names.layer_link_name(APP, other), str(canonical).encode())
    open_source(registry.services.database)
    assert registry.pull_blob(APP, other) == content
    assert registry.pull_blob(APP, canonical) == content
    (copied, theirs) = sorted(objects(registry), reverse=True)
    assert copied.startswith("imported/")
    assert theirs.endswith(names.blob_name(canonical))
    assert value(registry.services.database, "SELECT count(*) FROM deletions") == 0


def test_a_link_that_names_another_layer_of_the_same_kind_gives_no_right(
    registry: Registry, storage_address: str, bucket_name: str
) -> None:
    old = OldRegistry(storage_address, bucket_name)
    secret = old.push_layer("other/app", b"secret")
    old.write(names.layer_link_name(APP, secret), str(Digest.of(b"else")).encode())
    open_source(registry.services.database)
    assert registry.get(f"/v2/{APP}/blobs/{secret}").status_code == 404
