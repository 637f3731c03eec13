"""Attacks on the console: strangers' text, foreign forms, cookies, addresses."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import pytest
from werkzeug.test import Client

from functions.api.console.forms import next_path
from functions.registry.metadata.access import credentials, principals
from functions.registry.oci.digest import Digest
from tests.api.console.browser import OWN_ORIGIN, Browser
from tests.security.people import Guarded, basic
from tests.support import Image, encode

COOKIE: Final = "__Host-slipway"
EVIL: Final = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\u202e\u0007"


@pytest.fixture
def visitor(guarded: Guarded) -> Browser:
    return Browser(Client(guarded.client.application), guarded.services)


@pytest.fixture
def boss(guarded: Guarded) -> str:
    """An administrator's secret."""
    return guarded.robot("boss", is_admin=True)


def push(guarded: Guarded, secret: str, image: Image, tag: str = "v1", name: str = "team/app") -> None:
    bearer = guarded.as_bearer(guarded.token("boss", secret, f"repository:{name}:pull,push"))
    for blob in image.blobs:
        location = guarded.request("POST", f"/v2/{name}/blobs/uploads/", headers=bearer).headers["Location"]
        guarded.request("PUT", f"{location}?digest={Digest.of(blob)}", data=blob, headers=bearer)
    answer = guarded.put_manifest(name, tag, image.manifest, headers=bearer)
    assert answer.status_code == 201, answer.text


def cookie_of(visitor: Browser) -> str:
    cookie = visitor.client.get_cookie(COOKIE)
    assert cookie is not None
    return cookie.value


# Strangers' text


def evil_image() -> Image:
    config = {
        "architecture": EVIL,
        "os": EVIL,
        "author": EVIL,
        "created": EVIL,
        "config": {
            "User": EVIL,
            "Entrypoint": [EVIL],
            "Cmd": [EVIL, 7, None],
            "Env": [f"{EVIL}={EVIL}", EVIL, 9, {"a": 1}],
            "Labels": {EVIL: EVIL, "number": 7},
            "ExposedPorts": {EVIL: {}},
            "Volumes": {EVIL: {}},
            "WorkingDir": EVIL,
            "StopSignal": EVIL,
        },
        "history": [{"created_by": EVIL}, {"created_by": EVIL, "comment": EVIL}, "no object"],
    }
    return Image(config=encode(config), more={"annotations": {EVIL: EVIL, "org.opencontainers.image.title": EVIL}})


def test_what_strangers_wrote_is_text_on_every_page(visitor: Browser, guarded: Guarded, boss: str) -> None:
    push(guarded, boss, evil_image())
    guarded.get("/token", headers={"Authorization": "Basic " + "eDp5", "User-Agent": EVIL.encode().decode("latin-1")})
    visitor.sign_in("boss", boss)
    for path in (
        "/console/",
        "/console/r/team/app",
        "/console/r/team/app/-/tags/v1",
        f"/console/search?q={quote(EVIL)}",
        "/console/sessions",
    ):
        answer = visitor.get(path, headers={"User-Agent": "x<script>alert(3)</script>"})
        assert answer.status_code == 200, path
        assert_tame(answer.text)


def assert_tame(page: str) -> None:
    scripts = re.findall(r"<script[^>]*>", page)
    assert len(scripts) == 1
    assert "src=" in scripts[0]
    assert "<img" not in page
    assert not re.search(r"<[^>]* on[a-z]+\s*=", re.sub(r'"[^"]*"', '""', page))
    assert not re.search(r"\sstyle\s*=", re.sub(r'"[^"]*"', '""', page))
    assert "javascript:" not in page
    assert "\u202e" not in page
    assert "\u0007" not in page
    assert "49" not in re.findall(r"&gt;(\S*?)⟨U", page)


