"""umoci makes and unpacks images without an engine; skopeo carries them to the registry and back."""

import os
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.engine import require_root
from tests.clients.programs import require_program
from tests.clients.remote import Repository

pytestmark = [pytest.mark.clients, pytest.mark.client("umoci")]


@pytest.fixture
def umoci(environment: dict[str, str], folder: Path) -> Client:
    require_root()
    return Client(require_program("umoci"), environment, folder=folder)


@pytest.mark.operations("make", "push", "pull", "unpack")
def test_an_image_made_layer_by_layer_is_the_same_after_its_journey(
    umoci: Client, skopeo: Client, repository: Repository, folder: Path
) -> None:
    data = os.urandom(100_000)
    (folder / "data.bin").write_bytes(data)
    umoci.run("init", "--layout=made")
    umoci.run("new", "--image=made:one")
    umoci.run("insert", "--image=made:one", "data.bin", "/data.bin")
    target = f"docker://{repository.tagged('one')}"
    skopeo.run("copy", "--dest-tls-verify=false", f"oci:{folder}/made:one", target)
    repository.check_whole("one")
    skopeo.run("copy", "--src-tls-verify=false", target, f"oci:{folder}/back:one")
    umoci.run("unpack", "--image=back:one", "bundle")
    assert (folder / "bundle" / "rootfs" / "data.bin").read_bytes() == data
