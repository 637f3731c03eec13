"""What pages of other origins may read of a bucket: what its own rules say, of signed URLs alone."""

from typing import Any, Final

import pytest
import requests

from tests.contract.storage_support import Api
from tests.contract.test_storage_signed_urls import Signer, signer

__all__ = ["signer"]

_PAGE: Final = "https://page.example"
_RULES: Final = [
    {"origin": [_PAGE], "method": ["GET"], "responseHeader": ["Content-Range", "Range"], "maxAgeSeconds": 60},
    {"origin": ["*"], "method": ["HEAD"], "responseHeader": ["ETag"]},
]


@pytest.fixture
def url(bucket: Any, signer: Signer) -> str:
    """Gives that of an object in a bucket with rules, set as the client library sets them."""
    bucket.cors = _RULES
    bucket.patch()
    return signer.url()


def shared(answer: requests.Response) -> dict[str, str]:
    prefix = "access-control-"
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


def test_the_rules_are_kept_with_the_bucket_and_can_be_taken_away(bucket: Any, api: Api, url: str) -> None:
    bucket.reload()
    assert bucket.cors == _RULES
    bucket.cors = []
    bucket.patch()
    assert shared(api.call("GET", url, headers={"Origin": _PAGE})) == {}


def test_the_first_rule_that_fits_the_origin_and_the_method_is_told(api: Api, url: str) -> None:
    answer = api.call("GET", url, headers={"Origin": _PAGE})
    assert shared(answer) == {"allow-origin": _PAGE, "expose-headers": "Content-Range, Range"}
    assert answer.content == b"signed"
    assert shared(api.call("GET", url, headers={"Origin": "https://other.example"})) == {}
    assert shared(api.call("GET", url)) == {}


def test_any_origin_is_written_with_an_asterisk(api: Api, url: str) -> None:
    answer = api.call("HEAD", url, headers={"Origin": "null"})
    assert shared(answer) == {"allow-origin": "*", "expose-headers": "ETag"}


def test_a_preflight_needs_no_signature_and_says_what_the_rule_says(api: Api, url: str) -> None:
    path = url.partition("?")[0]
    asked = {"Origin": _PAGE, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    answer = api.call("OPTIONS", path, headers=asked)
    expected = {
        "allow-origin": _PAGE,
        "allow-methods": "GET",
        "allow-headers": "Content-Range, Range",
        "max-age": "60",
    }
    assert (answer.status_code, shared(answer)) == (200, expected)
    answer = api.call("OPTIONS", path, headers={**asked, "Access-Control-Request-Method": "DELETE"})
    assert (answer.status_code, shared(answer)) == (200, {})


def test_a_page_may_read_why_it_was_refused(api: Api, url: str) -> None:
    answer = api.call("GET", url.partition("?")[0], headers={"Origin": _PAGE})
    assert (answer.status_code, shared(answer)["allow-origin"]) == (403, _PAGE)
