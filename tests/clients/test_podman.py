"""podman: compresses layers as it sends them, so their lengths aren't known ahead; its own store, no daemon."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.command import Client, isolated_environment
from tests.clients.content import (
    LARGE,
    MIB,
    Image,
    Layout,
    file_hashes,
    make_image,
    make_image_of,
    make_index,
    random_layers,
)
from tests.clients.engine import require_root, temporary_folder
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("podman")]

_PARTIAL_PULLS = """\
[storage]
driver = "overlay"
graphroot = "{folder}/partial/root"
runroot = "{folder}/partial/run"
[storage.options]
pull_options = {{enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}}
"""


@pytest.fixture(scope="session")
def podman() -> Iterator[Client]:
    require_root()
    program = require_program("podman")
    with temporary_folder() as folder:
        own = (f"--root={folder}/root", f"--runroot={folder}/run", "--cgroup-manager=cgroupfs")
        yield Client(program, isolated_environment(folder / "home"), own)


def push(podman: Client, layout: Layout, name: str, tag: str = "one") -> str:
    """Loads the image, pushes it, and gives its ID."""
    identity = podman.run("pull", "--quiet", layout.reference(tag)).strip()
    podman.run("tag", identity, name)
    podman.run("push", "--tls-verify=false", name)
    return identity


def exported_files(podman: Client, name: str, target: Path) -> dict[str, str]:
    container = podman.run("create", "--network=none", name).strip()
    podman.run("export", "--output", target, container)
    podman.run("rm", container)
    hashes = file_hashes(target)
    return {name: hashes[name] for name in hashes if name.startswith("layer-")}


def pull_and_check(podman: Client, name: str, image: Image, folder: Path) -> None:
    pulled = podman.run("pull", "--quiet", "--tls-verify=false", name).strip()
    assert f"sha256:{pulled}" == image.config
    assert exported_files(podman, name, folder / "export.tar") == image.files
    podman.run("rmi", "--force", name)


@pytest.mark.operations("push", "re-push", "pull", "101 MiB layer")
@pytest.mark.timeout(300)
def test_a_large_image_comes_back_byte_for_byte_and_is_sent_once(
    podman: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image, name = make_image(layout, LARGE), repository.tagged("one")
    identity = push(podman, layout, name)
    assert wire.uploaded > sum(LARGE)
    wire.forget()
    podman.run("push", "--tls-verify=false", name)
    assert wire.uploaded == 0
    repository.check_whole("one")

    podman.run("rmi", "--force", identity)
    wire.forget()
    pull_and_check(podman, name, image, folder)
    assert wire.downloaded > sum(LARGE)


@pytest.mark.operations("mount")
def test_a_push_to_a_second_repository_mounts_what_the_first_has(
    podman: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    image, name, copy = make_image(layout), repository.tagged("one"), repository.sibling("copy")
    push(podman, layout, name)
    podman.run("tag", name, copy.tagged("one"))
    wire.forget()
    podman.run("push", "--tls-verify=false", copy.tagged("one"))
    assert len(wire.mounts) >= len(image.layers)
    copy.check_whole("one")


@pytest.mark.operations("multi-arch")
def test_a_manifest_list_is_pushed_whole_and_pulled_by_architecture(
    podman: Client, layout: Layout, repository: Repository
) -> None:
    index, many = make_index(layout), repository.tagged("many")
    podman.run("manifest", "create", "local-list")
    podman.run("manifest", "add", "--all", "local-list", layout.reference("many"))
    podman.run("manifest", "push", "--all", "--tls-verify=false", "local-list", f"docker://{many}")
    podman.run("manifest", "rm", "local-list")
    children = repository.manifest("many").children
    assert sorted(children) == sorted(image.digest for image in index.images)
    repository.check_whole("many")
    pulled = podman.run("pull", "--quiet", "--tls-verify=false", "--arch=arm64", many).strip()
    assert f"sha256:{pulled}" == index.images[1].config


@pytest.mark.operations("zstd:chunked in ranges")
def test_a_partial_pull_asks_for_several_ranges_at_once(
    podman: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    """The second image has a file of the first in its middle: only what lies before and after is fetched."""
    known = {"layer-known.bin": os.urandom(MIB)}
    before, after = random_layers((MIB, MIB))
    images = {
        "first": make_image_of(layout, [known], "first"),
        "second": make_image_of(layout, [{"layer-before.bin": before["layer-0.bin"], **known, **after}], "second"),
    }
    for tag in images:
        identity = podman.run("pull", "--quiet", layout.reference(tag)).strip()
        zstd = ("--tls-verify=false", "--compression-format=zstd:chunked")
        podman.run("push", *zstd, identity, f"docker://{repository.tagged(tag)}")

    settings = folder / "storage.conf"
    settings.write_text(_PARTIAL_PULLS.format(folder=folder))
    environment = {**podman.environment, "CONTAINERS_STORAGE_CONF": str(settings)}
    partial = Client(podman.program, environment, ("--cgroup-manager=cgroupfs",))
    wire.forget()
    for tag, image in images.items():
        name = repository.tagged(tag)
        partial.run("pull", "--quiet", "--tls-verify=false", name)
        assert exported_files(partial, name, folder / f"{tag}.tar") == image.files
    assert any("," in (exchange.byte_range or "") for exchange in wire.exchanges)


@pytest.mark.operations("search")
def test_a_repository_is_found_by_search(podman: Client, layout: Layout, repository: Repository) -> None:
    make_image(layout)
    push(podman, layout, repository.tagged("one"))
    found = podman.run("search", "--tls-verify=false", "--format={{.Name}}", "--limit=100", repository.reference)
    assert repository.reference in found.split()
    tags = podman.run("search", "--tls-verify=false", "--list-tags", "--format={{.Tag}}", repository.reference)
    assert "one" in tags.split()
