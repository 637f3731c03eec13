"""containerd, driven with ctr: a whole blob in one PUT, pulls by digest, a strict reader of HEAD answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import LARGE, MIB, Image, Layout, file_hashes, make_archive, make_image, make_index
from tests.clients.engine import containerd_engine
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("ctr")]


@pytest.fixture(scope="session")
def ctr() -> Iterator[Client]:
    with containerd_engine() as ctr:
        yield ctr


def load(ctr: Client, layout: Layout, image: Image, repository: Repository, *more: str) -> None:
    """Imports the layout; its tags become tags of the repository."""
    archive = make_archive(layout, image, repository.tagged("one"), layout.folder.parent / "archive.tar")
    ctr.run("images", "import", "--no-unpack", *more, f"--base-name={repository.reference}", archive)


def content(ctr: Client) -> set[str]:
    return set(ctr.run("content", "ls", "--quiet").split())


def remove(ctr: Client, *names: str) -> None:
    """Forgets the images and, at once, their content."""
    ctr.run("images", "rm", "--sync", *names)


def exported_blobs(ctr: Client, name: str, folder: Path) -> set[str]:
    """The digests of the bytes, hashed here, of everything that an export of the image carries."""
    ctr.run("images", "export", folder / "export.tar", name)
    return {f"sha256:{hashed}" for hashed in file_hashes(folder / "export.tar").values()}


@pytest.mark.operations("push", "re-push", "pull", "101 MiB layer")
@pytest.mark.timeout(300)
def test_a_large_image_comes_back_byte_for_byte_and_is_sent_once(
    ctr: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image, name = make_image(layout, LARGE), repository.tagged("one")
    load(ctr, layout, image, repository)
    ctr.run("images", "push", "--plain-http", name)
    assert wire.uploaded > sum(LARGE)
    wire.forget()
    ctr.run("images", "push", "--plain-http", name)
    assert wire.uploaded == 0
    assert repository.manifest("one").digest == image.digest

    remove(ctr, name)
    assert image.layers[0] not in content(ctr)
    wire.forget()
    ctr.run("images", "pull", "--plain-http", name)
    assert wire.downloaded > sum(LARGE)
    assert {image.digest, *image.blobs} <= exported_blobs(ctr, name, folder)


@pytest.mark.operations("mount")
def test_a_pulled_image_pushed_to_another_repository_is_mounted(
    ctr: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    image, copy = make_image(layout), repository.sibling("copy")
    load(ctr, layout, image, repository)
    ctr.run("images", "push", "--plain-http", repository.tagged("one"))
    remove(ctr, repository.tagged("one"))
    ctr.run("images", "pull", "--plain-http", repository.tagged("one"))
    ctr.run("images", "tag", repository.tagged("one"), copy.tagged("one"))
    wire.forget()
    ctr.run("images", "push", "--plain-http", copy.tagged("one"))
    assert len(wire.mounts) >= len(image.layers)
    assert copy.manifest("one").digest == image.digest
    copy.check_whole("one")


@pytest.mark.operations("multi-arch")
def test_an_index_is_pushed_and_pulled_with_all_platforms(ctr: Client, layout: Layout, repository: Repository) -> None:
    index, name = make_index(layout), repository.tagged("many")
    load(ctr, layout, index.images[0], repository, "--all-platforms")
    ctr.run("images", "push", "--plain-http", name)
    assert repository.manifest("many").digest == index.digest
    repository.check_whole("many")
    remove(ctr, name)
    ctr.run("images", "pull", "--plain-http", "--all-platforms", name)
    assert {digest for image in index.images for digest in image.blobs} <= content(ctr)


@pytest.mark.operations("resumed pull")
def test_a_pull_that_is_cut_goes_on_where_it_stopped(
    ctr: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    image, name = make_image(layout, (8 * MIB, 1_000)), repository.tagged("one")
    load(ctr, layout, image, repository)
    ctr.run("images", "push", "--plain-http", name)
    remove(ctr, name)
    wire.forget()
    wire.cut_next_download(5 * MIB)
    ctr.run("images", "pull", "--plain-http", name)
    assert wire.has_cut
    assert wire.resumed
    assert set(image.blobs) <= content(ctr)
