"""V4 signed URLs: what they let through, and what they stop."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from tests.contract.storage_support import Api, HmacSigner

_NAME: Final = "library/x/blobs/sha256:ab"
_MINUTES: Final = timedelta(minutes=5)


class Signer:
    """Signs URLs of one bucket as the client library does."""

    def __init__(self, bucket: Any, credentials: Any, endpoint: str) -> None:
        self._bucket = bucket
        self._options = {"credentials": credentials, "api_access_endpoint": endpoint}

    def url(self, name: str = _NAME, **options: Any) -> str:
        blob = self._bucket.blob(name)
        return str(blob.generate_signed_url(version="v4", expiration=_MINUTES, **self._options, **options))


@pytest.fixture
def signer(bucket: Any, signing_credentials: Any, storage_endpoint: str) -> Signer:
    bucket.blob(_NAME).upload_from_string(b"signed", retry=None)
    return Signer(bucket, signing_credentials, storage_endpoint)


@pytest.fixture
def path(api: Api, signer: Signer) -> str:
    """The path of the object, as it is signed."""
    assert signer
    return f"/{api.bucket}/{quote(_NAME, safe='/~')}"


def code_of(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, ET.fromstring(answer.content).findtext("Code")  # noqa: S314 - from our server


def test_a_signed_url_reads(api: Api, signer: Signer) -> None:
    answer = api.call("GET", signer.url())
    assert (answer.status_code, answer.content) == (200, b"signed")


@pytest.mark.parametrize("name", ["a b+c", "é/ü", "x?y=1&z", "dir//two", "a%2Fb", "tag'()*!~", "trail/"])
def test_odd_names_can_be_signed(api: Api, bucket: Any, signer: Signer, name: str) -> None:
    bucket.blob(name).upload_from_string(b"odd", retry=None)
    assert api.call("GET", signer.url(name)).content == b"odd"


def test_a_signed_url_reads_a_range(api: Api, signer: Signer) -> None:
    answer = api.call("GET", signer.url(), headers={"Range": "bytes=1-3"})
    assert (answer.status_code, answer.content) == (206, b"ign")


def test_a_signed_url_may_be_for_head(api: Api, signer: Signer) -> None:
    answer = api.call("HEAD", signer.url(method="HEAD"))
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "6")


def test_a_signed_url_may_set_type_and_disposition(api: Api, signer: Signer) -> None:
    layer = "application/vnd.oci.image.layer.v1.tar+gzip"
    url = signer.url(response_type=layer, response_disposition="attachment; filename=x")
    headers = api.call("GET", url).headers
    assert (headers["Content-Type"], headers["Content-Disposition"]) == (layer, "attachment; filename=x")


def test_a_signed_url_writes(api: Api, bucket: Any, signer: Signer) -> None:
    url = signer.url("put", method="PUT", content_type="a/b")
    assert api.call("PUT", url, data=b"put", headers={"Content-Type": "a/b"}).status_code == 200
    found = bucket.get_blob("put", retry=None)
    assert (found.content_type, found.download_as_bytes(retry=None)) == ("a/b", b"put")


def test_a_signed_condition_is_checked(api: Api, signer: Signer) -> None:
    condition = {"x-goog-if-generation-match": "0"}
    url = signer.url(method="PUT", headers=dict(condition))
    assert code_of(api.call("PUT", url, data=b"x", headers=condition)) == (412, "PreconditionFailed")


def test_a_signed_url_opens_a_resumable_upload(api: Api, bucket: Any, signer: Signer) -> None:
    started = api.call("POST", signer.url("resumable", method="RESUMABLE"), headers={"x-goog-resumable": "start"})
    assert started.status_code == 201
    assert api.call("PUT", started.headers["Location"], data=b"abc").status_code == 200
    assert bucket.blob("resumable").download_as_bytes(retry=None) == b"abc"


def test_a_signed_url_of_what_is_not_there_is_404(api: Api, signer: Signer) -> None:
    assert code_of(api.call("GET", signer.url("nope"))) == (404, "NoSuchKey")


def test_an_hmac_key_signs_too(api: Api, path: str, hmac_signer: HmacSigner) -> None:
    answer = api.call("GET", hmac_signer.url(api.endpoint, path))
    assert (answer.status_code, answer.content) == (200, b"signed")


@pytest.mark.usefixtures("only_ours")
class TestIsRefusedFor:
    """What Cloud Storage refuses a call for, and no other emulator does."""

    def test_no_signature(self, api: Api, path: str) -> None:
        for method in ("GET", "PUT", "DELETE"):
            assert code_of(api.call(method, path)) == (403, "AccessDenied")
        assert api.call("HEAD", path).status_code == 403

    def test_a_tampered_signature(self, api: Api, signer: Signer) -> None:
        url = signer.url()[:-6] + "000000"
        assert code_of(api.call("GET", url)) == (403, "SignatureDoesNotMatch")

    def test_a_signature_that_is_not_hexadecimal(self, api: Api, signer: Signer) -> None:
        assert code_of(api.call("GET", signer.url() + "zz")) == (403, "SignatureDoesNotMatch")

    def test_another_object(self, api: Api, bucket: Any, signer: Signer) -> None:
        bucket.blob("other").upload_from_string(b"other", retry=None)
        url = signer.url().replace(quote(_NAME, safe="/~"), "other")
        assert code_of(api.call("GET", url)) == (403, "SignatureDoesNotMatch")

    def test_another_method(self, api: Api, bucket: Any, signer: Signer) -> None:
        assert code_of(api.call("PUT", signer.url(), data=b"evil")) == (403, "SignatureDoesNotMatch")
        assert code_of(api.call("DELETE", signer.url())) == (403, "SignatureDoesNotMatch")
        assert bucket.blob(_NAME).download_as_bytes(retry=None) == b"signed"

    def test_another_response_type(self, api: Api, signer: Signer) -> None:
        url = signer.url(response_type="text/plain").replace("text%2Fplain", "text%2Fhtml")
        assert code_of(api.call("GET", url)) == (403, "SignatureDoesNotMatch")

    def test_a_parameter_more(self, api: Api, signer: Signer) -> None:
        assert code_of(api.call("GET", signer.url() + "&generation=1")) == (403, "SignatureDoesNotMatch")

    def test_another_signed_header(self, api: Api, signer: Signer) -> None:
        url = signer.url("put", method="PUT", content_type="a/b")
        answer = api.call("PUT", url, data=b"put", headers={"Content-Type": "a/c"})
        assert code_of(answer) == (403, "SignatureDoesNotMatch")

    def test_an_unknown_signer(self, api: Api, path: str) -> None:
        url = HmacSigner("GOOG1UNKNOWN", "example-secret").url(api.endpoint, path)
        assert code_of(api.call("GET", url)) == (403, "SignatureDoesNotMatch")

    def test_the_wrong_secret(self, api: Api, path: str, hmac_signer: HmacSigner) -> None:
        url = HmacSigner(hmac_signer.access_id, "guess").url(api.endpoint, path)
        assert code_of(api.call("GET", url)) == (403, "SignatureDoesNotMatch")

    def test_an_expired_url(self, api: Api, path: str, hmac_signer: HmacSigner) -> None:
        url = hmac_signer.url(api.endpoint, path, at=datetime.now(UTC) - timedelta(seconds=62), seconds=60)
        assert code_of(api.call("GET", url)) == (400, "ExpiredToken")

    @pytest.mark.parametrize("seconds", [7 * 86400 + 1, 0, -5, 10**30])
    def test_a_lifetime_that_is_not_allowed(self, api: Api, path: str, hmac_signer: HmacSigner, seconds: int) -> None:
        url = hmac_signer.url(api.endpoint, path, seconds=seconds)
        assert code_of(api.call("GET", url)) == (400, "InvalidArgument")

    @pytest.mark.parametrize("parameter", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"])
    def test_a_parameter_less(self, api: Api, signer: Signer, parameter: str) -> None:
        url = signer.url().replace(f"X-Goog-{parameter}=", f"X-Other-{parameter}=")
        assert code_of(api.call("GET", url)) == (400, "InvalidArgument")

    def test_the_answer_shows_what_should_have_been_signed(self, api: Api, signer: Signer) -> None:
        error = ET.fromstring(api.call("PUT", signer.url(), data=b"x").content)  # noqa: S314 - from our server
        canonical = error.findtext("CanonicalRequest") or ""
        assert canonical.splitlines()[0] == "PUT"
        assert canonical.endswith("UNSIGNED-PAYLOAD")
        assert (error.findtext("StringToSign") or "").startswith("GOOG4-RSA-SHA256\n")
