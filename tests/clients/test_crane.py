"""crane (go-containerregistry): refuses to be led to another private address, so it guards how we redirect."""

import json
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import Layout, make_image, make_index
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("crane")]


@pytest.fixture
def crane(environment: dict[str, str]) -> Client:
    return Client(require_program("crane"), environment)


@pytest.mark.operations("push", "re-push", "pull")
def test_an_image_comes_back_byte_for_byte_and_is_sent_once(
    crane: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image = make_image(layout)
    crane.run("push", layout.folder, repository.tagged("one"))
    assert wire.uploaded > 0
    wire.forget()
    crane.run("push", layout.folder, repository.tagged("one"))
    assert wire.uploaded == 0
    assert crane.run("digest", repository.tagged("one")).strip() == image.digest

    crane.run("pull", "--format=oci", repository.tagged("one"), folder / "back")
    for digest in (image.digest, *image.blobs):
        blob = Path("blobs", *digest.split(":"))
        assert (folder / "back" / blob).read_bytes() == (layout.folder / blob).read_bytes()
    crane.run("validate", "--remote", repository.tagged("one"))


@pytest.mark.operations("mount", "multi-arch", "index within an index")
def test_a_nested_index_copied_to_another_repository_moves_no_bytes(
    crane: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    index, copy = make_index(layout), repository.sibling("copy")
    # crane pushes the layout's own list of what is tagged: an index with our index in it.
    crane.run("push", "--index", layout.folder, repository.tagged("many"))
    assert repository.manifest("many").children == (index.digest,)
    wire.forget()
    crane.run("copy", repository.tagged("many"), copy.tagged("many"))
    assert wire.uploaded == 0
    assert len(wire.mounts) == sum(len(image.blobs) for image in index.images)
    copy.check_whole("many")
    arm = json.loads(crane.run("config", "--platform=linux/arm64", copy.at(index.digest)))
    assert arm["architecture"] == "arm64"


@pytest.mark.operations("tag", "list", "catalog", "append", "delete")
def test_tags_are_added_listed_and_deleted(crane: Client, layout: Layout, repository: Repository) -> None:
    image = make_image(layout)
    crane.run("push", layout.folder, repository.tagged("one"))
    crane.run("tag", repository.tagged("one"), "two")
    assert crane.run("ls", repository.reference).split() == ["one", "two"]
    assert repository.name in crane.run("catalog", repository.address).split()

    layer = layout.folder / "blobs" / image.layers[0].replace(":", "/")
    crane.run(
        "append", f"--base={repository.tagged('one')}", f"--new_layer={layer}", f"--new_tag={repository.tagged('more')}"
    )
    assert repository.manifest("more").layers == (*image.layers, image.layers[0])

    crane.run("delete", repository.at(image.digest))
    assert not repository.has_manifest(image.digest)
    assert repository.has_manifest("more")
    repository.undo(f"@{image.digest}")
    for tag in ("one", "two"):
        assert crane.run("digest", repository.tagged(tag)).strip() == image.digest
    repository.check_whole("one")
