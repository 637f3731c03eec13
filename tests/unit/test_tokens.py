"""Our own tokens: read back as they were issued, and nothing else is taken for one (attacks 1, 2, 3, 27)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.auth.authority import ALL_AUTHORITY, NO_AUTHORITY
from functions.registry.auth.caller import Access, Caller, TokenRefused
from functions.registry.auth.keys import VerificationKey
from functions.registry.auth.roles import Role
from functions.registry.auth.scopes import MOST_CHARACTERS, MOST_SCOPES
from functions.registry.auth.tokens import KeyRing, Tokens
from functions.registry.config import SettingInvalid
from tests.issuer import (
    PrivateKey,
    ec_key,
    encoded,
    forged,
    hmac_signer,
    key_id,
    private_pem,
    public_pem,
    rsa_key,
    signer,
)

SERVICE: Final = "registry.example"
KEY: Final = ec_key()
CALLER: Final = Caller(
    kind="robot",
    name="ci",
    principal_id=7,
    access={
        "a/b": Access("a/b", frozenset({"pull", "push"}), Role.MAINTAINER),
        "c": Access("c", frozenset({"pull"}), None),
    },
    refused={"d": frozenset({"delete"})},
    catalog=True,
)


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(KeyRing(private_pem(KEY)), SERVICE, SERVICE, 300, clock)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def changed(tokens: Tokens, **claims: Any) -> str:
    """A token signed with the registry's own key, with other claims; None takes one away."""
    everything = claims_of(tokens.issue(CALLER).token) | claims
    kept = {name: value for name, value in everything.items() if value is not None}
    return signed_with(KEY, kept)


def signed_with(key: PrivateKey, payload: dict[str, Any] | str, **header: Any) -> str:
    return forged({"alg": "ES256", "typ": "JWT", "kid": key_id(KEY), **header}, payload, signer(key))


def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        tokens.verify(token)
    assert len(token) < 10 or token not in str(refused.value)
    return str(refused.value)


# ---- what is issued


def test_a_token_is_read_back_as_it_was_issued(tokens: Tokens) -> None:
    issued = tokens.issue(CALLER)
    caller = tokens.verify(issued.token)
    assert caller == replace(CALLER, token_id=issued.token_id)
    assert (caller.rank("a/b"), caller.rank("c")) == (3, 0)
    assert not caller.is_admin


def test_an_anonymous_token_and_an_administrators_are_read_back(tokens: Tokens) -> None:
    nobody = tokens.verify(tokens.issue(Caller("anonymous", "")).token)
    assert (nobody.kind, nobody.principal_id, nobody.access) == ("anonymous", None, {})
    admin = tokens.verify(tokens.issue(Caller("user", "root", principal_id=1, is_admin=True)).token)
    assert admin.is_admin
    assert not admin.catalog


def test_who_only_reads_is_read_back_as_such_and_so_is_who_is_not_told_of(tokens: Tokens) -> None:
    for is_read_only in (True, False):
        caller = Caller("robot", "ci", principal_id=1, is_read_only=is_read_only)
        claims = claims_of(tokens.issue(caller).token)
        assert tokens.verify(signed_with(KEY, claims)).is_read_only is is_read_only
    del claims["slipway"]["read_only"]
    assert tokens.verify(signed_with(KEY, claims)).is_read_only, "a token of a version before this one"


def test_what_may_be_administered_is_in_no_token(tokens: Tokens) -> None:
    issued = tokens.issue(Caller("user", "root", principal_id=1, authority=ALL_AUTHORITY))
    assert tokens.verify(issued.token).authority == NO_AUTHORITY


def test_a_token_says_what_the_protocol_asks_for(tokens: Tokens, clock: Clock) -> None:
    issued = tokens.issue(CALLER)
    claims = claims_of(issued.token)
    assert claims["access"] == [
        {"type": "repository", "name": "a/b", "actions": ["pull", "push"]},
        {"type": "repository", "name": "c", "actions": ["pull"]},
        {"type": "registry", "name": "catalog", "actions": ["*"]},
    ]
    assert (claims["iss"], claims["aud"], claims["sub"]) == (SERVICE, SERVICE, "7")
    assert claims["exp"] - claims["iat"] == issued.expires_in == 300
    assert int(issued.issued_at.timestamp()) == claims["iat"] == int(clock.now)
    assert jwt.get_unverified_header(issued.token)["kid"] == key_id(KEY)
    assert issued.token not in repr(issued)


