"""docker with a private engine: a whole layer in one PATCH of unknown length, retries and resumes of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import LARGE, MIB, Image, Layout, file_hashes, make_archive, make_image
from tests.clients.engine import docker_engine
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("docker")]


@pytest.fixture(scope="session")
def docker() -> Iterator[Client]:
    with docker_engine() as docker:
        yield docker


def load(docker: Client, layout: Layout, image: Image, name: str) -> None:
    archive = make_archive(layout, image, name, layout.folder.parent / "archive.tar")
    docker.run("load", "--input", archive)


def exported_files(docker: Client, name: str, target: Path) -> dict[str, str]:
    """The hashes of the files that a container of the image would see."""
    container = docker.run("create", name).strip()
    docker.run("export", "--output", target, container)
    docker.run("rm", container)
    hashes = file_hashes(target)
    return {name: hashes[name] for name in hashes if name.startswith("layer-")}


def identity(docker: Client, name: str) -> str:
    return docker.run("image", "inspect", "--format={{.Id}}", name).strip()


@pytest.mark.operations("push", "re-push", "pull", "101 MiB layer")
@pytest.mark.timeout(300)
def test_a_large_image_comes_back_byte_for_byte_and_is_sent_once(
    docker: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image, name = make_image(layout, LARGE), repository.tagged("one")
    load(docker, layout, image, name)
    docker.run("push", name)
    assert wire.uploaded > sum(LARGE)
    wire.forget()
    docker.run("push", name)
    assert wire.uploaded == 0
    repository.check_whole("one")

    docker.run("rmi", "--force", name)
    wire.forget()
    docker.run("pull", name)
    assert wire.downloaded > sum(LARGE)
    assert identity(docker, name) == image.config
    assert exported_files(docker, name, folder / "export.tar") == image.files
    docker.run("rmi", "--force", name)


@pytest.mark.operations("mount")
def test_a_push_to_a_second_repository_mounts_what_the_first_has(
    docker: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    image, name = make_image(layout), repository.tagged("one")
    load(docker, layout, image, name)
    docker.run("push", name)
    copy = repository.sibling("copy")
    docker.run("tag", name, copy.tagged("one"))
    wire.forget()
    docker.run("push", copy.tagged("one"))
    assert len(wire.mounts) == len(image.layers)
    assert copy.manifest("one").layers == repository.manifest("one").layers
    copy.check_whole("one")


@pytest.mark.operations("build on a pulled base")
def test_an_image_built_on_a_pulled_one_sends_only_its_own_layer(
    docker: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    base = repository.tagged("base")
    load(docker, layout, make_image(layout), base)
    docker.run("push", base)
    docker.run("rmi", "--force", base)
    context = folder / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY Dockerfile /added\n")
    # The builder inside the engine: the other one is a plug-in that may not be installed.
    builder = Client(docker.program, {**docker.environment, "DOCKER_BUILDKIT": "0"}, docker.always)
    builder.run("build", "--tag", repository.tagged("derived"), context)
    wire.forget()
    docker.run("push", repository.tagged("derived"))
    assert 0 < wire.uploaded < 10_000
    base_layers = repository.manifest("base").layers
    assert repository.manifest("derived").layers[: len(base_layers)] == base_layers
    repository.check_whole("derived")


@pytest.mark.operations("multi-arch")
def test_a_manifest_list_of_two_images_is_pushed_and_pulled(
    docker: Client, layout: Layout, repository: Repository
) -> None:
    names = [repository.tagged("amd64"), repository.tagged("arm64")]
    images = [make_image(layout), make_image(layout)]
    for image, name in zip(images, names, strict=True):
        load(docker, layout, image, name)
        docker.run("push", name)
    many = repository.tagged("many")
    docker.run("manifest", "create", "--insecure", many, *names)
    docker.run("manifest", "annotate", "--arch=arm64", many, names[1])
    docker.run("manifest", "push", "--insecure", many)
    seen = json.loads(docker.run("manifest", "inspect", "--insecure", many))
    architectures = [entry["platform"]["architecture"] for entry in seen["manifests"]]
    assert sorted(architectures) == ["amd64", "arm64"]
    repository.check_whole("many")

    docker.run("rmi", "--force", *names)
    docker.run("pull", "--platform=linux/amd64", many)
    assert identity(docker, many) == images[0].config


@pytest.mark.operations("resumed pull")
@pytest.mark.timeout(300)
def test_a_pull_that_is_cut_goes_on_where_it_stopped(
    docker: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image, name = make_image(layout, (8 * MIB, 1_000)), repository.tagged("one")
    load(docker, layout, image, name)
    docker.run("push", name)
    docker.run("rmi", "--force", name)
    wire.forget()
    wire.cut_next_download(5 * MIB)
    docker.run("pull", name)
    assert wire.has_cut
    assert wire.resumed
    assert exported_files(docker, name, folder / "export.tar") == image.files


@pytest.mark.operations("retried push")
@pytest.mark.timeout(300)
def test_a_push_that_is_cut_is_tried_again_and_ends_whole(
    docker: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    image, name = make_image(layout, (8 * MIB, 1_000)), repository.tagged("one")
    load(docker, layout, image, name)
    wire.cut_next_upload(5 * MIB)
    docker.run("push", name)
    assert wire.has_cut
    repository.check_whole("one")
