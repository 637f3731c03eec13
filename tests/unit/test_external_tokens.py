"""Tokens of another token service, GitLab's above all: claims, keys, tag patterns (attacks 1, 2, 3, 22, 27)."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from functions.registry.auth.caller import Caller, IssuerUnavailable, TokenRefused
from functions.registry.auth.external import ExternalTokens
from functions.registry.auth.keys import VerificationKey
from functions.registry.auth.roles import Role
from functions.registry.auth.tag_limits import PatternRefused, RepositoryLimits
from functions.registry.config import SettingInvalid
from tests.issuer import (
    KEY_SET,
    PrivateKey,
    certificate_of,
    ec_key,
    forged,
    hmac_signer,
    key_id,
    private_pem,
    public_pem,
    rsa_key,
    serve,
    signer,
)

ISSUER: Final = "omnibus-gitlab-issuer"
SERVICE: Final = "container_registry"
KEY: Final = rsa_key()
FINGERPRINT: Final = VerificationKey.of(KEY.public_key()).fingerprint


def external(keys: str | None = None) -> ExternalTokens:
    return ExternalTokens(ISSUER, SERVICE, public_pem(KEY) if keys is None else keys, "")


def claims(*access: Any, **more: Any) -> dict[str, Any]:
    """Makes them as Rails does; None takes one away."""
    now = int(time.time())
    everything = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": "root",
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
        "jti": "9d2c0bb0-c4ad-4d5b-a9a3-1f4e4a6d0f1f",
        "auth_type": "personal_access_token",
        "user": "a.second.token",
        "access": list(access),
        **more,
    }
    return {name: value for name, value in everything.items() if value is not None}


def signed(payload: dict[str, Any] | str, key: PrivateKey = KEY, **header: Any) -> str:
    algorithm = VerificationKey.of(key.public_key()).algorithm
    return forged({"alg": algorithm, "typ": "JWT", "kid": FINGERPRINT, **header}, payload, signer(key))


def verify(*access: Any, **more: Any) -> Caller:
    return external().verify(signed(claims(*access, **more)))


def refusal(token: str, tokens: ExternalTokens | None = None) -> str:
    with pytest.raises(TokenRefused) as refused:
        (tokens or external()).verify(token)
    return str(refused.value)


def entry(name: str, *actions: str, **more: Any) -> dict[str, Any]:
    return {"type": "repository", "name": name, "actions": list(actions), **more}


# ---- what is read


def test_a_token_of_gitlab_is_read() -> None:
    caller = verify(entry("group/app", "pull", "push"), entry("group/base", "pull"))
    assert (caller.kind, caller.name, caller.is_admin) == ("external", "root", False)
    assert caller.may("group/app", "push")
    assert not caller.may("group/base", "push")
    assert not caller.may("group", "pull")
    assert caller.token_id == "9d2c0bb0-c4ad-4d5b-a9a3-1f4e4a6d0f1f"


@pytest.mark.parametrize(
    ("actions", "role"),
    [
        (["pull"], Role.READER),
        (["pull", "push"], Role.WRITER),
        (["pull", "push", "delete"], Role.MAINTAINER),
        (["*"], Role.ADMIN),
        (["delete"], None),
        (["fly"], None),
        ([], None),
    ],
)
def test_the_role_is_made_of_the_actions(actions: list[str], role: Role | None) -> None:
    assert verify(entry("a", *actions)).access["a"].role == role


def test_a_machines_token_needs_no_sub_and_no_nbf() -> None:
    caller = verify(sub=None, nbf=None, iat=None, jti=None, access=None)
    assert (caller.label, caller.access, caller.catalog) == ("external", {}, False)


def test_the_catalog_takes_all_actions() -> None:
    assert verify({"type": "registry", "name": "catalog", "actions": ["*"]}).catalog
    assert not verify({"type": "registry", "name": "catalog", "actions": ["pull"]}).catalog
    assert not verify({"type": "registry", "name": "other", "actions": ["*"]}).catalog


def test_entries_of_one_repository_add_up() -> None:
    caller = verify(
        entry("a", "pull", meta={"tag_immutable_patterns": ["^v"]}),
        entry("a", "push", meta={"tag_immutable_patterns": ["^w"]}),
    )
    assert caller.access["a"].actions == {"pull", "push"}
    assert caller.limits
    assert caller.limits.of("a").immutable == ("^v", "^w")


@pytest.mark.parametrize("name", ["A", "a/../b", "*", "", 1, None, "a\n", ["a"]])
def test_what_is_no_name_is_passed_over(name: Any) -> None:
    assert verify(entry(name, "*"), entry("b", "pull")).access.keys() == {"b"}


def test_what_is_not_known_is_passed_over() -> None:
    access = entry("a", "pull", "fly", **{"class": "image", "more": {"deep": []}, "meta": {"project_id": 1}})
    caller = verify(access, {"type": "artifact", "name": "b", "actions": ["*"]}, more=[1])
    assert caller.access.keys() == {"a"}
    assert caller.access["a"].actions == {"pull"}


@pytest.mark.parametrize(
    "access",
    [["text"], [None], {"a": 1}, "a", 1, [entry("a") | {"actions": "pull"}], [entry("a") | {"actions": [1]}]],
)
def test_access_that_cant_be_read_is_refused(access: Any) -> None:
    assert "is not a list" in refusal(signed(claims(access=access)))


@pytest.mark.parametrize(
    "meta",
    [
        "text",
        ["text"],
        {"tag_deny_access_patterns": ["^v"]},
        {"tag_deny_access_patterns": {"push": "^v"}},
        {"tag_deny_access_patterns": {"delete": [1]}},
        {"tag_immutable_patterns": "^v"},
        {"tag_immutable_patterns": {"push": []}},
    ],
)
def test_patterns_that_cant_be_read_never_pass_for_none(meta: Any) -> None:
    assert "meta is not understood" in refusal(signed(claims(entry("a", "push", meta=meta))))


@pytest.mark.parametrize("subject", ["a\nb", "\x1b[31m", "\0", "\ud800", 1, ["root"]])
def test_a_sub_that_cant_be_shown_is_refused(subject: Any) -> None:
    assert "sub" in refusal(signed(claims(sub=subject)))


# ---- keys


def test_a_key_is_found_by_either_of_its_names() -> None:
    for name in (FINGERPRINT, key_id(KEY)):
        assert external().verify(signed(claims(), kid=name)).name == "root"


def test_the_fingerprint_is_libtrusts() -> None:
    """The key and its name from distribution's "Token Authentication Implementation"."""
    key = VerificationKey.from_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q",
            "y": "dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc",
        }
    )
    assert key.fingerprint == "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6"


