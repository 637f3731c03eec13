"""The server and the buckets that the storage contract tests run on.

The suite's target is ours, started once, or the server that SLIPWAY_TEST_STORAGE names: the same tests then show
where the two differ. What only ours promises is skipped there.
"""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2 import service_account

from local.storage.testing import serve
from tests.contract.storage_support import Api, HmacSigner, StorageProcess

_SIGNER: Final = "signer@project.iam.gserviceaccount.com"
_HMAC_SIGNER: Final = HmacSigner(access_id="GOOG1EXAMPLE", secret="example-secret")


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def storage_keys(private_key: rsa.RSAPrivateKey) -> dict[str, str]:
    """Who may sign URLs, as the fake is told."""
    public = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {_SIGNER: public.decode(), _HMAC_SIGNER.access_id: _HMAC_SIGNER.secret}


@pytest.fixture(scope="session")
def storage_endpoint(tmp_path_factory: pytest.TempPathFactory, storage_keys: dict[str, str]) -> Iterator[str]:
    """The address of the server under test."""
    named = os.environ.get("SLIPWAY_TEST_STORAGE")
    if named:
        yield named.rstrip("/")
        return
    folder = tmp_path_factory.mktemp("storage")
    keys = folder / "keys.json"
    keys.write_text(json.dumps(storage_keys), encoding="utf-8")
    with StorageProcess(folder / "root", keys) as process:
        yield process.endpoint


@pytest.fixture
def only_ours() -> None:
    """Skip what another emulator does not claim to do."""
    if "SLIPWAY_TEST_STORAGE" in os.environ:
        pytest.skip("only our own fake does this")


@pytest.fixture(scope="session")
def storage_client(storage_endpoint: str) -> Iterator[Any]:
    """The real client, without its automatic retries: the first answer is what is tested."""
    with pytest.MonkeyPatch.context() as environment:
        # Otherwise the client asks for each bucket's location, for telemetry nobody collects here.
        environment.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        client = storage.Client(
            project="project",
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=storage_endpoint),
        )
        yield client
        client.close()


@pytest.fixture
def bucket(storage_client: Any) -> Any:
    """A bucket of this test's own."""
    return storage_client.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}", retry=None)


@pytest.fixture
def api(storage_endpoint: str, bucket: Any) -> Iterator[Api]:
    """Raw calls on the same bucket."""
    api = Api(storage_endpoint, bucket.name)
    yield api
    api.close()


@pytest.fixture(scope="session")
def signing_credentials(private_key: rsa.RSAPrivateKey) -> Any:
    """A service account whose key the server knows."""
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return service_account.Credentials.from_service_account_info(
        {
            "type": "service_account",
            "client_email": _SIGNER,
            "private_key": pem,
            "private_key_id": "key",
            "project_id": "project",
            "token_uri": "http://127.0.0.1:1/token",
        }
    )


@pytest.fixture(scope="session")
def hmac_signer() -> HmacSigner:
    """An HMAC key that the server knows."""
    return _HMAC_SIGNER


@pytest.fixture(params=["gunicorn", "werkzeug"])
def faulty_api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """Calls on ours, under each of the servers it runs on, with no fault planned."""
    if request.param == "gunicorn":
        request.getfixturevalue("only_ours")
        api: Api = request.getfixturevalue("api")
        yield api
        api.call("DELETE", "/_faults")
        return
    with serve(tmp_path / "root") as endpoint:
        api = Api(endpoint, "bucket")
        api.call("POST", "/storage/v1/b", json={"name": "bucket"})
        yield api
        api.close()
