"""What a guarded registry meets: each attack of docs/security.md that goes through HTTP."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.config import SettingInvalid, Settings
from functions.registry.metadata.access import audit, grants, rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.api.test_description import PARTS
from tests.conftest import ROOT
from tests.security.conftest import REALM
from tests.security.people import Guarded, basic
from tests.support import Image, Registry

ALL: Final = "pull,push,delete"
_DESCRIBED: Final = json.loads((ROOT / "functions" / "api" / "v1" / "openapi.json").read_text())["paths"]
_PLACES: Final = {**PARTS, "principal": "root"}
# What changes something by a method that a page may send unasked, or with a body.
CHANGES: Final = {
    re.sub(r"{(\w+)}", lambda place: _PLACES[place[1]], path): [
        method.upper() for method in methods if method in {"post", "put", "patch"}
    ]
    for path, methods in _DESCRIBED.items()
    if path.startswith("/api/v1/") and methods.keys() & {"post", "put", "patch"}
}


class Account:
    """One robot with one grant, and its requests."""

    def __init__(self, guarded: Guarded, name: str, pattern: str, role: str) -> None:
        self.guarded, self.name = guarded, name
        self.secret = guarded.robot(name, (pattern, role))

    def headers(self, *repositories: str) -> dict[str, str]:
        scopes = [f"repository:{repository}:{ALL}" for repository in repositories]
        return self.guarded.as_bearer(self.guarded.token(self.name, self.secret, *scopes))

    def push(self, repository: str, tag: str, image: Image) -> int:
        headers = self.headers(repository)
        for content in image.blobs:
            path = f"/v2/{repository}/blobs/uploads/?digest={Digest.of(content)}"
            assert self.guarded.request("POST", path, data=content, headers=headers).status_code == 201
        return self.put(repository, tag, image)

    def put(self, repository: str, tag: str, image: Image) -> int:
        path, headers = f"/v2/{repository}/manifests/{tag}", self.headers(repository)
        answer = self.guarded.request("PUT", path, data=image.manifest, content_type=OCI_MANIFEST, headers=headers)
        return answer.status_code

    def delete(self, repository: str, reference: object) -> int:
        path = f"/v2/{repository}/manifests/{reference}"
        return self.guarded.request("DELETE", path, headers=self.headers(repository)).status_code


@pytest.fixture
def mine(guarded: Guarded) -> Account:
    return Account(guarded, "mine", "mine/**", "maintainer")


@pytest.fixture
def theirs(guarded: Guarded) -> Account:
    return Account(guarded, "theirs", "theirs/**", "maintainer")


def test_a_blob_of_another_repository_is_not_to_be_had(guarded: Guarded, mine: Account, theirs: Account) -> None:
    image = Image()
    assert theirs.push("theirs/app", "v1", image) == 201
    blob = Digest.of(image.layers[0])
    headers = mine.headers("mine/app", "theirs/app")
    for path in (f"blobs/{blob}", f"manifests/{image.digest}", "manifests/v1"):
        for method in ("GET", "HEAD"):
            absent = guarded.request(method, f"/v2/mine/app/{path}", headers=headers)
            hidden = guarded.request(method, f"/v2/theirs/app/{path}", headers=headers)
            nowhere = guarded.request(method, f"/v2/theirs/none/{path}", headers=mine.headers("theirs/none"))
            assert (absent.status_code, hidden.status_code, nowhere.status_code) == (404, 403, 403), path
            assert "Docker-Content-Digest" not in {*absent.headers.keys(), *hidden.headers.keys()}
    ranged = guarded.get(f"/v2/mine/app/blobs/{blob}", headers={**headers, "Range": "bytes=0-1"})
    assert ranged.status_code == 404
    assert guarded.get(f"/v2/theirs/app/referrers/{image.digest}", headers=headers).status_code == 403


def test_a_mount_takes_the_right_to_pull_from_its_source(guarded: Guarded, mine: Account, theirs: Account) -> None:
    image = Image()
    assert theirs.push("theirs/app", "v1", image) == 201
    blob = Digest.of(image.layers[0])
    headers = mine.headers("mine/app", "theirs/app")
    there = guarded.request("POST", f"/v2/mine/app/blobs/uploads/?mount={blob}&from=theirs/app", headers=headers)
    absent = Digest.of(b"nowhere")
    nowhere = guarded.request("POST", f"/v2/mine/app/blobs/uploads/?mount={absent}&from=theirs/app", headers=headers)
    assert (there.status_code, nowhere.status_code) == (202, 202)
    assert set(there.headers.keys()) == set(nowhere.headers.keys())
    grants.add(guarded.services.database, None, "theirs/app", "reader")
    headers = mine.headers("mine/app", "theirs/app")
    mounted = guarded.request("POST", f"/v2/mine/app/blobs/uploads/?mount={blob}&from=theirs/app", headers=headers)
    assert mounted.status_code == 201


def test_an_upload_of_somebody_else_is_not_there(guarded: Guarded, mine: Account) -> None:
    colleague = Account(guarded, "colleague", "mine/**", "maintainer")
    location = guarded.request("POST", "/v2/mine/app/blobs/uploads/", headers=mine.headers("mine/app")).headers[
        "Location"
    ]
    headers = colleague.headers("mine/app")
    for method, query in (("GET", ""), ("PATCH", ""), ("PUT", f"?digest={Digest.of(b'x')}"), ("DELETE", "")):
        assert guarded.request(method, location + query, headers=headers, data=b"x").status_code == 404, method
    assert guarded.get(location, headers=mine.headers("mine/app")).status_code == 204


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  x",
        "Bearer\tx",
        "Bearer a b",
        "Bearer x,Bearer y",
        "Basic eDp5",
        "Bearer " + "a" * 9000,
    ],
)
def test_a_header_that_is_not_one_good_token_is_refused(guarded: Guarded, value: str) -> None:
    answer = guarded.get("/v2/", headers={"Authorization": value})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')


def test_the_challenge_is_made_of_settings_alone(guarded: Guarded) -> None:
    answer = guarded.get("/v2/a/b/tags/list", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    expected = f'Bearer realm="{REALM}",service="slipway",scope="repository:a/b:pull"'
    assert answer.headers["WWW-Authenticate"] == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v2/mine/../theirs/app/tags/list",
        "/v2/mine/%2e%2e/theirs/app/tags/list",
        "/v2/mine%2F..%2Ftheirs/app/tags/list",
        "/v2//theirs/app/tags/list",
        "/v2/theirs/app;x/tags/list",
        "/v2/theirs/app%00/tags/list",
        "/v2/theirs/\uff41pp/tags/list",
        "/v2/theirs/app/./tags/list",
        "/V2/theirs/app/tags/list",
    ],
)
def test_no_spelling_of_a_path_goes_around_the_gate(
    guarded: Guarded, mine: Account, theirs: Account, path: str
) -> None:
    assert theirs.push("theirs/app", "v1", Image()) == 201
    answer = guarded.get(path, headers=mine.headers("mine/app", "theirs/app"))
    assert answer.status_code in {400, 401, 403, 404}
    assert "v1" not in answer.text


def test_rules_hold_at_once_and_say_who_may(guarded: Guarded, mine: Account) -> None:
    writer = Account(guarded, "writer", "mine/**", "writer")
    image, other = Image(), Image()
    assert writer.push("mine/app", "v1", image) == 201
    headers = writer.headers("mine/app")
    rules.add(guarded.services.database, NewRule("releases", 0, "protected", "mine/*", "v*", "maintainer"))
    path = "/v2/mine/app/manifests/v2"
    answer = guarded.request("PUT", path, data=image.manifest, content_type=OCI_MANIFEST, headers=headers)
    assert (answer.status_code, guarded.error_code(answer)) == (403, "DENIED")
    assert "releases" in answer.text
    assert "maintainer" in answer.text
    assert writer.put("mine/app", "v1", image) == 201, "the same digest changes nothing"
    assert mine.push("mine/app", "v1", other) == 201
    rules.add(guarded.services.database, NewRule("frozen", -1, "immutable", "mine/*", "v1"))
    assert mine.put("mine/app", "v1", image) == 403
    assert mine.delete("mine/app", "v1") == 403
    assert mine.delete("mine/app", other.digest) == 403
    assert mine.delete("mine/app", image.digest) == 202, "nothing protected points there"
    rules.add(guarded.services.database, NewRule("kept", 0, "delete_protected", "mine/*"))
    assert mine.push("mine/app", "work", image) == 201
    assert mine.delete("mine/app", "work") == 403


def test_the_catalog_shows_what_one_may_see(guarded: Guarded, mine: Account, theirs: Account) -> None:
    mine.push("mine/app", "v1", Image())
    theirs.push("theirs/app", "v1", Image())
    root = guarded.robot("root", is_admin=True)
    seen = {
        name: guarded.get("/v2/_catalog", headers=guarded.as_bearer(guarded.token(name, secret, "registry:catalog:*")))
        for name, secret in (("mine", mine.secret), ("root", root), (None, None))
    }
    assert {name: answer.get_json()["repositories"] for name, answer in seen.items()} == {
        "mine": ["mine/app"],
        "root": ["mine/app", "theirs/app"],
        None: [],
    }


def test_nothing_secret_is_in_a_log_an_error_or_the_trail(
    guarded: Guarded, mine: Account, capfd: pytest.CaptureFixture[str]
) -> None:
    headers = mine.headers("mine/app")
    wrong = mine.secret[:-1] + "!"
    answers = [
        guarded.ask_token("mine", wrong, "repository:mine/app:pull"),
        guarded.request("POST", "/token", data={"grant_type": "password", "username": "mine", "password": wrong}),
        guarded.get("/v2/other/x/tags/list", headers=headers),
        guarded.get("/v2/", headers={"Authorization": f"{headers['Authorization']}x"}),
    ]
    mine.push("mine/app", "v1", Image())
    captured = capfd.readouterr()
    told = captured.out + captured.err + "".join(answer.text for answer in answers)
    told += str(audit.list_page(guarded.services.database, 100))
    token = headers["Authorization"].removeprefix("Bearer ")
    for secret in (mine.secret, wrong, token, token.split(".")[2]):
        assert secret not in told
    assert "mine" in told


def test_the_trail_tells_of_changes_and_refusals(guarded: Guarded, mine: Account) -> None:
    mine.push("mine/app", "v1", Image())
    mine.delete("mine/app", "v1")
    guarded.get("/v2/theirs/app/tags/list", headers=mine.headers("theirs/app"))
    guarded.ask_token("mine", "wrong\n\x1b[31m", "repository:mine/app:pull")
    trail = [
        (entry.event.action, entry.event.outcome, entry.event.principal, entry.event.resource)
        for entry in reversed(audit.list_page(guarded.services.database, 10))
    ]
    assert trail == [
        ("manifest.push", "success", "robot:mine", "mine/app"),
        ("manifest.delete", "success", "robot:mine", "mine/app"),
        ("tag.list", "denied", "robot:mine", "theirs/app"),
        ("token.refuse", "denied", "mine", ""),
    ]


def test_the_trail_names_the_tags_that_went_along_with_a_manifest(guarded: Guarded, mine: Account) -> None:
    image = Image()
    for number in range(25):
        mine.push("mine/app", f"v{number:02}", image)
    mine.delete("mine/app", str(image.digest))
    details = audit.list_page(guarded.services.database, 1)[0].event.details
    assert (details["tags"], details["tags_deleted"]) == ([f"v{number:02}" for number in range(20)], 25)


def test_a_crowd_of_requests_is_stopped(guarded: Guarded, mine: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = mine.headers("mine/app")
    monkeypatch.setattr(guarded.services.rate_limit, "_capacity", 3)
    statuses = [guarded.get("/v2/mine/app/tags/list", headers=headers).status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    refused = guarded.get("/v2/mine/app/tags/list", headers=headers)
    assert (refused.status_code, guarded.error_code(refused)) == (429, "TOOMANYREQUESTS")
    assert int(refused.headers["Retry-After"]) > 0


def test_a_crowd_that_is_refused_is_stopped_where_it_comes_from(
    guarded: Guarded, mine: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = mine.headers("theirs/app")
    good = mine.headers("mine/app")
    monkeypatch.setattr(guarded.services.rate_limit, "_capacity", 3)
    here, there = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "198.51.100.7"}
    asked: list[dict[str, str]] = [{}, {"Authorization": "Bearer x.y.z"}, headers, {}, headers]
    statuses = [guarded.get("/v2/theirs/app/tags/list", headers=each, environ_base=here).status_code for each in asked]
    assert statuses == [401, 401, 403, 429, 429]
    # Nobody else is refused for it: not from elsewhere, nor who is let in, from there.
    assert guarded.get("/v2/mine/app/tags/list", environ_base=there).status_code == 401
    assert guarded.get("/v2/mine/app/tags/list", headers=good, environ_base=here).status_code == 404


@pytest.fixture
def few_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comes before the registry, which reads of it in its settings."""
    monkeypatch.setenv("SLIPWAY_UPLOADS_PER_PRINCIPAL", "2")


