"""Identities of CI jobs: whose they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.federation import Federation
from functions.registry.auth.jwks import KeySets
from tests.issuer import Issuer, PrivateKey, ec_key, forged, hmac_signer, key_id, public_pem, rsa_key, serve

SERVICE: Final = "registry.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serve() as running:
        yield running


@pytest.fixture
def federation(issuer: Issuer) -> Federation:
    return Federation(KeySets(), [issuer.address], SERVICE)


def refusal(federation: Federation, token: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        federation.identify(token)
    assert not token or token not in str(refused.value)
    return str(refused.value)


# ---- who it is


def test_a_token_says_who_it_is(federation: Federation, issuer: Issuer) -> None:
    claims = issuer.claims(repository_id=2, ref_protected=True, more=[1], deep={"a": 1}, nothing=None, jti="one")
    identity = federation.identify(issuer.sign(claims))
    assert identity.issuer == issuer.address
    assert identity.claims["repository_id"] == "2"
    assert identity.claims["ref_protected"] == "true"
    assert not identity.claims.keys() & {"more", "deep", "nothing"}
    assert (identity.token_id, identity.expires_at) == ("one", claims["exp"])


def test_a_token_without_a_jti_has_none(federation: Federation, issuer: Issuer) -> None:
    assert federation.identify(issuer.sign(issuer.claims(jti=None))).token_id == ""


def test_an_issuer_may_sign_with_an_elliptic_curve(federation: Federation, issuer: Issuer) -> None:
    issuer.rotate(ec_key())
    assert federation.identify(issuer.token()).issuer == issuer.address


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())])
def test_other_algorithms_are_refused(federation: Federation, issuer: Issuer, key: PrivateKey) -> None:
    issuer.rotate(key)
    assert "expected ES256 or RS256" in refusal(federation, issuer.token())


def test_an_issuer_that_is_down_lets_nobody_in(federation: Federation, issuer: Issuer) -> None:
    issuer.mood = "down"
    with pytest.raises(IssuerUnavailable):
        federation.identify(issuer.token())


# ---- attacks


@pytest.mark.parametrize(
    "name", ["http://169.254.169.254/", "https://attacker.example", "", None, 1, ["x"], "\ud800", "file:///etc/passwd"]
)
def test_an_issuer_that_is_not_configured_is_never_asked(
    federation: Federation, issuer: Issuer, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeySets, "key", lambda *_: pytest.fail("it was asked"))
    header = {"alg": "RS256", "kid": key_id(issuer.key)}
    assert "doesn't trust" in refusal(federation, forged(header, {"iss": name}, lambda _: b"x"))


@pytest.mark.parametrize("ending", ["/", " ", "x", "?", "#", "\n"])
def test_an_issuer_that_is_nearly_configured_is_another_one(
    federation: Federation, issuer: Issuer, ending: str
) -> None:
    assert "doesn't trust" in refusal(federation, issuer.token(iss=issuer.address + ending))
    assert not issuer.fetches


def test_another_issuers_kid_is_refused(issuer: Issuer) -> None:
    """Both are trusted; each signs only for itself."""
    with serve(ec_key()) as other:
        federation = Federation(KeySets(), [issuer.address, other.address], SERVICE)
        token = other.sign(other.claims(iss=issuer.address), kid=key_id(other.key))
        assert "doesn't have" in refusal(federation, token)
        token = other.sign(other.claims(iss=issuer.address), kid=key_id(issuer.key))
        assert "signature" in refusal(federation, token)


def test_a_foreign_key_with_a_trusted_kid_is_refused(federation: Federation, issuer: Issuer) -> None:
    assert "signature" in refusal(federation, issuer.sign(issuer.claims(), rsa_key(1)))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u"])
def test_a_key_in_the_header_is_refused_and_not_fetched(federation: Federation, issuer: Issuer, name: str) -> None:
    with serve(ec_key()) as attacker:
        value: Any = {"jwk": attacker.jwk(), "jku": f"{attacker.address}/keys"}.get(name, ["certificate"])
        assert name in refusal(federation, issuer.sign(issuer.claims(), attacker.key, **{name: value}))
        assert not attacker.fetches


def test_crit_is_refused(federation: Federation, issuer: Issuer) -> None:
    assert "crit" in refusal(federation, issuer.sign(issuer.claims(), crit=["unknown"]))


def test_alg_none_and_hs256_are_refused(federation: Federation, issuer: Issuer) -> None:
    for name in ("none", "HS256"):
        for secret in (public_pem(issuer.key), public_pem(issuer.key).strip()):
            header = {"alg": name, "kid": key_id(issuer.key)}
            assert "signature" in refusal(federation, forged(header, issuer.claims(), hmac_signer(secret)))


@pytest.mark.parametrize(
    "audience",
    [
        "https://github.com/octo",
        [SERVICE, "other"],
        [SERVICE, SERVICE],
        ["other"],
        [],
        "",
        None,
        {SERVICE: 1},
        SERVICE + "/",
        "https://" + SERVICE,
        "*",
    ],
)
def test_another_or_a_second_audience_is_refused(federation: Federation, issuer: Issuer, audience: Any) -> None:
    assert "aud" in refusal(federation, issuer.sign(issuer.claims(audience)))


def test_a_list_of_this_audience_alone_is_this_audience(federation: Federation, issuer: Issuer) -> None:
    assert federation.identify(issuer.sign(issuer.claims([SERVICE])))


def test_times_are_checked(federation: Federation, issuer: Issuer) -> None:
    now = int(time.time())
    assert federation.identify(issuer.token(exp=now - 50))
    assert federation.identify(issuer.token(nbf=now + 50))
    assert federation.identify(issuer.token(nbf=None))
    assert "expired" in refusal(federation, issuer.token(exp=now - 61))
    assert "not valid yet" in refusal(federation, issuer.token(nbf=now + 65))
    assert "not valid yet" in refusal(federation, issuer.token(iat=now + 65))
    assert federation.identify(issuer.token(exp=now + 86_400))
    assert "too far away" in refusal(federation, issuer.token(exp=now + 86_400 + 65))
    assert "too far away" in refusal(federation, issuer.token(exp=10**400))


@pytest.mark.parametrize("name", ["sub", "aud", "exp", "iat"])
def test_a_token_that_lacks_a_claim_is_refused(federation: Federation, issuer: Issuer, name: str) -> None:
    claims = issuer.claims()
    del claims[name]
    assert refusal(federation, issuer.sign(claims)) == f"the token lacks {name}"


def test_a_refusal_says_what_was_found_and_what_was_expected(federation: Federation, issuer: Issuer) -> None:
    assert refusal(federation, issuer.sign(issuer.claims("other"))) == f'aud is "other", expected {SERVICE} alone'


def test_a_large_or_padded_token_is_refused_before_anything_is_asked(federation: Federation, issuer: Issuer) -> None:
    assert "8192" in refusal(federation, issuer.token(padding="x" * 8192))
    assert "no signed token" in refusal(federation, issuer.token() + "=")
    assert not issuer.fetches


@given(st.text() | st.from_regex(r"eyJ[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{1,40}", fullmatch=True))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(TokenRefused):
        Federation(KeySets(), ["https://issuer.example"], SERVICE).identify(text)