@pytest.mark.parametrize(
    "document",
    [
        {"config": [], "history": {}, "os": {}},
        {"config": {"Env": "x", "Labels": [], "Entrypoint": {"a": 1}, "ExposedPorts": [1]}, "history": [[], 1]},
        {"history": [{"empty_layer": "yes", "created_by": 7}] * 900},
        {},
    ],
)
def test_a_config_may_be_anything(visitor: Browser, guarded: Guarded, boss: str, document: dict[str, Any]) -> None:
    push(guarded, boss, Image(config=encode(document)))
    visitor.sign_in("boss", boss)
    assert visitor.get("/console/r/team/app/-/tags/v1").status_code == 200


# Sessions


def test_nobody_sees_a_page_without_signing_in(visitor: Browser) -> None:
    for path in ("/console/", "/console/repositories", "/console/r/team/app", "/console/sessions", "/console/search"):
        answer = visitor.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["Location"].startswith("/console/sign-in")


def test_wrong_secrets_are_refused_alike_and_robots_stay_out(visitor: Browser, guarded: Guarded, boss: str) -> None:
    robot = guarded.robot("ci", ("team/**", "writer"))
    for name, secret in (("boss", "wrong"), ("nobody", "wrong"), ("boss", robot)):
        answer = visitor.sign_in(name, secret)
        assert answer.status_code == 401
        assert "Wrong name or secret" in answer.text
    assert visitor.sign_in("ci", robot).status_code == 403
    assert visitor.client.get_cookie(COOKIE) is None
    assert boss not in visitor.get("/console/sign-in").text