def test_the_thumbprint_is_rfc_7638s() -> None:
    """The example of its section 3.1."""
    key = VerificationKey.from_jwk(
        {
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
            "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
            "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
            "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
        }
    )
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    "key",
    [ec_key(), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate(), rsa_key()],
    ids=["ES256", "ES384", "EdDSA", "RS256"],
)
def test_each_kind_of_key_verifies_its_own_algorithm(key: PrivateKey) -> None:
    tokens = external(public_pem(KEY, key) if key is not KEY else public_pem(KEY))
    assert tokens.verify(signed(claims(), key, kid=key_id(key))).name == "root"


def test_a_bundle_holds_certificates_and_keys() -> None:
    other = ec_key()
    tokens = external(f"# a comment\n{certificate_of(KEY)}\n{public_pem(other)}")
    assert tokens.verify(signed(claims())).name == "root"
    assert tokens.verify(signed(claims(), other, kid=key_id(other))).name == "root"


@pytest.mark.parametrize(
    "bundle",
    [
        "",
        "text",
        private_pem(ec_key()),
        public_pem(rsa_key(bits=1024)),
        public_pem(KEY).replace("MII", "@@@", 1),
        certificate_of(KEY).replace("MII", "@@@", 1),
    ],
    ids=["nothing", "a text", "a private key", "a short key", "a spoiled key", "a spoiled certificate"],
)
def test_a_bundle_without_keys_or_with_a_bad_one_is_refused(bundle: str) -> None:
    with pytest.raises(SettingInvalid, match="SLIPWAY_EXTERNAL_KEYS"):
        external(bundle)


