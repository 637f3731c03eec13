"""oras-py, the Python library: whole blobs in one PUT, or chunks that each name their range."""

import os
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import MIB
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("oras-py")]

_STEPS = Path(__file__).with_name("oras_py_steps.py")


@pytest.fixture
def oras(environment: dict[str, str], folder: Path) -> Client:
    return Client(require_program("oras-py"), environment, (str(_STEPS),), folder=folder)


def random_file(folder: Path, size: int) -> Path:
    file = folder / "report.bin"
    file.write_bytes(os.urandom(size))
    return file


@pytest.mark.operations("push", "re-push", "pull")
def test_a_file_comes_back_byte_for_byte_and_is_sent_once(
    oras: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    file = random_file(folder, 300_000)
    oras.run("push", repository.tagged("one"), file.name)
    assert wire.uploaded > 300_000
    wire.forget()
    oras.run("push", repository.tagged("one"), file.name)
    assert wire.uploaded == 0
    oras.run("pull", repository.tagged("one"), folder / "back")
    assert (folder / "back" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.operations("chunked upload")
def test_a_file_sent_in_chunks_comes_back_byte_for_byte(
    oras: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    file = random_file(folder, 7 * MIB + 5)
    oras.run("push", repository.tagged("one"), file.name, "2")
    assert sum(exchange.method == "PATCH" and exchange.sent > MIB for exchange in wire.exchanges) == 4
    oras.run("pull", repository.tagged("one"), folder / "back")
    assert (folder / "back" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.operations("subject")
def test_an_artifact_with_a_subject_becomes_its_referrer(oras: Client, repository: Repository, folder: Path) -> None:
    file = random_file(folder, 1_000)
    oras.run("push", repository.tagged("one"), file.name)
    oras.run("attach", repository.tagged("attached"), repository.tagged("one"), file.name)
    attached = repository.manifest("attached")
    subject = repository.manifest("one").digest
    assert attached.value["subject"]["digest"] == subject
    assert repository.referrers(subject) == [attached.digest]


@pytest.mark.operations("list", "delete")
def test_tags_are_listed_and_deleted(oras: Client, repository: Repository, folder: Path) -> None:
    file = random_file(folder, 1_000)
    oras.run("push", repository.tagged("one"), file.name)
    assert oras.run("tags", repository.reference).split() == ["one"]
    assert oras.run("delete", repository.reference, "one").split() == ["one"]
    assert not repository.has_manifest("one")
