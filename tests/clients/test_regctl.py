"""regctl: mounts without a source, uploads in 1 MiB parts, deletes by tag, artifacts with a subject."""

import json
import os
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import MIB, Layout, digest_of, make_image, make_index
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("regctl")]


@pytest.fixture
def regctl(environment: dict[str, str], wire: Wire) -> Client:
    return Client(require_program("regctl"), environment, ("--host", f"reg={wire.address},tls=disabled"))


@pytest.mark.operations("push", "re-push", "pull")
def test_an_image_comes_back_byte_for_byte_and_is_sent_once(
    regctl: Client, layout: Layout, repository: Repository, wire: Wire, folder: Path
) -> None:
    image = make_image(layout)
    source = f"ocidir://{layout.folder}:one"
    regctl.run("image", "copy", source, repository.tagged("one"))
    assert wire.uploaded > 0
    wire.forget()
    regctl.run("image", "copy", source, repository.tagged("one"))
    assert wire.uploaded == 0
    assert regctl.run("image", "digest", repository.tagged("one")).strip() == image.digest

    regctl.run("image", "copy", repository.tagged("one"), f"ocidir://{folder}/back:one")
    for digest in (image.digest, *image.blobs):
        blob = Path("blobs", *digest.split(":"))
        assert (folder / "back" / blob).read_bytes() == (layout.folder / blob).read_bytes()


@pytest.mark.operations("mount", "multi-arch")
def test_an_index_copied_to_another_repository_moves_no_bytes(
    regctl: Client, layout: Layout, repository: Repository, wire: Wire
) -> None:
    index, copy = make_index(layout), repository.sibling("copy")
    regctl.run("image", "copy", f"ocidir://{layout.folder}:many", repository.tagged("many"))
    assert repository.manifest("many").digest == index.digest
    wire.forget()
    regctl.run("image", "copy", repository.tagged("many"), copy.tagged("many"))
    assert wire.uploaded == 0
    assert wire.mounts
    assert copy.manifest("many").digest == index.digest
    copy.check_whole("many")


@pytest.mark.operations("chunked upload")
def test_a_blob_from_standard_input_goes_up_in_parts(regctl: Client, repository: Repository, wire: Wire) -> None:
    data = os.urandom(3 * MIB + 5)
    assert regctl.run("blob", "put", repository.reference, given=data).strip() == digest_of(data)
    assert sum(exchange.method == "PATCH" for exchange in wire.exchanges) == 4
    repository.check_blob(digest_of(data))


@pytest.mark.operations("subject", "referrers")
def test_an_artifact_with_a_subject_is_discovered(regctl: Client, layout: Layout, repository: Repository) -> None:
    image = make_image(layout)
    regctl.run("image", "copy", f"ocidir://{layout.folder}:one", repository.tagged("one"))
    document = b"a list of parts"
    kind = ("--artifact-type=application/example.parts", f"--subject={repository.tagged('one')}")
    regctl.run("artifact", "put", *kind, given=document)
    listed = regctl.run("artifact", "list", "--format={{json .}}", repository.tagged("one"))
    descriptors = json.loads(listed)["descriptors"]
    assert [each["artifactType"] for each in descriptors] == ["application/example.parts"]
    assert repository.referrers(image.digest) == [descriptors[0]["digest"]]
    found = regctl.run(
        "artifact", "get", "--filter-artifact-type=application/example.parts", f"--subject={repository.tagged('one')}"
    )
    assert found == document.decode()


@pytest.mark.operations("list", "delete by tag", "delete")
def test_one_tag_of_two_is_deleted_and_the_image_stays(regctl: Client, layout: Layout, repository: Repository) -> None:
    image = make_image(layout)
    for tag in ("one", "two"):
        regctl.run("image", "copy", f"ocidir://{layout.folder}:one", repository.tagged(tag))
    assert regctl.run("tag", "ls", repository.reference).split() == ["one", "two"]
    regctl.run("tag", "delete", repository.tagged("two"))
    assert repository.tags() == ["one"]
    repository.check_whole("one")
    repository.undo(":two")
    repository.check_whole("two")
    regctl.run("manifest", "delete", repository.at(image.digest))
    assert not repository.has_manifest(image.digest)