def test_each_token_has_a_jti_of_its_own(tokens: Tokens) -> None:
    issued = [tokens.issue(CALLER) for _ in range(50)]
    assert len({tokens.verify(each.token).token_id for each in issued}) == 50
    assert all(claims_of(each.token)["jti"] == each.token_id for each in issued)


def test_a_life_can_be_chosen(tokens: Tokens) -> None:
    issued = tokens.issue(CALLER, 3600)
    assert issued.expires_in == 3600
    assert claims_of(issued.token)["exp"] - claims_of(issued.token)["iat"] == 3600


def test_the_largest_token_that_can_be_asked_for_fits_into_a_header(tokens: Tokens) -> None:
    length = MOST_CHARACTERS // MOST_SCOPES
    names = [f"{number:02}".ljust(length, "a") for number in range(MOST_SCOPES)]
    everything = frozenset({"pull", "push", "delete"})
    largest = Caller(
        kind="robot",
        name="a" * 128,
        principal_id=2**63,
        is_admin=True,
        access={name: Access(name, frozenset({"pull"}), Role.ADMIN) for name in names},
        refused={name: frozenset({"push", "delete"}) for name in names},
        catalog=True,
    )
    token = tokens.issue(largest).token
    assert len(token) < 7800
    assert tokens.verify(token).may(names[-1], "pull")
    all_granted = Caller("robot", "a" * 128, access={name: Access(name, everything, Role.ADMIN) for name in names})
    assert len(tokens.issue(all_granted).token) < 7800


# ---- keys


def test_the_first_key_signs_and_all_verify(clock: Clock) -> None:
    new = ec_key()
    before = Tokens(KeyRing(private_pem(KEY)), SERVICE, SERVICE, 300, clock)
    published = Tokens(KeyRing(private_pem(KEY, new)), SERVICE, SERVICE, 300, clock)
    after = Tokens(KeyRing(private_pem(new, KEY)), SERVICE, SERVICE, 300, clock)
    dropped = Tokens(KeyRing(private_pem(new)), SERVICE, SERVICE, 300, clock)
    old, fresh = published.issue(CALLER).token, after.issue(CALLER).token
    assert before.verify(old) == published.verify(old) == after.verify(old)
    assert published.verify(fresh) == after.verify(fresh) == dropped.verify(fresh)
    assert "signed by a key" in refusal(dropped, old)


