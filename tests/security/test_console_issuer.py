"""Signing in to the console by another issuer: whoever swaps, replays, forges or redirects comes in nowhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from werkzeug.test import Client, TestResponse

from functions.registry.auth import openid
from functions.registry.metadata.access import audit, identities, principals
from functions.registry.metadata.access.identities import UserIdentity
from tests.api.console.browser import Browser
from tests.issuer import ec_key, forged, hmac_signer, serving
from tests.people_issuer import CLIENT, CLIENT_SECRET, PeopleIssuer
from tests.security.people import Guarded

WAY: Final = "/console/oidc"
SESSION: Final = "__Host-slipway"
ATTEMPT: Final = "__Host-slipway-sign-in"
SUBJECT: Final = "248289761001"


@pytest.fixture
def issuer() -> Iterator[PeopleIssuer]:
    with serving(PeopleIssuer()) as served:
        yield served


@pytest.fixture
def environment(environment: dict[str, str], issuer: PeopleIssuer) -> dict[str, str]:
    """A deployment whose people sign in by that issuer."""
    return {
        **environment,
        "SLIPWAY_CONSOLE_ISSUER": issuer.address,
        "SLIPWAY_CONSOLE_CLIENT_ID": CLIENT,
        "SLIPWAY_CONSOLE_CLIENT_SECRET": CLIENT_SECRET,
    }


@pytest.fixture
def ana(guarded: Guarded, issuer: PeopleIssuer) -> int:
    """A user whom the issuer knows; its id."""
    made = principals.create_user(guarded.services.database, "ana")
    identities.put(guarded.services.database, made.id, UserIdentity(issuer.address, SUBJECT))
    return made.id


def browser_of(guarded: Guarded) -> Browser:
    return Browser(Client(guarded.client.application), guarded.services)


@pytest.fixture
def visitor(guarded: Guarded) -> Browser:
    return browser_of(guarded)


def begun(visitor: Browser, going_to: str = "") -> str:
    """The address that the issuer sends the browser back to."""
    there = visitor.get(WAY + (f"?{urlencode({'next': going_to})}" if going_to else "")).headers["Location"]
    away = requests.get(there, allow_redirects=False, timeout=10).headers["Location"]
    parts = urlsplit(away)
    assert f"{parts.scheme}://{parts.netloc}" == "https://registry.example"
    return f"{parts.path}?{parts.query}"


def signed_in(visitor: Browser) -> TestResponse:
    return visitor.get(begun(visitor))


def is_in(visitor: Browser) -> bool:
    return visitor.client.get_cookie(SESSION) is not None and visitor.get("/console/").status_code == 200


def test_a_person_comes_in_by_the_issuer_and_goes_on(visitor: Browser, guarded: Guarded, ana: int) -> None:
    assert ana
    assert 'href="/console/oidc?next=/console/" ' not in visitor.page("/console/sign-in")
    assert "/console/oidc?next=/console/" in visitor.page("/console/sign-in")
    answer = visitor.get(begun(visitor, "/console/repositories?sort=name"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/repositories?sort=name")
    assert is_in(visitor)
    assert "ana" in visitor.page("/console/")
    assert visitor.client.get_cookie(ATTEMPT) is None, "the attempt is over"
    told = audit.list_page(guarded.services.database, 1)[0].event
    assert (told.action, told.principal, told.details["via"]) == ("console.sign-in", "user:ana", "issuer")


def test_what_is_asked_of_the_issuer_is_bound_to_this_browser(visitor: Browser, issuer: PeopleIssuer) -> None:
    first, second = (visitor.get(WAY) for _ in range(2))
    asked = [parse_qs(urlsplit(answer.headers["Location"]).query) for answer in (first, second)]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    assert asked[0]["code_challenge_method"] == ["S256"]
    assert asked[0]["redirect_uri"] == ["https://registry.example/console/oidc/back"]
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"):
        assert part in first.headers["Set-Cookie"]
    cookie = visitor.client.get_cookie(ATTEMPT)
    assert cookie is not None
    assert not any(cookie.value.split(".")[0] in str(each) for each in asked)
    assert issuer.requests[0].endswith("openid-configuration")


def test_the_host_of_a_request_sends_nobody_elsewhere(visitor: Browser) -> None:
    answer = visitor.get(WAY, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert asked["redirect_uri"] == ["https://registry.example/console/oidc/back"]


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/v2/", "/console/..//x", "javascript:x"]
)
def test_it_goes_on_in_the_console_alone(visitor: Browser, ana: int, address: str) -> None:
    assert ana
    assert visitor.get(begun(visitor, address)).headers["Location"] == "/console/"


def test_another_browsers_answer_is_refused(visitor: Browser, guarded: Guarded, ana: int) -> None:
    """An attacker's own answer, handed to somebody else, signs that one in as nobody; nor does a swapped state."""
    assert ana
    attacker = browser_of(guarded)
    planted = begun(attacker)
    assert visitor.get(planted).status_code == 400
    mine = begun(visitor)
    swapped = {**_query(mine), "code": _query(planted)["code"]}
    assert visitor.get(f"{WAY}/back?{urlencode(swapped)}").status_code == 401, "a code of another verifier"
    mine = begun(visitor)
    for state in ("", "x" * 43, _query(planted)["state"], "é"):
        assert visitor.get(f"{WAY}/back?{urlencode({**_query(mine), 'state': state})}").status_code == 400
    assert not is_in(visitor)
    assert visitor.get(mine).status_code == 303, "what was refused for its state has used nothing up"


