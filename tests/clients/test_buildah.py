"""buildah: builds on a base pulled from the registry and pushes the result, without an engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.command import Client, isolated_environment
from tests.clients.content import Layout, make_image
from tests.clients.engine import require_root, temporary_folder
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.test_skopeo import push
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("buildah")]


@pytest.fixture(scope="session")
def buildah() -> Iterator[Client]:
    require_root()
    program = require_program("buildah")
    with temporary_folder() as folder:
        own = (f"--root={folder}/root", f"--runroot={folder}/run")
        yield Client(program, isolated_environment(folder / "home"), own)


@pytest.mark.operations("pull", "build", "push", "re-push")
def test_an_image_built_on_a_pulled_base_is_pushed_with_its_own_layer_only(
    buildah: Client, skopeo: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image = make_image(layout)
    push(skopeo, layout, repository)
    (folder / "Containerfile").write_text(f"FROM {repository.tagged('one')}\nCOPY Containerfile /added\n")
    derived = repository.tagged("derived")
    file = f"--file={folder}/Containerfile"
    buildah.run("build", "--isolation=chroot", "--layers", "--tls-verify=false", "--tag", derived, file, folder)
    wire.forget()
    buildah.run("push", "--tls-verify=false", derived)
    assert 0 < wire.uploaded < 10_000
    assert repository.manifest("derived").layers[: len(image.layers)] == image.layers
    repository.check_whole("derived")
    wire.forget()
    buildah.run("push", "--tls-verify=false", derived)
    assert wire.uploaded == 0


@pytest.mark.operations("commit from scratch")
def test_a_container_made_from_scratch_is_committed_into_the_registry(
    buildah: Client, repository: Repository, folder: Path
) -> None:
    (folder / "hello").write_text("hello from scratch\n")
    container = buildah.run("from", "scratch").strip()
    buildah.run("copy", container, folder / "hello", "/hello")
    target = f"docker://{repository.tagged('one')}"
    buildah.run("commit", "--tls-verify=false", container, target)
    buildah.run("rm", container)
    assert len(repository.manifest("one").layers) == 1
    repository.check_whole("one")
