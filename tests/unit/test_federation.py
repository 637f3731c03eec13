"""Identities of CI jobs: whose they are, and what they may act as (attacks 1, 2, 3, 20, 22, 27)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.federation import (
    BUILDKITE,
    GITHUB,
    GITLAB,
    GOOGLE,
    Federation,
    Identity,
    matching,
    validate_trust,
)
from functions.registry.auth.jwks import KeySets
from functions.registry.metadata.patterns import is_glob_match
from tests.issuer import Issuer, PrivateKey, ec_key, forged, hmac_signer, key_id, public_pem, rsa_key, serve

SERVICE: Final = "registry.example"


@dataclass(frozen=True)
class Robot:
    """Stands for the database's row."""

    issuer: str
    claims: Mapping[str, str]
    name: str = "ci"


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


# ---- which robot it may act as

JOB: Final = {
    "repository_owner_id": "1",
    "repository_id": "2",
    "ref": "refs/heads/main",
    "event_name": "push",
    "sub": "repo:octo@1/app@2:ref:refs/heads/main",
}
PIPELINE: Final = {
    "namespace_id": "1",
    "project_id": "2",
    "job_project_id": "2",
    "ref": "main",
    "ref_protected": "true",
    "pipeline_source": "push",
}


def identity(claims: Mapping[str, str] = JOB, issuer: str = GITHUB, **more: str) -> Identity:
    return Identity(issuer, {**claims, **more})


def mismatch(trusts: list[Robot], found: Identity) -> str:
    with pytest.raises(TokenRefused) as refused:
        matching(trusts, found)
    return str(refused.value)


def test_the_trust_whose_claims_all_match_is_found() -> None:
    main = Robot(GITHUB, {"repository_id": "2", "ref": "refs/heads/main"})
    trusts = [Robot(GITHUB, {"repository_id": "3"}), Robot(GITLAB, {"project_id": "2"}), main]
    assert matching(trusts, identity()) is main


def test_of_several_the_one_with_the_most_claims_is_found_then_the_first() -> None:
    wide = Robot(GITHUB, {"repository_owner_id": "1"}, "wide")
    first = Robot(GITHUB, {"repository_owner_id": "1", "ref": "refs/heads/*"}, "first")
    second = Robot(GITHUB, {"repository_id": "2", "ref": "refs/heads/main"}, "second")
    assert matching([wide, first, second], identity()) is first


@pytest.mark.parametrize(
    "claims",
    [
        {"repository_id": "22"},
        {"repository_id": ""},
        {"repository_id": "*"},
        {"repository_id": "2", "ref": "refs/heads/mai"},
        {"repository_id": "2", "ref": "heads/main"},
        {"repository_id": "2", "ref": "*/main/*"},
        {"repository_id": "2", "environment": "*"},
        {"repository_id": "2", "sub": "repo:*"},
        {"repository_id": "2", "unknown": "x"},
        {},
    ],
)
def test_a_trust_with_any_other_claim_does_not_match(claims: dict[str, str]) -> None:
    assert mismatch([Robot(GITHUB, claims)], identity())


def test_the_same_claims_of_another_issuer_do_not_match() -> None:
    assert mismatch([Robot(GITHUB, {"repository_id": "2"})], identity(issuer="https://forged.example"))


@pytest.mark.parametrize("pattern", ["refs/heads/main", "refs/heads/*", "refs/*", "*", "refs/*/main", "*main"])
def test_a_ref_may_be_a_pattern(pattern: str) -> None:
    assert matching([Robot(GITHUB, {"repository_id": "2", "ref": pattern})], identity())


def test_a_tenant_is_told_which_claim_failed() -> None:
    trusts = [
        Robot(GITHUB, {"repository_id": "2", "ref": "refs/tags/v*", "environment": "production"}),
        Robot(GITHUB, {"repository_id": "2", "ref": "refs/heads/release"}),
    ]
    assert mismatch(trusts, identity()) == 'ref is "refs/heads/main", expected refs/heads/release'
    assert mismatch(trusts[:1], identity()) == (
        'ref is "refs/heads/main", expected refs/tags/v*; environment is null, expected production'
    )


def test_a_stranger_is_told_nothing_of_what_others_expect() -> None:
    trusts = [Robot(GITHUB, {"repository_owner_id": "99", "repository_id": "98", "ref": "refs/heads/secret"})]
    assert mismatch(trusts, identity()) == (
        f'no robot of this registry trusts repository_id "2", repository_owner_id "1", sub "{JOB["sub"]}" of {GITHUB}'
    )


def test_pull_request_target_is_always_refused() -> None:
    trust = Robot(GITHUB, {"repository_id": "2", "event_name": "pull_request_target"})
    assert "pull_request_target" in mismatch([trust], identity(event_name="pull_request_target"))


@pytest.mark.parametrize(
    ("event", "is_read_only"),
    [("push", False), ("release", False), ("pull_request", True), ("pull_request_review", True)],
)
def test_a_pull_request_may_only_look(event: str, *, is_read_only: bool) -> None:
    found = identity(event_name=event)
    assert matching([Robot(GITHUB, {"repository_id": "2"})], found)
    assert found.is_read_only is is_read_only


@pytest.mark.parametrize(
    ("source", "is_read_only"),
    [("push", False), ("web", False), ("merge_request_event", True), ("external_pull_request_event", True)],
)
def test_a_merge_request_may_only_look(source: str, *, is_read_only: bool) -> None:
    found = identity(PIPELINE, GITLAB, pipeline_source=source)
    assert matching([Robot(GITLAB, {"project_id": "2"})], found)
    assert found.is_read_only is is_read_only