def test_keys_are_fetched_from_a_key_set() -> None:
    with serve() as issuer:
        tokens = ExternalTokens(ISSUER, SERVICE, "", f"{issuer.address}{KEY_SET}")
        assert tokens.verify(signed(claims(), kid=key_id(KEY))).name == "root"
        assert tokens.verify(signed(claims(), kid=key_id(KEY))).name == "root"
        assert issuer.fetches == {KEY_SET: 1}
        assert "doesn't have" in refusal(signed(claims(), ec_key(), kid="unknown"), tokens)


def test_without_an_answer_nothing_is_let_in() -> None:
    with serve() as issuer:
        issuer.mood = "down"
        tokens = ExternalTokens(ISSUER, SERVICE, "", f"{issuer.address}{KEY_SET}")
        with pytest.raises(IssuerUnavailable):
            tokens.verify(signed(claims(), kid=key_id(KEY)))


# ---- attacks


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u", "crit"])
def test_a_key_or_a_demand_in_the_header_is_refused(name: str) -> None:
    attacker = ec_key()
    value = VerificationKey.of(attacker.public_key()).jwk() if name == "jwk" else [public_pem(attacker)]
    assert name in refusal(signed(claims(entry("a", "*")), attacker, **{name: value}))


def test_alg_none_is_refused() -> None:
    assert "no signed token" in refusal(forged({"alg": "none", "kid": FINGERPRINT}, claims()))
    assert "signature" in refusal(forged({"alg": "none", "kid": FINGERPRINT}, claims(), lambda _: b"x"))


def test_hs256_with_the_public_key_is_refused() -> None:
    for secret in (public_pem(KEY), public_pem(KEY).strip(), certificate_of(KEY)):
        assert "signature" in refusal(forged({"alg": "HS256", "kid": FINGERPRINT}, claims(), hmac_signer(secret)))


@pytest.mark.parametrize("algorithm", ["PS256", "RS512", "ES256", "EdDSA", None])
def test_the_header_chooses_no_algorithm(algorithm: object) -> None:
    assert "signature" in refusal(signed(claims(), alg=algorithm))


def test_a_foreign_key_with_a_trusted_kid_is_refused() -> None:
    assert "signature" in refusal(signed(claims(), rsa_key(1)))


def test_an_unknown_kid_is_refused() -> None:
    assert "not known" in refusal(signed(claims(), kid="unknown"))


@pytest.mark.parametrize(
    ("audience", "is_good"),
    [
        (SERVICE, True),
        ([SERVICE], True),
        (["other", SERVICE], True),
        (["other"] * 9 + [SERVICE], True),
        (["other"] * 10 + [SERVICE], False),
        ("other", False),
        (["other"], False),
        ([], False),
        (None, False),
        ({SERVICE: 1}, False),
        (f"{SERVICE} ", False),
    ],
)
def test_the_audience_has_to_hold_the_service(audience: Any, *, is_good: bool) -> None:
    token = signed(claims(aud=audience))
    if is_good:
        assert external().verify(token).name == "root"
    else:
        assert "aud" in refusal(token)


@pytest.mark.parametrize("issuer", ["other", ISSUER[:-1], ISSUER + "x", "", None, [ISSUER]])
def test_another_issuer_is_refused(issuer: Any) -> None:
    assert "iss" in refusal(signed(claims(iss=issuer)))


def test_times_have_a_leeway_of_a_minute() -> None:
    now = int(time.time())
    assert external().verify(signed(claims(exp=now - 50))).name == "root"
    assert "expired" in refusal(signed(claims(exp=now - 61)))
    assert external().verify(signed(claims(nbf=now + 50))).name == "root"
    assert "not valid yet" in refusal(signed(claims(nbf=now + 65)))
    assert "exp" in refusal(signed(claims(exp=None)))


@pytest.mark.parametrize("expires", [10**11, 10**400, 1e300, "never", True])
def test_an_absurd_exp_is_refused(expires: object) -> None:
    assert "exp" in refusal(signed(claims(exp=expires)))


def test_a_large_or_padded_token_is_refused() -> None:
    assert "8192" in refusal(signed(claims(padding="x" * 8192)))
    assert "no signed token" in refusal(signed(claims()) + "=")


