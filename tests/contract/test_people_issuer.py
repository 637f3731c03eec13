"""The issuer that tests sign people in by does what RFC 6749, RFC 7636 and OpenID Connect Core ask of a real one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests

from tests.issuer import serving
from tests.people_issuer import CLIENT, CLIENT_SECRET, PeopleIssuer

BACK: Final = "http://127.0.0.1/console/oidc/back"
VERIFIER: Final = "v" * 43


@pytest.fixture
def issuer() -> Iterator[PeopleIssuer]:
    with serving(PeopleIssuer()) as served:
        yield served


def code_of(issuer: PeopleIssuer, **more: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    asked = {"client_id": CLIENT, "response_type": "code", "redirect_uri": BACK, "state": "s", "nonce": "n",
             "code_challenge": challenge, "code_challenge_method": "S256", **more}  # fmt: skip
    answer = requests.get(f"{issuer.address}/authorize", params=asked, allow_redirects=False, timeout=5)
    back = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (answer.status_code, back["state"], back["iss"]) == (302, ["s"], [issuer.address])
    return back["code"][0]


def exchanged(issuer: PeopleIssuer, code: str, **more: str) -> requests.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": CLIENT,
            "client_secret": CLIENT_SECRET, "code_verifier": VERIFIER, **more}  # fmt: skip
    return requests.post(f"{issuer.address}/token", data=form, timeout=5)


def test_its_description_and_keys_are_read_by_a_library(issuer: PeopleIssuer) -> None:
    described = requests.get(f"{issuer.address}/.well-known/openid-configuration", timeout=5).json()
    assert described["issuer"] == issuer.address
    token = exchanged(issuer, code_of(issuer)).json()["id_token"]
    key = jwt.PyJWKClient(described["jwks_uri"]).get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(token, key.key, algorithms=["RS256"], audience=CLIENT, issuer=issuer.address)
    assert (claims["nonce"], claims["sub"], claims["email_verified"]) == ("n", "248289761001", True)


def test_a_code_is_good_once(issuer: PeopleIssuer) -> None:
    code = code_of(issuer)
    assert exchanged(issuer, code).status_code == 200
    assert exchanged(issuer, code).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1/elsewhere"}, "invalid_grant"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
    ],
)
def test_it_refuses_what_does_not_fit_to_the_code(issuer: PeopleIssuer, wrong: dict[str, str], error: str) -> None:
    assert exchanged(issuer, code_of(issuer), **wrong).json() == {"error": error}
