"""What GitLab deleted and what a retention policy removed comes back by one command, and pulls byte for byte."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import requests

from functions.registry.metadata.driver import Connection
from tests.clients.command import Client
from tests.clients.content import Layout, make_index
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.server import Registry
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients]

_SECONDS: Final = 30
# Time goes by: a policy leaves alone what was pushed within the hour.
_AGE: Final = """
    UPDATE tags SET updated_at = updated_at - interval '2 hours'
      FROM repositories WHERE repositories.id = repository_id AND repositories.name = '{name}'
"""


@dataclass(frozen=True, slots=True)
class Mover:
    """A client that copies all there is of an index: a layout's to a tag, and a tag's to a new layout."""

    push: Callable[[Layout, str], str]
    pull: Callable[[str, Path], str]


def _crane(client: Client) -> Mover:
    return Mover(
        lambda layout, target: client.run("push", "--index", layout.folder, target),
        lambda source, folder: client.run("pull", "--format=oci", source, folder),
    )


def _skopeo(client: Client) -> Mover:
    return Mover(
        lambda layout, target: client.run(
            "copy", "--all", "--dest-tls-verify=false", layout.reference("many"), f"docker://{target}"
        ),
        lambda source, folder: client.run(
            "copy", "--all", "--src-tls-verify=false", f"docker://{source}", f"oci:{folder}:many"
        ),
    )


def _regctl(client: Client) -> Mover:
    return Mover(
        lambda layout, target: client.run("image", "copy", f"ocidir://{layout.folder}:many", target),
        lambda source, folder: client.run("image", "copy", source, f"ocidir://{folder}:many"),
    )


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.client(name)) for name in ("crane", "skopeo", "regctl")])
def mover(request: pytest.FixtureRequest, environment: dict[str, str], wire: Wire) -> Mover:
    program = require_program(request.param)
    if request.param == "regctl":
        return _regctl(Client(program, environment, ("--host", f"reg={wire.address},tls=disabled")))
    return {"crane": _crane, "skopeo": _skopeo}[request.param](Client(program, environment))


def _push_index(mover: Mover, folder: Path, target: str) -> Layout:
    layout = Layout(folder)
    make_index(layout)
    mover.push(layout, target)
    return layout


def _blobs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}


def _check_it_comes_back(mover: Mover, source: str, layout: Layout, folder: Path) -> None:
    mover.pull(source, folder)
    assert _blobs(layout.folder).items() <= _blobs(folder).items()


@contextmanager
def _metadata(registry: Registry) -> Iterator[Connection]:
    if not registry.database:
        pytest.skip("needs a registry that was started here: time has to go by in its database")
    connection = Connection(registry.database)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.operations("undo of GitLab's delete")
def test_a_tag_that_gitlab_deleted_comes_back(mover: Mover, repository: Repository, folder: Path) -> None:
    layout = _push_index(mover, folder / "sent", repository.tagged("one"))
    headers = {"User-Agent": "GitLab/18.2.0", "Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = requests.delete(repository.url("manifests/one"), headers=headers, timeout=_SECONDS)
    assert answer.status_code == 202
    assert not repository.has_manifest("one")
    repository.undo(":one")
    _check_it_comes_back(mover, repository.tagged("one"), layout, folder / "back")


@pytest.mark.operations("undo of a policy's run")
def test_what_a_policy_removed_comes_back(
    mover: Mover, registry: Registry, repository: Repository, folder: Path
) -> None:
    older = _push_index(mover, folder / "older", repository.tagged("older"))
    with _metadata(registry) as metadata:
        metadata.simple(_AGE.format(name=repository.name))
        _push_index(mover, folder / "newer", repository.tagged("newer"))
        metadata.simple(_AGE.format(name=repository.name))
    policy = repository.name.replace("/", "-")
    repository.slipway("retention", "set", policy, "--repositories", repository.name, "--newest=1", "--new-for=1h")
    plan = str(json.loads(repository.slipway("retention", "plan", policy, "--output=json"))["id"])
    repository.slipway("retention", "apply", plan, "--yes")
    assert repository.tags() == ["newer"]
    repository.slipway("retention", "undo", plan, "--yes")
    _check_it_comes_back(mover, repository.tagged("older"), older, folder / "back")