def test_a_job_that_runs_a_forks_code_is_refused() -> None:
    """The project is the fork's while the job runs in the parent."""
    trusts = [Robot(GITLAB, {"project_id": "3"}), Robot(GITLAB, {"namespace_id": "1", "job_project_id": "2"})]
    assert "another project" in mismatch(trusts, identity(PIPELINE, GITLAB, project_id="3"))
    without = {name: value for name, value in PIPELINE.items() if name != "job_project_id"}
    assert matching([Robot(GITLAB, {"project_id": "2"})], identity(without, GITLAB))
    only = {"job_project_id": "2"}
    assert "another project" in mismatch(trusts, identity(only, GITLAB))


def test_an_access_token_opens_only_what_says_so() -> None:
    closed, opened = Robot(GOOGLE, {"sub": "1"}), Robot(GOOGLE, {"sub": "1", "access_token": "true"})
    found = Identity(GOOGLE, {"sub": "1", "access_token": "true"})
    assert mismatch([closed], found) == 'access_token is "true", expected false'
    assert matching([closed, opened], found) is opened
    assert matching([closed, opened], Identity(GOOGLE, {"sub": "1"})) is closed


# ---- patterns


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "acb", False),
        ("**", "a", True),
        ("v?", "v1", False),
        ("v[0-9]", "v1", False),
        ("v.", "v1", False),
        ("a*", "a\nb", True),
        ("a", "a\n", False),
        ("*ab*ab", "ab", False),
        ("*ab*ab", "abab", True),
    ],
)
def test_a_star_is_any_run_and_nothing_else_is_special(pattern: str, text: str, *, is_match: bool) -> None:
    assert is_glob_match(pattern, text) is is_match


@given(st.lists(st.text(alphabet="ab/", max_size=4), min_size=1, max_size=5), st.data())
def test_a_text_made_from_a_pattern_matches_it(parts: list[str], data: st.DataObject) -> None:
    text = parts[0] + "".join(data.draw(st.text(alphabet="ab/", max_size=4)) + part for part in parts[1:])
    assert is_glob_match("*".join(parts), text)


def test_a_hostile_pattern_costs_no_more_than_a_good_one() -> None:
    started = time.thread_time()
    assert not is_glob_match("*a" * 127 + "b", "a" * 8000)
    assert not is_glob_match("*aaaaab" * 36, "a" * 8000)
    assert time.thread_time() - started < 0.05


# ---- what a trust may be


@pytest.mark.parametrize(
    ("issuer", "claims"),
    [
        (GITHUB, {"repository_owner_id": "1"}),
        (GITHUB, {"repository_id": "2", "ref": "refs/tags/v*", "environment": "prod*", "anything": "else"}),
        ("https://github.corp.example/_services/token", {"repository_id": "2"}),
        (GITLAB, {"project_id": "2", "ref_protected": "true"}),
        (GITLAB, {"namespace_id": "2", "ref_path": "refs/heads/*"}),
        ("https://gitlab.corp.example", {"project_path": "a/b"}),
        (GOOGLE, {"sub": "103847561029384756102", "access_token": "true"}),
        (BUILDKITE, {"organization_id": "0184990a-477b-4fa8-9968-496074483cee"}),
        ("https://oidc.circleci.com/org/1", {"oidc.circleci.com/project-id": "2"}),
    ],
)
def test_a_trust_that_names_a_tenant_is_good(issuer: str, claims: dict[str, str]) -> None:
    validate_trust(issuer, claims)


@pytest.mark.parametrize(
    ("issuer", "claims", "reason"),
    [
        (GITHUB, {}, "1 to 20 claims"),
        (GITHUB, {f"claim{number}": "x" for number in range(21)}, "1 to 20 claims"),
        (GITHUB, {"repository": "octo/app"}, "repository_owner_id or repository_id"),
        (GITHUB, {"sub": "repo:octo/app:ref:refs/heads/main"}, "repository_owner_id or repository_id"),
        (GITHUB, {"project_id": "1"}, "repository_owner_id or repository_id"),
        ("https://github.corp.example/_services/token", {"repository": "a/b"}, "repository_owner_id"),
        (GITHUB, {"repository_id": "octo/app"}, "takes a number for repository_id"),
        (GITHUB, {"repository_id": "2", "repository_owner_id": "octo"}, "takes a number for repository_owner_id"),
        (GITHUB, {"repository_id": "*"}, "takes * only in environment, ref, ref_path"),
        (GITHUB, {"repository_id": "2", "job_workflow_ref": "octo/*"}, "takes * only in"),
        (GITLAB, {"job_project_id": "2"}, "namespace_id or project_id"),
        (GITLAB, {"project_id": "٣"}, "takes a number"),
        (GOOGLE, {"email": "robot@example.com"}, "takes sub"),
        (GOOGLE, {"sub": "robot@example.com"}, "takes a number for sub"),
        (BUILDKITE, {"organization_slug": "corp"}, "organization_id or pipeline_id"),
        ("https://gitlab.corp.example", {"ref": "main"}, "whose token it is"),
        ("https://gitlab.corp.example", {"ref": "*", "access_token": "true"}, "whose token it is"),
        (GITHUB, {"repository_id": ""}, "texts of 1 to 255"),
        (GITHUB, {"repository_id": "2", "ref": "x" * 256}, "texts of 1 to 255"),
        (GITHUB, {"repository_id": 2}, "texts of 1 to 255"),
        (GITHUB, {"repository_id": "2", "": "x"}, "texts of 1 to 255"),
    ],
)
def test_a_trust_that_opens_too_much_is_refused(issuer: str, claims: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match="takes") as refused:
        validate_trust(issuer, claims)
    assert reason in str(refused.value)