def test_who_guesses_a_password_is_slowed_down(visitor: Browser) -> None:
    statuses = [visitor.sign_in("boss", f"guess {number}").status_code for number in range(8)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_signing_in_gives_a_new_cookie_whatever_came(visitor: Browser, boss: str) -> None:
    """What somebody else has set beforehand is worth nothing afterwards."""
    planted = f"1.a.{'A' * 43}"
    visitor.client.set_cookie(COOKIE, planted)
    assert visitor.get("/console/").status_code == 303
    visitor.client.set_cookie(COOKIE, planted)
    answer = visitor.sign_in("boss", boss)
    assert cookie_of(visitor) != planted
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in answer.headers["Set-Cookie"]
    assert "Domain" not in answer.headers["Set-Cookie"]
    assert visitor.get("/console/").status_code == 200


def test_a_cookie_can_claim_neither_another_person_nor_more_rights(
    visitor: Browser, guarded: Guarded, boss: str
) -> None:
    push(guarded, boss, Image(), name="other/app")
    user = principals.create_user(guarded.services.database, "ann")
    visitor.sign_in("ann", guarded.secret_of(user.id))
    mine = cookie_of(visitor)
    secret = mine.split(".")[2]
    chief = principals.get(guarded.services.database, "boss")
    assert chief is not None
    visitor.client.set_cookie(COOKIE, f"{chief.id}.a.{secret}")
    assert visitor.get("/console/repositories").status_code == 303
    visitor.client.set_cookie(COOKIE, f"{user.id}.a.{secret}")
    assert "other/app" not in visitor.page("/console/repositories")
    assert visitor.get("/console/r/other/app").status_code == 404
    assert cookie_of(visitor) == mine, "the page has put it right"


def test_the_cookie_opens_the_console_alone(visitor: Browser, guarded: Guarded, boss: str) -> None:
    push(guarded, boss, Image())
    visitor.sign_in("boss", boss)
    for path in ("/v2/", "/v2/team/app/manifests/v1", "/v2/_catalog", "/api/v1/principals", "/api/v1/whoami"):
        assert visitor.client.get(path).status_code == 401, path
    answer = visitor.client.delete("/v2/team/app/manifests/v1", headers=OWN_ORIGIN)
    assert answer.status_code == 401


def test_what_ends_a_session_ends_it_at_once(visitor: Browser, guarded: Guarded, boss: str) -> None:
    database = guarded.services.database
    user = principals.create_user(database, "ann")

    def revoke() -> object:
        return credentials.revoke_secret(database, user.id, credentials.list_secrets(database, user.id)[-1].id)

    ends: list[Callable[[], object]] = [
        revoke,
        lambda: principals.disable(database, user.id),
        lambda: principals.delete(database, user.id),
    ]
    for end in ends:
        principals.enable(database, user.id)
        secret = guarded.secret_of(user.id)
        assert visitor.sign_in("ann", secret).status_code == 303
        assert visitor.get("/console/").status_code == 200
        end()
        assert visitor.get("/console/").status_code == 303
    assert boss


def test_signing_out_ends_it_in_the_database(visitor: Browser, boss: str) -> None:
    visitor.sign_in("boss", boss)
    kept = cookie_of(visitor)
    assert visitor.fill("/console/", "/console/sign-out").status_code == 303
    visitor.client.set_cookie(COOKIE, kept)
    assert visitor.get("/console/").status_code == 303


def test_a_link_of_the_command_line_signs_in_once(visitor: Browser, guarded: Guarded, boss: str) -> None:
    by_secret = {"Authorization": basic("boss", boss)}
    made = guarded.request("POST", "/api/v1/console/links", json={}, headers=by_secret)
    assert made.status_code == 201
    path = made.get_json()["path"]
    assert "Sign in here" in visitor.page(path)
    assert visitor.get("/console/").status_code == 303, "looking at it signs nobody in"
    code = path.partition("code=")[2]
    assert visitor.send("/console/link", code=code).status_code == 303
    assert visitor.get("/console/").status_code == 200
    stranger = Browser(Client(visitor.client.application), visitor.services)
    assert stranger.send("/console/link", code=code).status_code == 401
    assert stranger.send("/console/link", code="made up").status_code == 401
    for_one_repository = guarded.as_bearer(guarded.token("boss", boss, "repository:team/app:pull"))
    assert guarded.request("POST", "/api/v1/console/links", json={}, headers=for_one_repository).status_code == 403
    chief = principals.get(guarded.services.database, "boss")
    assert chief is not None
    [secret] = credentials.list_secrets(guarded.services.database, chief.id)
    credentials.revoke_secret(guarded.services.database, chief.id, secret.id)
    assert visitor.get("/console/").status_code == 303


# Foreign forms


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_forms_of_other_sites_are_refused(
    visitor: Browser, guarded: Guarded, boss: str, headers: dict[str, str]
) -> None:
    push(guarded, boss, Image())
    visitor.sign_in("boss", boss)
    address = "/console/r/team/app/-/tags/v1"
    token = next(form for form in visitor.forms(address) if form["action"] == address)["token"]
    for path in (address, "/console/sign-out", "/console/sign-in", "/console/theme", "/console/link"):
        answer = visitor.send(path, headers, token=token, typed="v1", name="boss", password=boss)
        assert answer.status_code == 403, path
    assert visitor.get(address).status_code == 200


def test_a_form_takes_the_token_of_its_own_page_and_session(visitor: Browser, guarded: Guarded, boss: str) -> None:
    push(guarded, boss, Image())
    push(guarded, boss, Image(), "v2")
    visitor.sign_in("boss", boss)
    address = "/console/r/team/app/-/tags/v1"
    others = next(form for form in visitor.forms(f"{address[:-1]}2") if form["action"].endswith("v2"))["token"]
    for token in ("", "0" * 128, "zz", others):
        assert visitor.send(address, token=token, typed="v1").status_code == 403
    stranger = Browser(Client(visitor.client.application), visitor.services)
    stranger.sign_in("boss", boss)
    foreign = next(form for form in stranger.forms(address) if form["action"] == address)["token"]
    assert visitor.send(address, token=foreign, typed="v1").status_code == 403
    assert visitor.fill(address, address, typed="v").status_code == 400
    assert visitor.fill(address, address, typed="v1").status_code == 200
    assert visitor.get(address).status_code == 404


def test_a_reader_deletes_nothing(visitor: Browser, guarded: Guarded, boss: str) -> None:
    from functions.registry.metadata.access import grants  # noqa: PLC0415  # here alone

    push(guarded, boss, Image())
    user = principals.create_user(guarded.services.database, "ann")
    grants.add(guarded.services.database, user.id, "team/**", "reader")
    visitor.sign_in("ann", guarded.secret_of(user.id))
    address = "/console/r/team/app/-/tags/v1"
    assert "Delete this tag" not in visitor.page(address)
    token = next(form for form in visitor.forms("/console/") if form["action"] == "/console/sign-out")["token"]
    assert visitor.send(address, token=token, typed="v1").status_code == 403
    assert visitor.get(address).status_code == 200


# Addresses


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/console/..//evil", "/v2/", "javascript:alert(1)",
     "/console//evil.example", "/console/\r\nSet-Cookie: a=b", '/console/"onload=x', "/consolefake", ""],
)  # fmt: skip
def test_after_signing_in_it_goes_on_in_the_console_alone(visitor: Browser, boss: str, address: str) -> None:
    assert next_path(address) == "/console/"
    answer = visitor.send("/console/sign-in", name="boss", password=boss, next=address)
    assert answer.headers["Location"] == "/console/"