@pytest.mark.usefixtures("few_uploads")
def test_a_crowd_of_uploads_is_stopped_and_nobody_elses(guarded: Guarded) -> None:
    mine, other = (Account(guarded, name, "mine/**", "writer") for name in ("mine", "other"))

    def start(account: Account) -> TestResponse:
        return guarded.request("POST", "/v2/mine/app/blobs/uploads/", headers=account.headers("mine/app"))

    locations = [start(mine).headers["Location"] for _ in range(2)]
    refused = start(mine)
    assert (refused.status_code, guarded.error_code(refused)) == (429, "TOOMANYREQUESTS")
    assert int(refused.headers["Retry-After"]) > 0
    assert start(other).status_code == 202
    assert guarded.request("DELETE", locations[0], headers=mine.headers("mine/app")).status_code == 204
    assert start(mine).status_code == 202


@pytest.mark.usefixtures("few_uploads")
def test_in_open_mode_nobodys_uploads_are_counted(registry: Registry) -> None:
    assert len({registry.start_upload("a/b") for _ in range(4)}) == 4


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "SLIPWAY_TOKEN_REALM"),
        ({"SLIPWAY_ACCESS": "token"}, "SLIPWAY_TOKEN_REALM"),
        ({"SLIPWAY_ACCESS": "token", "SLIPWAY_TOKEN_REALM": REALM}, "SLIPWAY_TOKEN_KEYS"),
        ({"SLIPWAY_ACCESS": "external", "SLIPWAY_TOKEN_REALM": REALM}, "SLIPWAY_EXTERNAL_ISSUER"),
        (
            {
                "SLIPWAY_ACCESS": "external",
                "SLIPWAY_TOKEN_REALM": REALM,
                "SLIPWAY_EXTERNAL_ISSUER": "gitlab",
                "SLIPWAY_EXTERNAL_KEYS": "x",
            },
            "SLIPWAY_PEPPER",
        ),
        ({"SLIPWAY_ACCESS": "open"}, "SLIPWAY_OPEN_IN_CLOUD"),
    ],
)
def test_a_registry_that_would_be_open_by_mistake_does_not_start(
    guarded: Guarded, settings: dict[str, str], complaint: str
) -> None:
    from functions.registry.auth.guard import Guard  # noqa: PLC0415  # of other settings than the registry's

    chosen = Settings.from_environment({"SLIPWAY_DATABASE": "x", "SLIPWAY_BUCKET": "x", **settings})
    guard = Guard(chosen, guarded.services.database)
    with pytest.raises(SettingInvalid, match=complaint):
        guard.check(in_cloud=True)


