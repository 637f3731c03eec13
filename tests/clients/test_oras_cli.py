"""oras (the Go program): files as artifacts, and what is attached to them."""

import json
import os
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import Layout, make_index
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("oras")]

_KIND = "application/vnd.example.report"


@pytest.fixture
def oras(environment: dict[str, str], folder: Path) -> Client:
    return Client(require_program("oras"), environment, folder=folder)


def push_file(oras: Client, folder: Path, repository: Repository) -> bytes:
    data = os.urandom(300_000)
    (folder / "report.bin").write_bytes(data)
    oras.run("push", "--plain-http", f"--artifact-type={_KIND}", repository.tagged("one"), "report.bin")
    return data


@pytest.mark.operations("push", "re-push", "pull")
def test_a_file_comes_back_byte_for_byte_and_is_sent_once(
    oras: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    data = push_file(oras, folder, repository)
    assert wire.uploaded > len(data)
    wire.forget()
    oras.run("push", "--plain-http", f"--artifact-type={_KIND}", repository.tagged("one"), "report.bin")
    assert wire.uploaded == 0
    oras.run("pull", "--plain-http", f"--output={folder}/back", repository.tagged("one"))
    assert (folder / "back" / "report.bin").read_bytes() == data


@pytest.mark.operations("subject", "referrers")
def test_attached_files_are_discovered_by_kind_and_as_a_tree(
    oras: Client, repository: Repository, folder: Path
) -> None:
    push_file(oras, folder, repository)
    subject = repository.manifest("one").digest
    for kind in ("signature", "parts"):
        (folder / f"{kind}.txt").write_text(kind)
        oras.run("attach", "--plain-http", f"--artifact-type={_KIND}.{kind}", repository.tagged("one"), f"{kind}.txt")
    discover = ("discover", "--plain-http", "--format=json")
    tree = json.loads(oras.run(*discover, repository.tagged("one")))
    assert {each["artifactType"] for each in tree["referrers"]} == {f"{_KIND}.signature", f"{_KIND}.parts"}
    assert {each["digest"] for each in tree["referrers"]} == set(repository.referrers(subject))
    one_kind = json.loads(oras.run(*discover, f"--artifact-type={_KIND}.parts", repository.tagged("one")))
    assert len(one_kind["referrers"]) == 1
    parts = repository.at(one_kind["referrers"][0]["digest"])
    oras.run("pull", "--plain-http", f"--output={folder}/back", parts)
    assert (folder / "back" / "parts.txt").read_text() == "parts"


@pytest.mark.operations("mount", "recursive copy")
def test_a_copy_with_its_referrers_moves_no_bytes_of_the_artifact(
    oras: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    data, copy = push_file(oras, folder, repository), repository.sibling("copy")
    (folder / "signature.txt").write_text("signature")
    oras.run("attach", "--plain-http", f"--artifact-type={_KIND}.signature", repository.tagged("one"), "signature.txt")
    wire.forget()
    plain = ("--from-plain-http", "--to-plain-http")
    oras.run("copy", "--recursive", *plain, repository.tagged("one"), copy.tagged("one"))
    assert wire.mounts
    assert wire.uploaded < len(data)
    digest = repository.manifest("one").digest
    assert copy.manifest("one").digest == digest
    assert copy.referrers(digest) == repository.referrers(digest)


@pytest.mark.operations("multi-arch")
def test_an_index_is_copied_from_a_layout_and_back(
    oras: Client, layout: Layout, repository: Repository, folder: Path
) -> None:
    index = make_index(layout)
    source = f"{layout.folder}:many"
    oras.run("copy", "--from-oci-layout", "--to-plain-http", source, repository.tagged("many"))
    assert repository.manifest("many").digest == index.digest
    oras.run("copy", "--from-plain-http", "--to-oci-layout", repository.tagged("many"), f"{folder}/back:many")
    for image in index.images:
        for digest in (image.digest, *image.blobs):
            blob = Path("blobs", *digest.split(":"))
            assert (folder / "back" / blob).read_bytes() == (layout.folder / blob).read_bytes()


@pytest.mark.operations("tag", "list", "catalog", "blob", "delete")
def test_tags_and_blobs_are_listed_and_deleted(oras: Client, repository: Repository, folder: Path) -> None:
    push_file(oras, folder, repository)
    oras.run("tag", "--plain-http", repository.tagged("one"), "two")
    assert oras.run("repo", "tags", "--plain-http", repository.reference).split() == ["one", "two"]
    names = oras.run("repo", "ls", "--plain-http", f"{repository.address}/clients/").split()
    assert repository.name.removeprefix("clients/") in names
    layer = repository.manifest("one").layers[0]
    fetched = folder / "fetched"
    oras.run("blob", "fetch", "--plain-http", f"--output={fetched}", repository.at(layer))
    assert fetched.read_bytes() == (folder / "report.bin").read_bytes()
    oras.run("manifest", "delete", "--plain-http", "--force", repository.tagged("two"))
    assert not repository.has_manifest("one")
    oras.run("blob", "delete", "--plain-http", "--force", repository.at(layer))
    assert not repository.has_blob(layer)
