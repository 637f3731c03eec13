"""skopeo: copies images between layouts and registries without an engine."""

import json
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import LARGE, Layout, make_image, make_index
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("skopeo")]


def push(skopeo: Client, layout: Layout, target: Repository, tag: str = "one") -> None:
    skopeo.run("copy", "--all", "--dest-tls-verify=false", layout.reference(tag), f"docker://{target.tagged(tag)}")


@pytest.mark.operations("push", "re-push", "pull", "101 MiB layer")
@pytest.mark.timeout(300)
def test_a_large_image_comes_back_byte_for_byte_and_is_sent_once(
    skopeo: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image = make_image(layout, LARGE)
    push(skopeo, layout, repository)
    assert wire.uploaded > sum(LARGE)
    wire.forget()
    push(skopeo, layout, repository)
    assert wire.uploaded == 0

    skopeo.run("copy", "--src-tls-verify=false", f"docker://{repository.tagged('one')}", f"oci:{folder}/back:one")
    assert wire.downloaded > sum(LARGE)
    for digest in (image.digest, *image.blobs):
        blob = Path("blobs", *digest.split(":"))
        assert (folder / "back" / blob).read_bytes() == (layout.folder / blob).read_bytes()


@pytest.mark.operations("mount")
def test_a_copy_to_another_repository_moves_no_bytes(
    skopeo: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    image = make_image(layout)
    push(skopeo, layout, repository)
    copy = repository.sibling("copy")
    wire.forget()
    skopeo.run(
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        f"docker://{repository.tagged('one')}",
        f"docker://{copy.tagged('two')}",
    )
    assert len(wire.mounts) >= len(image.layers)
    assert copy.manifest("two").digest == image.digest
    copy.check_whole("two")


@pytest.mark.operations("multi-arch")
def test_an_index_travels_with_all_its_images(
    skopeo: Client, layout: Layout, repository: Repository, folder: Path
) -> None:
    index = make_index(layout)
    push(skopeo, layout, repository, "many")
    manifest = repository.manifest("many")
    assert manifest.digest == index.digest
    assert manifest.children == tuple(image.digest for image in index.images)
    repository.check_whole("many")

    source = f"docker://{repository.tagged('many')}"
    skopeo.run("copy", "--all", "--src-tls-verify=false", source, f"oci:{folder}/back:many")
    back = json.loads((folder / "back" / "index.json").read_text())
    assert [entry["digest"] for entry in back["manifests"]] == [index.digest]
    skopeo.run("copy", "--override-arch=arm64", "--src-tls-verify=false", source, f"oci:{folder}/arm:many")
    arm = json.loads((folder / "arm" / "index.json").read_text())
    assert [entry["digest"] for entry in arm["manifests"]] == [index.images[1].digest]


@pytest.mark.operations("inspect", "list-tags", "delete")
def test_tags_are_listed_inspected_and_deleted(skopeo: Client, layout: Layout, repository: Repository) -> None:
    image = make_image(layout)
    push(skopeo, layout, repository)
    inspected = json.loads(skopeo.run("inspect", "--tls-verify=false", f"docker://{repository.tagged('one')}"))
    assert inspected["Digest"] == image.digest
    assert tuple(inspected["Layers"]) == image.layers
    listed = json.loads(skopeo.run("list-tags", "--tls-verify=false", f"docker://{repository.reference}"))
    assert listed["Tags"] == ["one"]

    skopeo.run("delete", "--tls-verify=false", f"docker://{repository.tagged('one')}")
    assert not repository.has_manifest("one")
    assert not repository.has_manifest(image.digest)
    repository.undo(":one")
    repository.check_whole("one")
    again = json.loads(skopeo.run("inspect", "--tls-verify=false", f"docker://{repository.tagged('one')}"))
    assert again["Digest"] == image.digest


@pytest.mark.operations("sync")
def test_a_whole_repository_is_mirrored_to_a_folder(
    skopeo: Client, layout: Layout, repository: Repository, folder: Path
) -> None:
    make_image(layout, tag="one")
    make_image(layout, tag="two")
    push(skopeo, layout, repository, "one")
    push(skopeo, layout, repository, "two")
    skopeo.run("sync", "--src-tls-verify=false", "--src=docker", "--dest=dir", repository.reference, folder / "mirror")
    name = repository.name.rpartition("/")[2]
    assert sorted(path.name for path in (folder / "mirror").iterdir()) == [f"{name}:one", f"{name}:two"]