def test_every_answer_says_what_a_browser_may_do_with_it(visitor: Browser, boss: str) -> None:
    visitor.sign_in("boss", boss)
    for path in ("/console/", "/console", "/console/nope", "/console/static/nope.css", "/console/sign-in"):
        headers = visitor.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_no_template_switches_escaping_off_or_has_style_or_script() -> None:
    from functions.api.console.rendering import ROOT, environment  # noqa: PLC0415  # loaded at a first request

    for path in sorted((ROOT / "templates").iterdir()):
        text = path.read_text()
        environment().get_template(path.name)
        assert not re.search(r"\|\s*safe|autoescape|<style|\sstyle=|\son[a-z]+=|srcdoc|javascript:", text), path
        assert text.count("<script") == (1 if path.name == "base.html" else 0)


def test_odd_addresses_never_make_a_fault(visitor: Browser, boss: str) -> None:
    """A fixed crowd of them, half of which begin as good ones do."""
    visitor.sign_in("boss", boss)
    chance = random.Random(22)  # noqa: S311  # addresses, not secrets
    parts = ["r", "team", "app", "-", "tags", "v1", "manifests", "sha256:" + "0" * 64, "usage", "..", "%00", "%ff", "é",
             "search", "repositories", "static", "sessions", "sign-in", "link", "\u202e", "a" * 300]  # fmt: skip
    queries = ["", "?q=%00", "?q=%ff", "?sort=-size&cursor=AAAA", "?n=0", "?name=%27&kind=x", "?q=a&q=b", "?%ff=1",
               "?cursor=" + "A" * 2000, "?image=sha256:x", "?q=" + "a:" * 200, "?next=//x"]  # fmt: skip
    for _ in range(1000):
        path = "/console/" + "/".join(chance.choice(parts) for _ in range(chance.randint(0, 6)))
        answer = visitor.get(path + chance.choice(queries))
        assert answer.status_code < 500, path


def test_another_person_who_is_signed_in_is_nobody_elses_way_in(visitor: Browser, guarded: Guarded, boss: str) -> None:
    user = principals.create_user(guarded.services.database, "ann")
    visitor.sign_in("boss", boss)
    chief = cookie_of(visitor).split(".")[0]
    visitor.sign_in("ann", guarded.secret_of(user.id))
    secret = cookie_of(visitor).split(".")[2]
    for claim in "au":
        visitor.client.set_cookie(COOKIE, f"{chief}.{claim}.{secret}")
        assert visitor.get("/console/repositories").status_code == 303
