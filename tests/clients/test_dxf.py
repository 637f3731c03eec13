"""dxf, a Python client for bare blobs under names of their own (aliases)."""

import os
from pathlib import Path

import pytest

from tests.clients.command import Client
from tests.clients.content import digest_of
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("dxf")]


@pytest.fixture
def dxf(environment: dict[str, str], wire: Wire) -> Client:
    program = require_program("dxf").with_name("dxf")
    return Client(program, {**environment, "DXF_HOST": wire.address, "DXF_INSECURE": "1", "DXF_PROGRESS": "0"})


@pytest.mark.operations("push", "re-push", "pull", "mount", "delete")
def test_a_blob_is_pushed_named_mounted_pulled_and_deleted(
    dxf: Client, repository: Repository, wire: Wire, folder: Path
) -> None:
    data, file, copy = os.urandom(300_000), folder / "blob.bin", repository.sibling("copy")
    file.write_bytes(data)
    digest = dxf.run("push-blob", repository.name, file, "@named").strip()
    assert digest == digest_of(data)
    assert wire.uploaded == len(data)
    wire.forget()
    dxf.run("push-blob", repository.name, file)
    assert wire.uploaded == 0
    assert dxf.run("list-aliases", repository.name).split() == ["named"]
    assert dxf.run("blob-size", repository.name, "@named").strip() == str(len(data))

    dxf.run("mount-blob", copy.name, repository.name, digest, "@named")
    assert wire.mounts
    copy.check_blob(digest)
    copy.check_blob(dxf.run("get-alias", copy.name, "named").strip())

    dxf.run("del-alias", repository.name, "named")
    dxf.run("del-blob", repository.name, digest)
    assert not repository.has_blob(digest)
    assert copy.has_blob(digest)
