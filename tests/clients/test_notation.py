"""notation: signatures as referrers, and with the tag that registries without referrers are given."""

import json
from pathlib import Path
from typing import Final

import pytest

from tests.clients.command import Client
from tests.clients.content import Layout, make_image
from tests.clients.programs import require_program
from tests.clients.remote import Repository

pytestmark = [pytest.mark.clients_more, pytest.mark.client("notation")]

_SIGNER: Final = "slipway-tests"
_POLICY: Final = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "tests",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": [f"ca:{_SIGNER}"],
            "trustedIdentities": ["*"],
        }
    ],
}


@pytest.fixture
def notation(environment: dict[str, str]) -> Client:
    client = Client(require_program("notation"), environment)
    client.run("cert", "generate-test", "--default", _SIGNER)
    policy = Path(environment["XDG_CONFIG_HOME"], "notation", "trustpolicy.json")
    policy.write_text(json.dumps(_POLICY))
    policy.chmod(0o600)
    return client


@pytest.mark.operations("sign", "list", "verify")
@pytest.mark.parametrize("form", ["jws", "cose"])
def test_a_signature_is_a_referrer_that_is_found_and_holds(
    notation: Client, skopeo: Client, layout: Layout, repository: Repository, form: str
) -> None:
    digest = make_image(layout).digest
    skopeo.run("copy", "--dest-tls-verify=false", layout.reference("one"), f"docker://{repository.tagged('one')}")
    name = repository.at(digest)
    notation.run("sign", "--insecure-registry", f"--signature-format={form}", name)
    (signature,) = repository.referrers(digest)
    assert signature in notation.run("list", "--insecure-registry", name)
    notation.run("verify", "--insecure-registry", name)