def test_the_key_set_shows_the_public_halves() -> None:
    other = ec_key()
    ring = KeyRing(private_pem(KEY, other))
    keys = ring.jwks()["keys"]
    assert [key["kid"] for key in keys] == [key_id(KEY), key_id(other)]
    assert all(set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"} for key in keys)
    token = Tokens(ring, SERVICE, SERVICE, 300).issue(CALLER).token
    assert jwt.decode(token, jwt.PyJWK(keys[0]), algorithms=["ES256"], audience=SERVICE)["jti"]


@pytest.mark.parametrize(
    "text",
    {
        "nothing": "",
        "no PEM": "secret",
        "a public key": public_pem(KEY),
        "RSA": private_pem(rsa_key()),
        "another curve": private_pem(ec.generate_private_key(ec.SECP384R1())),
        "a cut key": private_pem(KEY).replace("\n", "\n@", 1),
        "a good one and a bad one": private_pem(KEY) + public_pem(KEY),
    }.items(),
    ids=lambda case: case[0],
)
def test_what_holds_no_key_to_sign_with_is_refused_without_showing_it(text: tuple[str, str]) -> None:
    with pytest.raises(SettingInvalid, match="SLIPWAY_TOKEN_KEYS") as refused:
        KeyRing(text[1])
    assert "BEGIN" not in str(refused.value)
    assert "secret" not in str(refused.value)


# ---- attack 1: keys in the header


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u"])
def test_a_key_in_the_header_is_refused(tokens: Tokens, name: str) -> None:
    attacker = ec_key()
    foreign = {
        "jwk": VerificationKey.of(attacker.public_key()).jwk(),
        "jku": "https://attacker.example/keys",
        "x5c": [public_pem(attacker)],
        "x5u": "https://attacker.example/certificate",
    }
    payload = claims_of(tokens.issue(CALLER).token)
    assert name in refusal(tokens, signed_with(attacker, payload, **{name: foreign[name]}))
    # Not even beside a good signature.
    assert name in refusal(tokens, signed_with(KEY, payload, **{name: foreign[name]}))


def test_a_foreign_key_with_a_trusted_kid_is_refused(tokens: Tokens) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    assert "signature" in refusal(tokens, signed_with(ec_key(), payload))


# ---- attack 2: algorithms


def test_alg_none_is_refused(tokens: Tokens) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    for name in ("none", "None", "NONE", "nOnE"):
        header = {"alg": name, "kid": key_id(KEY)}
        refusal(tokens, forged(header, payload))
        refusal(tokens, forged(header, payload, lambda _: b"signature"))


def test_hs256_with_the_public_key_is_refused(tokens: Tokens) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    jwk = json.dumps(tokens.key_set()["keys"][0])
    for secret in (public_pem(KEY), public_pem(KEY).strip(), jwk, key_id(KEY)):
        token = forged({"alg": "HS256", "kid": key_id(KEY)}, payload, hmac_signer(secret))
        assert "signature" in refusal(tokens, token)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES384", "ES512", "EdDSA", "HS512", "", None, 1, ["ES256"]])
def test_another_alg_is_refused(tokens: Tokens, algorithm: object) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    assert "signature" in refusal(tokens, signed_with(KEY, payload, alg=algorithm))


def test_a_key_of_another_family_is_refused(tokens: Tokens) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    assert "signature" in refusal(tokens, signed_with(rsa_key(), payload, alg="RS256"))


# ---- attack 3: forms


@pytest.mark.parametrize("critical", [["exp"], ["unknown"], ["b64"], [], "exp", None])
def test_crit_is_refused(tokens: Tokens, critical: object) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    assert "crit" in refusal(tokens, signed_with(KEY, payload, crit=critical))


def test_an_unencoded_payload_is_refused(tokens: Tokens) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    assert "b64" in refusal(tokens, signed_with(KEY, payload, b64=False, crit=["b64"]))


def test_a_token_larger_than_8_kib_is_refused_before_it_is_decoded(tokens: Tokens) -> None:
    token = changed(tokens, padding="x" * 8192)
    started = time.thread_time()
    assert "8192" in refusal(tokens, token)
    assert "8192" in refusal(tokens, token + "a" * 1_000_000)
    assert time.thread_time() - started < 0.02


def test_a_padded_token_is_refused(tokens: Tokens) -> None:
    token = tokens.issue(CALLER).token
    header, payload, signature = token.split(".")
    for padded in (token + "=", token + "==", f"{header}=.{payload}.{signature}", f"{header}.{payload}==.{signature}"):
        assert "no signed token" in refusal(tokens, padded)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.replace(".", "..", 1),
        lambda token: token.replace(".", ". ", 1),
        lambda token: token + ".more",
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: "." + token,
        lambda token: token + "é",
        lambda token: token + "\ud800",
        lambda _: "",
        lambda _: "..",
        lambda _: "a.b.c",
    ],
)
def test_what_has_not_the_form_is_refused(tokens: Tokens, spoil: Callable[[str], str]) -> None:
    assert "no signed token" in refusal(tokens, spoil(tokens.issue(CALLER).token))


def test_a_mirrored_signature_is_the_same_token_by_its_jti(tokens: Tokens) -> None:
    """Two texts can be one token: whoever looks for replay looks at the jti."""
    issued = tokens.issue(CALLER)
    text, _, signature = issued.token.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
    mirrored = f"{text}.{encoded(r.to_bytes(32, 'big') + (order - s).to_bytes(32, 'big'))}"
    assert mirrored != issued.token
    assert tokens.verify(mirrored).token_id == issued.token_id


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub": "1", "sub": "2"}',
        '{"exp": NaN}',
        '{"exp": Infinity}',
        "[" * 6000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        "[]",
        '"text"',
        "1" * 5000,
        "",
        "\ufeff{}",
    ],
    ids=["a name twice", "NaN", "Infinity", "deep", "deep objects", "a list", "a text", "a number", "nothing", "a BOM"],
)
def test_odd_json_is_refused(tokens: Tokens, payload: str) -> None:
    refusal(tokens, signed_with(KEY, payload or " "))


@pytest.mark.parametrize(
    ("name", "depth"), [("aud", 2000), ("iss", 2000), ("aud", 500), ("sub", 900), ("exp", 900), ("access", 900)]
)
def test_a_deep_claim_is_refused(tokens: Tokens, name: str, depth: int) -> None:
    rest = claims_of(tokens.issue(CALLER).token)
    del rest[name]
    payload = json.dumps(rest)[:-1] + f', "{name}": {"[" * depth}{"]" * depth}}}'
    refusal(tokens, signed_with(KEY, payload))


