"""Google's access tokens: from listed clients only, asked about once, and nobody gets in while Google is down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.federation import GOOGLE
from functions.registry.auth.google import GoogleAccessTokens
from tests.issuer import TOKENINFO, Issuer, serve

CLIENT: Final = "764086051850.apps.googleusercontent.com"
TOKEN: Final = "ya29.a-token"


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serve() as running:
        running.access_tokens[TOKEN] = info()
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def google(issuer: Issuer, clock: Clock) -> GoogleAccessTokens:
    return GoogleAccessTokens([CLIENT], f"{issuer.address}{TOKENINFO}", clock)


def info(**more: str | None) -> dict[str, str]:
    """Answers as tokeninfo does: numbers and booleans are texts. None takes a field away."""
    fields = {
        "aud": CLIENT,
        "azp": CLIENT,
        "sub": "103847561029384756102",
        "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "exp": str(int(time.time()) + 3000),
        "expires_in": "3000",
        "email": "someone@example.com",
        "email_verified": "true",
        **more,
    }
    return {name: value for name, value in fields.items() if value is not None}


def refusal(google: GoogleAccessTokens, token: str = TOKEN) -> str:
    with pytest.raises(TokenRefused) as refused:
        google.identify(token)
    assert token not in str(refused.value)
    return str(refused.value)


def test_an_access_token_says_who_it_is(google: GoogleAccessTokens) -> None:
    found = google.identify(TOKEN)
    assert found.issuer == GOOGLE
    assert found.claims["sub"] == "103847561029384756102"
    assert found.claims["email"] == "someone@example.com"
    assert found.claims["access_token"] == "true"
    assert "scope" not in found.claims


def test_the_token_is_in_no_address(google: GoogleAccessTokens, issuer: Issuer) -> None:
    google.identify(TOKEN)
    assert issuer.requests == [f"POST {TOKENINFO}"]


@pytest.mark.parametrize(
    "more",
    [
        {"aud": "other"},
        {"azp": "other"},
        {"aud": "other", "azp": "other"},
        {"aud": None},
        {"azp": None},
        {"aud": f"{CLIENT} other"},
    ],
)
def test_a_token_of_another_client_is_refused(
    google: GoogleAccessTokens, issuer: Issuer, more: dict[str, str | None]
) -> None:
    issuer.access_tokens[TOKEN] = info(**more)
    assert "not among the clients" in refusal(google)


@pytest.mark.parametrize("expires", ["0", "1", "", "never", "-1", "9" * 5000, "٣", None])
def test_a_token_that_expired_or_may_have_is_refused(
    google: GoogleAccessTokens, issuer: Issuer, expires: str | None
) -> None:
    issuer.access_tokens[TOKEN] = info(exp=expires)
    assert "expired" in refusal(google)


def test_a_token_that_names_nobody_is_refused(google: GoogleAccessTokens, issuer: Issuer) -> None:
    issuer.access_tokens[TOKEN] = info(sub=None)
    assert "openid" in refusal(google)


@pytest.mark.parametrize("verified", ["false", None, "True"])
def test_an_address_that_is_not_verified_is_left_out(
    google: GoogleAccessTokens, issuer: Issuer, verified: str | None
) -> None:
    issuer.access_tokens[TOKEN] = info(email_verified=verified)
    assert "email" not in google.identify(TOKEN).claims


def test_google_is_asked_once_in_five_minutes(google: GoogleAccessTokens, issuer: Issuer, clock: Clock) -> None:
    for _ in range(5):
        google.identify(TOKEN)
    clock.now += 299
    google.identify(TOKEN)
    assert issuer.fetches[TOKENINFO] == 1
    del issuer.access_tokens[TOKEN]
    clock.now += 2
    assert "not good" in refusal(google)


def test_what_is_known_dies_with_the_token(google: GoogleAccessTokens, issuer: Issuer, clock: Clock) -> None:
    issuer.access_tokens[TOKEN] = info(exp=str(int(clock.now) + 10))
    google.identify(TOKEN)
    clock.now += 11
    assert "expired" in refusal(google)


def test_a_refusal_is_kept_for_half_a_minute(google: GoogleAccessTokens, issuer: Issuer, clock: Clock) -> None:
    for _ in range(5):
        assert "not good" in refusal(google, "unknown")
    assert issuer.fetches[TOKENINFO] == 1
    issuer.access_tokens["unknown"] = info()
    clock.now += 31
    assert google.identify("unknown")


def test_many_at_once_ask_once(google: GoogleAccessTokens, issuer: Issuer) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: google.identify(TOKEN), range(32)))
    assert len(found) == 32
    assert issuer.fetches[TOKENINFO] == 1


@pytest.mark.parametrize("mood", ["down", "failing", "redirecting", "oversized"])
def test_nobody_gets_in_while_google_is_down(google: GoogleAccessTokens, issuer: Issuer, mood: Any) -> None:
    issuer.mood = mood
    with pytest.raises(IssuerUnavailable):
        google.identify(TOKEN)
    # And that is not remembered.
    issuer.mood = "good"
    assert google.identify(TOKEN)


def test_a_slow_answer_is_not_waited_for(google: GoogleAccessTokens, issuer: Issuer) -> None:
    issuer.mood = "slow"
    started = time.monotonic()
    with pytest.raises(IssuerUnavailable):
        google.identify(TOKEN)
    assert time.monotonic() - started < 4


def test_an_odd_answer_lets_nobody_in(google: GoogleAccessTokens, issuer: Issuer) -> None:
    issuer.mood = "odd"
    assert "not among the clients" in refusal(google)


@pytest.mark.parametrize("token", ["", "a" * 5000, "a\nb", "a b\0", "é"])
def test_what_can_be_no_token_is_not_asked_about(google: GoogleAccessTokens, issuer: Issuer, token: str) -> None:
    with pytest.raises(TokenRefused):
        google.identify(token)
    assert not issuer.fetches


def test_without_listed_clients_none_is_taken(issuer: Issuer) -> None:
    with pytest.raises(TokenRefused, match="takes no Google access tokens"):
        GoogleAccessTokens([], f"{issuer.address}{TOKENINFO}").identify(TOKEN)
    assert not issuer.fetches


def test_an_address_on_another_host_has_to_be_https() -> None:
    with pytest.raises(IssuerUnavailable):
        GoogleAccessTokens([CLIENT], "http://example.com/tokeninfo").identify(TOKEN)
