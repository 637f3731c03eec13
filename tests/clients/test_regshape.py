"""regshape: made to try a registry's corners; its chunks carry an odd form of Content-Range."""

import json
import os
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import MANIFEST_TYPE, digest_of
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("regshape")]

_EMPTY = b"{}"
_KIND = "application/vnd.example.parts"


@pytest.fixture
def regshape(environment: dict[str, str]) -> Client:
    return Client(require_program("regshape").with_name("regshape"), environment, ("--insecure",))


def upload(regshape: Client, folder: Path, repository: Repository, data: bytes, *more: str) -> str:
    digest, file = digest_of(data), folder / "blob.bin"
    file.write_bytes(data)
    where = (f"--repo={repository.reference}", f"--file={file}", f"--digest={digest}")
    regshape.run("blob", "upload", *where, *more)
    return digest


def put_manifest(regshape: Client, folder: Path, reference: str, subject: dict[str, object] | None = None) -> bytes:
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(_EMPTY), "size": len(_EMPTY)}
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": _KIND,
        "config": empty,
        "layers": [empty],
        **({"subject": subject} if subject else {}),
    }
    data, file = json.dumps(value).encode(), folder / "manifest.json"
    file.write_bytes(data)
    regshape.run("manifest", "put", f"--image-ref={reference}", f"--file={file}")
    return data


@pytest.mark.operations("push", "pull", "chunked upload", "mount", "delete")
def test_a_blob_sent_in_chunks_is_pulled_mounted_and_deleted(
    regshape: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    data, copy = os.urandom(900_000), repository.sibling("copy")
    digest = upload(regshape, folder, repository, data, "--chunked", "--chunk-size=400000")
    assert [each.sent for each in wire.exchanges if each.method == "PATCH"] == [400_000, 400_000, 100_000]
    named = f"--digest={digest}"
    back = folder / "back.bin"
    regshape.run("blob", "get", f"--repo={repository.reference}", named, f"--output={back}")
    assert back.read_bytes() == data
    regshape.run("blob", "mount", f"--repo={copy.reference}", named, f"--from-repo={repository.name}")
    copy.check_blob(digest)
    regshape.run("blob", "delete", f"--repo={repository.reference}", named)
    assert not repository.has_blob(digest)


@pytest.mark.operations("subject", "referrers")
def test_an_artifact_with_a_subject_is_listed_as_its_referrer(
    regshape: Client, repository: Repository, folder: Path
) -> None:
    upload(regshape, folder, repository, _EMPTY)
    subject = put_manifest(regshape, folder, repository.tagged("one"))
    described = {"mediaType": MANIFEST_TYPE, "digest": digest_of(subject), "size": len(subject)}
    referrer = put_manifest(regshape, folder, repository.tagged("two"), described)
    image = f"--image-ref={repository.at(digest_of(subject))}"
    listed = json.loads(regshape.run("referrer", "list", image, f"--artifact-type={_KIND}", "--json"))
    assert [each["digest"] for each in listed["manifests"]] == [digest_of(referrer)]