def test_an_answer_is_good_once(visitor: Browser, ana: int) -> None:
    assert ana
    back = begun(visitor)
    cookie = visitor.client.get_cookie(ATTEMPT)
    assert cookie is not None
    assert visitor.get(back).status_code == 303
    assert visitor.get(back).status_code == 400, "the cookie is gone"
    visitor.client.set_cookie(ATTEMPT, cookie.value)
    assert visitor.get(back).status_code == 401, "the code is used"


def test_a_nonce_is_good_once_whatever_the_issuer_lets_pass(visitor: Browser, issuer: PeopleIssuer, ana: int) -> None:
    assert ana
    back = begun(visitor)
    cookie = visitor.client.get_cookie(ATTEMPT)
    assert cookie is not None
    kept = dict(issuer.codes)
    assert visitor.get(back).status_code == 303
    issuer.codes.update(kept)
    visitor.client.set_cookie(ATTEMPT, cookie.value)
    answer = visitor.get(back)
    assert answer.status_code == 401
    assert "used before" in answer.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nonce": "another browser's"}, "nonce"),
        ({"nonce": 7}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another client"}, "aud"),
        ({"aud": [CLIENT, "another client"]}, "aud"),
        ({"azp": "another client"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": 2**40}, "not valid yet"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "a\nb"}, "sub"),
    ],
)
def test_a_token_that_says_something_else_is_refused(
    visitor: Browser, issuer: PeopleIssuer, ana: int, wrong: dict[str, Any], said: str
) -> None:
    assert ana
    issuer.wrong = wrong
    answer = signed_in(visitor)
    assert answer.status_code == 401, answer.text
    assert said in answer.text
    assert not is_in(visitor)


FORGERIES: Final[dict[str, Callable[[PeopleIssuer, dict[str, Any]], str]]] = {
    "alg none": lambda issuer, claims: forged({"alg": "none", "kid": issuer.jwk()["kid"]}, claims, lambda _: b"x"),
    "alg none, no signature": lambda issuer, claims: forged({"alg": "none", "kid": issuer.jwk()["kid"]}, claims),
    "the client's secret as the key": lambda issuer, claims: forged(
        {"alg": "HS256", "kid": issuer.jwk()["kid"]}, claims, hmac_signer(CLIENT_SECRET)
    ),
    "another key under this one's name": lambda issuer, claims: issuer.sign(claims, ec_key()),
    "a key that it brings": lambda issuer, claims: issuer.sign(claims, jwk=issuer.jwk()),
    "no token": lambda _, __: "eyJ.eyJ",
    "large": lambda issuer, claims: issuer.sign({**claims, "groups": "x" * 9000}),
}


@pytest.mark.parametrize("forgery", list(FORGERIES))
def test_a_forged_token_is_refused(visitor: Browser, issuer: PeopleIssuer, ana: int, forgery: str) -> None:
    assert ana
    issuer.forge = lambda claims: FORGERIES[forgery](issuer, claims)
    assert signed_in(visitor).status_code == 401
    assert not is_in(visitor)


def test_somebody_whom_no_user_is_is_told_what_to_do_and_an_administrator_lets_them_in(
    visitor: Browser, guarded: Guarded, issuer: PeopleIssuer
) -> None:
    answer = signed_in(visitor)
    assert answer.status_code == 403
    assert f"slipway user identity NAME {SUBJECT}" in answer.text
    assert "ana@example.com" in answer.text
    boss = browser_of(guarded)
    boss.sign_in("boss", guarded.robot("boss", is_admin=True))
    principals.create_user(guarded.services.database, "ana")
    page = "/console/access/principals/ana"
    assert "ana@example.com" in boss.page(page)
    [form] = [form for form in boss.forms(page) if form.get("subject") == SUBJECT]
    sent = boss.send(page, token=form["token"], do=form["do"], subject=form["subject"])
    assert sent.status_code == 303
    assert signed_in(visitor).status_code == 303
    assert is_in(visitor)
    issuer.person = {"sub": "another", "email": "ana@example.com", "email_verified": True}
    assert signed_in(browser_of(guarded)).status_code == 403, "an address opens nothing"


def test_an_address_that_was_not_verified_is_shown_to_nobody(
    visitor: Browser, guarded: Guarded, issuer: PeopleIssuer
) -> None:
    issuer.person = {"sub": "x;'\"<b>", "email": "boss@example.com", "email_verified": False}
    answer = signed_in(visitor)
    assert "boss@example.com" not in answer.text
    assert "<b>" not in answer.text
    told = audit.list_page(guarded.services.database, 1)[0].event
    assert (told.action, told.details["email"]) == (identities.UNKNOWN, "")


def test_what_ends_an_identity_ends_its_sessions_at_once(visitor: Browser, guarded: Guarded, ana: int) -> None:
    database = guarded.services.database
    user = principals.get(database, "ana")
    assert user is not None
    assert signed_in(visitor).status_code == 303
    principals.disable(database, ana)
    assert visitor.get("/console/").status_code == 303
    assert signed_in(visitor).status_code == 403, "who is disabled comes in by no way"
    principals.enable(database, ana)
    assert signed_in(visitor).status_code == 303
    identities.remove(database, ana)
    assert visitor.get("/console/").status_code == 303


def test_a_robot_has_no_identity_and_an_identity_has_one_user(guarded: Guarded, issuer: PeopleIssuer, ana: int) -> None:
    assert ana
    boss = browser_of(guarded)
    boss.sign_in("boss", guarded.robot("boss", is_admin=True))
    guarded.robot("ci")
    for name, said in (("ci", "subject is for users"), ("boss", "another user has this identity")):
        page = f"/console/access/principals/{name}"
        token = next(form for form in boss.forms(page) if form["action"] == page)["token"]
        assert said in boss.send(page, token=token, do="set-identity", subject=SUBJECT).text
    assert identities.find(guarded.services.database, UserIdentity("https://other.example", SUBJECT)) is None
    assert identities.find(guarded.services.database, UserIdentity(issuer.address, SUBJECT)) is not None


def test_an_issuer_that_says_no_is_told_of(visitor: Browser, issuer: PeopleIssuer) -> None:
    issuer.refusing = "access_denied"
    answer = visitor.get(begun(visitor))
    assert answer.status_code == 403
    assert "access_denied" in answer.text
    back = begun(visitor)
    issuer.refusing = ""
    evil = {**_query(back), "error": "<script>alert(1)</script>"}
    assert "<script>alert" not in visitor.get(f"{WAY}/back?{urlencode(evil)}").text
    back = begun(visitor)
    assert visitor.get(f"{WAY}/back?{urlencode({**_query(back), 'iss': 'https://evil.example'})}").status_code == 400


@pytest.mark.parametrize("mood", ["down", "failing", "oversized", "redirecting", "odd"])
def test_an_issuer_that_does_not_answer_well_is_503(
    visitor: Browser, issuer: PeopleIssuer, ana: int, mood: Any
) -> None:
    assert ana
    back = begun(visitor)
    issuer.mood = mood
    answer = visitor.get(back)
    assert answer.status_code == 503
    assert "try again" in answer.text
    assert not is_in(visitor)


def test_an_issuer_whose_description_leads_elsewhere_is_not_followed(visitor: Browser, issuer: PeopleIssuer) -> None:
    issuer.discovery = {"authorization_endpoint": "http://evil.example/authorize"}
    assert visitor.get(WAY).status_code == 503
    issuer.discovery = {"issuer": "https://evil.example"}
    assert visitor.get(WAY).status_code == 503


def test_a_slow_issuer_takes_no_more_threads_than_a_few(
    guarded: Guarded, issuer: PeopleIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes that strangers make up are asked of it four at a time; the others are told to come again, at once."""
    visitors = [browser_of(guarded) for _ in range(8)]
    backs = [begun(visitor) for visitor in visitors]
    issuer.mood = "slow"
    monkeypatch.setattr(openid, "SECONDS", 1)
    started = time.monotonic()
    with ThreadPoolExecutor(len(visitors)) as pool:
        answers = list(pool.map(lambda pair: _timed(*pair), zip(visitors, backs, strict=True)))
    assert {status for status, _ in answers} == {503}
    assert sum(seconds < 0.9 for _, seconds in answers) >= 4
    assert time.monotonic() - started < 4


def test_without_an_issuer_there_is_no_such_way(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.registry import wiring  # noqa: PLC0415  # read again below
    from tests.forgotten import forget_services  # noqa: PLC0415  # as above

    for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"SLIPWAY_CONSOLE_{name}", "")
    forget_services()
    try:
        visitor = browser_of(guarded)
        assert visitor.get(WAY).status_code == 404
        assert visitor.get(f"{WAY}/back?code=a&state=b").status_code == 404
        assert WAY not in visitor.page("/console/sign-in")
    finally:
        wiring.services().database.close()


def _timed(visitor: Browser, back: str) -> tuple[int, float]:
    started = time.monotonic()
    status = visitor.get(back).status_code
    return status, time.monotonic() - started


def _query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
