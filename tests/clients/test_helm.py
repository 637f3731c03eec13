"""helm, the two versions in use: a chart is pushed, read and pulled; both send whole blobs in one PUT."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = pytest.mark.clients

_CHART = """\
apiVersion: v2
name: harbour
version: {version}
description: a chart of the tests
"""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.client(name)) for name in ("helm 3", "helm 4")])
def helm(request: pytest.FixtureRequest, environment: dict[str, str], folder: Path) -> Client:
    return Client(require_program(request.param), environment, folder=folder)


def package(helm: Client, folder: Path, repository: Repository, version: str) -> Path:
    """A chart whose content is the test's own: the repository's name is in it."""
    chart = folder / "harbour"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text(_CHART.format(version=version))
    (chart / "values.yaml").write_text(f"repository: {repository.name}\n")
    helm.run("package", chart)
    return folder / f"harbour-{version}.tgz"


def push(helm: Client, chart: Path, repository: Repository) -> None:
    helm.run("push", "--plain-http", chart, f"oci://{repository.reference}")


@pytest.mark.operations("push", "re-push", "show", "pull", "pull newest")
def test_a_chart_comes_back_byte_for_byte_and_is_sent_once(
    helm: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    older, newer = (package(helm, folder, repository, version) for version in ("1.0.0", "1.1.0"))
    push(helm, older, repository)
    push(helm, newer, repository)
    assert wire.uploaded > older.stat().st_size
    wire.forget()
    push(helm, newer, repository)
    assert wire.uploaded == 0

    chart = f"oci://{repository.reference}/harbour"
    shown = helm.run("show", "values", "--plain-http", "--version=1.0.0", chart)
    assert repository.name in shown
    # Without a version helm lists the tags and takes the newest.
    helm.run("pull", "--plain-http", f"--destination={_made(folder / 'back')}", chart)
    assert (folder / "back" / newer.name).read_bytes() == newer.read_bytes()


@pytest.mark.operations("chart stored as it is")
def test_the_registry_holds_the_chart_as_helm_packed_it(helm: Client, repository: Repository, folder: Path) -> None:
    packed = package(helm, folder, repository, "2.0.0")
    push(helm, packed, repository)
    stored = Repository(repository.address, f"{repository.name}/harbour")
    manifest = stored.manifest("2.0.0")
    assert manifest.layers == (f"sha256:{hashlib.sha256(packed.read_bytes()).hexdigest()}",)
    assert manifest.value["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"
    assert "harbour" in json.dumps(manifest.value["annotations"])
    stored.check_whole("2.0.0")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