def test_a_name_that_stands_twice_is_refused() -> None:
    assert "twice" in refusal(signed('{"aud": "other", "aud": "container_registry"}'))


def test_a_token_that_was_seen_before_expires_too() -> None:
    now = [time.time()]
    tokens = ExternalTokens(ISSUER, SERVICE, public_pem(KEY), "", lambda: now[0])
    token = signed(claims())
    assert tokens.verify(token) is tokens.verify(token)
    now[0] += 361
    assert "expired" in refusal(token, tokens)


# ---- tag patterns


def limits(**meta: Any) -> RepositoryLimits:
    caller = verify(entry("a", "*", meta=meta))
    assert caller.limits
    return caller.limits.of("a")


def test_patterns_match_anywhere_in_a_tag() -> None:
    found = limits(
        tag_deny_access_patterns={"push": ["^v", "prod"], "delete": ["^v[0-9]"]}, tag_immutable_patterns=["-final$"]
    )
    assert found.denies_push("v1")
    assert found.denies_push("a-prod-b")
    assert not found.denies_push("latest")
    assert found.denies_delete("v1")
    assert not found.denies_delete("prod")
    assert found.is_immutable("1-final")
    assert not found.is_immutable("1-final-2")


def test_without_patterns_nothing_is_denied() -> None:
    nothing: list[dict[str, Any] | None] = [None, {}, {"push": []}]
    for denied in nothing:
        found = limits(tag_deny_access_patterns=denied)
        assert not found.denies_push("v1")
        assert not found.denies_delete("v1")
        assert not found.is_immutable("v1")
        assert not found.keeps_manifests
    caller = verify(entry("b", "*"))
    assert caller.limits
    assert caller.limits.of("elsewhere") == RepositoryLimits()


@pytest.mark.parametrize(
    ("meta", "keeps"),
    [
        ({"tag_deny_access_patterns": {"delete": ["x"]}}, True),
        ({"tag_immutable_patterns": ["x"]}, True),
        ({"tag_deny_access_patterns": {"push": ["x"]}}, False),
    ],
)
def test_a_pattern_against_deletion_keeps_every_manifest(meta: dict[str, Any], *, keeps: bool) -> None:
    assert limits(**meta).keeps_manifests is keeps


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "[z-a]", "a{1001}", "a" * 101])
def test_what_is_no_pattern_allows_nothing(pattern: str) -> None:
    with pytest.raises(PatternRefused) as refused:
        limits(tag_deny_access_patterns={"push": ["^latest", pattern]}).denies_push("latest")
    assert refused.value.code == "TAG_PROTECTION_PATTERN_INVALID"
    with pytest.raises(PatternRefused) as refused:
        limits(tag_immutable_patterns=[pattern]).is_immutable("a")
    assert refused.value.code == "TAG_IMMUTABILITY_PATTERN_INVALID"


def test_there_are_at_most_five_patterns() -> None:
    five = ["a", "b", "c", "d", "e"]
    assert limits(tag_deny_access_patterns={"push": five, "delete": five}).denies_push("a")
    assert limits(tag_deny_access_patterns={"push": five}, tag_immutable_patterns=["a"]).denies_push("a")
    denied = limits(tag_deny_access_patterns={"delete": five}, tag_immutable_patterns=["f"])
    immutable = limits(tag_immutable_patterns=[*five, "f"])
    for ask in (denied.denies_delete, immutable.is_immutable, immutable.denies_push):
        with pytest.raises(PatternRefused) as refused:
            ask("z")
        assert refused.value.code == "TAG_PATTERN_COUNT_LIMIT_EXCEEDED"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a*)*b", "(.*a){20}$", "a?" * 20 + "a" * 20])
def test_a_hostile_pattern_costs_no_more_than_a_good_one(pattern: str) -> None:
    found = limits(tag_deny_access_patterns={"push": [pattern]})
    started = time.thread_time()
    found.denies_push("a" * 127 + "!")
    assert time.thread_time() - started < 0.1


def test_a_token_without_patterns_does_not_import_re2() -> None:
    script = (
        "import sys; from functions.registry.auth.tag_limits import read_limits;"
        "read_limits({'tag_immutable_patterns': []}).is_immutable('v1'); print('re2' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert finished.stdout.strip() == "False"