@pytest.mark.parametrize("headers", [{}, {"Connection": "Upgrade", "Upgrade": "websocket"}], ids=["plain", "upgrade"])
@pytest.mark.parametrize("path", ["/v2/", "/v2/_catalog", "//v2/", "/robots.txt", "/v2/a%0ab", "/api/v1/principals"])
def test_no_way_in_goes_past_the_look_at_the_settings(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str]
) -> None:
    """Whatever the framework makes of a request: it handles some by itself, and its errors are answered here."""
    assert registry.get(path, headers=headers).status_code != 500
    monkeypatch.setenv("K_SERVICE", "slipway-api")
    monkeypatch.setattr(registry.client.application, "testing", False)
    for method in ("GET", "POST", "PUT", "DELETE", "BREW"):
        assert registry.request(method, path, headers=headers).status_code == 500


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_change_is_json_whatever_its_route_and_its_body(guarded: Guarded, content_type: str | None) -> None:
    """A foreign page sends nothing else without asking first."""
    headers = {"Authorization": basic("root", guarded.robot("root", is_admin=True)), "Origin": "https://evil.example"}
    changes = [(method, route) for route, methods in CHANGES.items() for method in methods]
    assert len(changes) > 10
    for method, path in changes:
        answer = guarded.request(method, path, headers=headers, data=b"", content_type=content_type)
        assert (answer.status_code, guarded.error_code(answer)) == (400, "INVALID_PARAMETER"), path
    answer = guarded.request("POST", "/api/v1/usage/recount", headers=headers, json={})
    assert answer.status_code == 200


def test_browsers_do_not_guess_what_an_answer_is(registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    for path in ("/v2/", "/v2/a/b/manifests/v1", "/v2/none/tags/list", "/api/openapi.json"):
        assert registry.get(path).headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_names_a_test_for_every_attack() -> None:
    """docs/security.md: each row of its table ends with tests that exist."""
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", page))
    assert named
    assert [name for name in named if not (root / name).exists()] == []
    run = set(
        re.findall(
            r"tests/[\w/]+(?:\.py)?", (root / "Makefile").read_text().split("SECURITY_TESTS :=")[1].split("\n\n")[0]
        )
    )
    left_out = {
        name for name in named if name not in run and not name.startswith(("tests/clients/", "tests/security/"))
    }
    assert left_out == set()
