"""cosign: signatures as images under a tag, and as referrers; copies that take them along."""

from pathlib import Path
from typing import Final

import pytest

from tests.clients.command import Client
from tests.clients.content import Layout, make_index
from tests.clients.programs import require_program
from tests.clients.remote import Repository

pytestmark = [pytest.mark.clients_more, pytest.mark.client("cosign")]

# No log and no authority that is asked over the network: a pair of keys alone.
_SIGN: Final = ("sign", "--yes", "--key=cosign.key", "--use-signing-config=false", "--tlog-upload=false")
_VERIFY: Final = ("verify", "--key=cosign.pub", "--insecure-ignore-tlog=true")
_HTTP: Final = "--allow-http-registry"


@pytest.fixture
def cosign(environment: dict[str, str], folder: Path) -> Client:
    program = require_program("cosign")
    client = Client(program, {**environment, "COSIGN_PASSWORD": "tests"}, folder=folder)
    client.run("generate-key-pair")
    return client


def pushed(skopeo: Client, layout: Layout, repository: Repository) -> str:
    """The digest of an index of two images."""
    index = make_index(layout)
    source = layout.reference("many")
    skopeo.run("copy", "--all", "--dest-tls-verify=false", source, f"docker://{repository.tagged('many')}")
    return index.digest


@pytest.mark.operations("sign", "verify")
@pytest.mark.parametrize("bundle", [False, True], ids=["tag", "bundle"])
def test_a_signature_is_found_and_holds(
    cosign: Client, skopeo: Client, layout: Layout, repository: Repository, bundle: bool
) -> None:
    name = repository.at(pushed(skopeo, layout, repository))
    form = f"--new-bundle-format={str(bundle).lower()}"
    cosign.run(*_SIGN, form, _HTTP, name)
    cosign.run(*_VERIFY, form, _HTTP, name)


@pytest.mark.operations("copy", "verify a copy")
def test_a_copy_keeps_its_signature_and_nothing_is_its_own_referrer(
    cosign: Client, skopeo: Client, layout: Layout, repository: Repository
) -> None:
    digest = pushed(skopeo, layout, repository)
    copy = repository.sibling("copy")
    form = "--new-bundle-format=false"
    cosign.run(*_SIGN, form, _HTTP, repository.at(digest))
    cosign.run("copy", _HTTP, repository.tagged("many"), copy.tagged("many"))
    cosign.run(*_VERIFY, form, _HTTP, copy.at(digest))
    index = copy.manifest("many")
    assert index.digest == digest
    images = {digest, *index.children}
    for each in images:
        assert not images & set(copy.referrers(each)), each


@pytest.mark.operations("verify what was put back")
@pytest.mark.parametrize("bundle", [False, True], ids=["tag", "bundle"])
def test_an_index_that_was_deleted_comes_back_signed(
    cosign: Client, skopeo: Client, layout: Layout, repository: Repository, bundle: bool
) -> None:
    digest = pushed(skopeo, layout, repository)
    form = f"--new-bundle-format={str(bundle).lower()}"
    cosign.run(*_SIGN, form, _HTTP, repository.at(digest))
    skopeo.run("delete", "--tls-verify=false", f"docker://{repository.tagged('many')}")
    assert not repository.has_manifest(digest)
    repository.undo(":many")
    cosign.run(*_VERIFY, form, _HTTP, repository.tagged("many"))
    repository.check_whole("many")