# ---- claims


def test_an_expired_token_is_refused_after_the_leeway(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue(CALLER).token
    clock.now = claims_of(token)["exp"] + 59
    assert tokens.verify(token).name == "ci"
    clock.now += 1
    assert "expired" in refusal(tokens, token)


def test_a_token_that_was_seen_before_expires_too(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue(CALLER).token
    assert tokens.verify(token) is tokens.verify(token)
    clock.now += 361
    assert "expired" in refusal(tokens, token)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_that_is_not_valid_yet_is_refused(tokens: Tokens, clock: Clock, name: str) -> None:
    assert "not valid yet" in refusal(tokens, changed(tokens, **{name: int(clock.now) + 62}))
    assert tokens.verify(changed(tokens, **{name: int(clock.now) + 58})).name == "ci"


@pytest.mark.parametrize("expires", [10**12, 10**400, float(10**300), -(10**400), 0, "never", True, [], {}, "1"])
def test_an_absurd_exp_is_refused(tokens: Tokens, expires: object) -> None:
    refusal(tokens, changed(tokens, exp=expires))


def test_an_exp_beyond_all_numbers_is_refused(tokens: Tokens) -> None:
    payload = json.dumps(claims_of(tokens.issue(CALLER).token) | {"exp": "EXP"})
    assert "too far" in refusal(tokens, signed_with(KEY, payload.replace('"EXP"', "1e400")))
    assert "expired" in refusal(tokens, signed_with(KEY, payload.replace('"EXP"', "-1e400")))


@pytest.mark.parametrize(
    "audience", ["other", "", [], [SERVICE, "other"], ["other"], {SERVICE: 1}, 1, SERVICE + " ", SERVICE.upper()]
)
def test_another_audience_is_refused(tokens: Tokens, audience: object) -> None:
    assert "aud" in refusal(tokens, changed(tokens, aud=audience))


@pytest.mark.parametrize("issuer", ["other", "", SERVICE[:-1], SERVICE + "/", [SERVICE], 1])
def test_another_issuer_is_refused(tokens: Tokens, issuer: object) -> None:
    assert "iss" in refusal(tokens, changed(tokens, iss=issuer))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "slipway"])
def test_a_token_that_lacks_a_claim_is_refused(tokens: Tokens, name: str) -> None:
    assert refusal(tokens, changed(tokens, **{name: None})) == f"the token lacks {name}"


def test_a_token_of_another_service_of_this_issuer_is_refused(tokens: Tokens, clock: Clock) -> None:
    other = Tokens(KeyRing(private_pem(KEY)), "other.example", SERVICE, 300, clock)
    assert "aud" in refusal(tokens, other.issue(CALLER).token)


@pytest.mark.parametrize("name", ["unknown", "", 1, None, ["x"], {"a": 1}])
def test_a_foreign_kid_is_refused(tokens: Tokens, name: object) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    refusal(tokens, signed_with(KEY, payload, kid=name))


def test_a_token_without_a_kid_is_refused(tokens: Tokens) -> None:
    payload = claims_of(tokens.issue(CALLER).token)
    assert "kid" in refusal(tokens, forged({"alg": "ES256"}, payload, signer(KEY)))


@pytest.mark.parametrize(
    "claims",
    [
        {"slipway": {}},
        {"slipway": []},
        {"slipway": "x"},
        {"access": {}},
        {"access": [1]},
        {"access": [{"type": "repository"}]},
        {"access": []},
        {"sub": "seven"},
    ],
)
def test_a_token_of_another_version_is_refused(tokens: Tokens, claims: dict[str, Any]) -> None:
    assert "another version" in refusal(tokens, changed(tokens, **claims))


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(TokenRefused):
        Tokens(RING, SERVICE, SERVICE, 300).verify(text)


RING: Final = KeyRing(private_pem(KEY))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_any_claim_is_taken_or_refused(value: object) -> None:
    tokens = Tokens(RING, SERVICE, SERVICE, 300)
    for name in ("iss", "sub", "aud", "exp", "nbf", "iat", "access", "slipway"):
        if value is not None:
            with pytest.raises(TokenRefused):
                tokens.verify(changed(tokens, **{name: [value]}))
