"""Administration over the api: every endpoint, every refusal, and the trail that it leaves."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.api.web.json_body import LARGEST
from functions.registry.metadata.access import audit
from functions.registry.metadata.db import MetadataUnavailable
from tests.security.people import Guarded, basic, claims
from tests.support import Registry

GITHUB: Final = "https://token.actions.githubusercontent.com"
CLAIMS: Final = {"repository_id": "42", "ref": "refs/heads/*"}
NUMBER: Final = 2**40


@dataclass(frozen=True)
class Administrator:
    """Somebody who administers, by Basic credentials as scripts do."""

    guarded: Guarded
    headers: dict[str, str] = field(repr=False)

    def ask(self, method: str, path: str, document: object = None, **more: Any) -> TestResponse:
        if document is not None:
            more["json"] = document
        return self.guarded.request(method, f"/api/v1/{path}", headers=self.headers, **more)

    def get(self, path: str) -> Any:
        response = self.ask("GET", path)
        assert response.status_code == 200, response.text
        assert response.headers["Cache-Control"] == "no-store"
        return response.get_json()

    def add(self, path: str, **document: object) -> Any:
        response = self.ask("POST", path, document)
        assert response.status_code == 201, response.text
        assert response.headers["Cache-Control"] == "no-store"
        return response.get_json()

    def refused(self, method: str, path: str, document: object = None, **more: Any) -> tuple[int, str, str]:
        response = self.ask(method, path, document, **more)
        [error] = response.get_json()["errors"]
        return response.status_code, error["code"], error["message"]


@pytest.fixture
def admin(guarded: Guarded) -> Administrator:
    return Administrator(guarded, {"Authorization": basic("root", guarded.robot("root", is_admin=True))})


def sign_in(guarded: Guarded, name: str, password: str) -> int:
    return guarded.ask_token(name, password).status_code


# ---- who comes in


def test_nobody_else_administers(admin: Administrator) -> None:
    guarded = admin.guarded
    secret = guarded.robot("ci", ("**", "admin"))
    anonymous = guarded.get("/api/v1/grants")
    assert (anonymous.status_code, guarded.error_code(anonymous)) == (401, "UNAUTHORIZED")
    assert anonymous.headers["WWW-Authenticate"].startswith('Bearer realm="https://registry.example/token"')
    for headers in ({"Authorization": basic("ci", secret)}, guarded.as_bearer(guarded.token("ci", secret))):
        denied = guarded.get("/api/v1/grants", headers=headers)
        assert (denied.status_code, guarded.error_code(denied)) == (403, "DENIED")
    nobodys = guarded.get("/api/v1/grants", headers=guarded.as_bearer(guarded.token(None, None, "repository:a:pull")))
    assert nobodys.status_code == 401


def test_an_administrators_token_is_as_good_as_the_secret(admin: Administrator) -> None:
    secret = base64.b64decode(admin.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")[2]
    token = admin.guarded.token("root", secret)
    assert admin.guarded.get("/api/v1/grants", headers=admin.guarded.as_bearer(token)).status_code == 200


def test_wrong_credentials_are_refused_with_a_challenge_and_told_of(admin: Administrator) -> None:
    guarded = admin.guarded
    wrong = guarded.get("/api/v1/rules", headers={"Authorization": basic("root", "slp_wrong")})
    assert (wrong.status_code, wrong.headers["WWW-Authenticate"]) == (401, 'Basic realm="slipway"')
    unreadable = guarded.get("/api/v1/rules", headers={"Authorization": "Basic !"})
    assert (unreadable.status_code, unreadable.headers["WWW-Authenticate"]) == (401, 'Basic realm="slipway"')
    [entry] = admin.get("audit?action=token.refuse")["entries"]
    assert (entry["outcome"], entry["principal"]) == ("denied", "root")


def test_who_guesses_is_slowed_down(admin: Administrator) -> None:
    wrong = {"Authorization": basic("guessed", "slp_wrong")}
    answers = [admin.guarded.get("/api/v1/rules", headers=wrong) for _ in range(8)]
    assert answers[0].status_code == 401
    assert (answers[-1].status_code, admin.guarded.error_code(answers[-1])) == (429, "TOOMANYREQUESTS")
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_basic_credentials_open_what_is_ours_and_nothing_else(admin: Administrator) -> None:
    guarded = admin.guarded
    reader = {"Authorization": basic("reader", guarded.robot("reader", ("team/*", "reader")))}
    # Nothing was pushed there: who may look is told so.
    assert guarded.get("/api/v1/repositories/team/a/-/gc", headers=reader).status_code == 404
    assert guarded.get("/api/v1/repositories/other/a/-/gc", headers=reader).status_code == 403
    assert guarded.get("/v2/team/a/tags/list", headers=reader).status_code == 401


def test_in_open_mode_everybody_administers(registry: Registry) -> None:
    made = registry.request("POST", "/api/v1/principals", json={"kind": "robot", "name": "ci"})
    assert made.status_code == 201
    refused = registry.request("POST", "/api/v1/principals/ci/secrets", json={"name": "one"})
    assert (refused.status_code, registry.error_code(refused)) == (409, "CONFLICT")
    assert "SLIPWAY_PEPPER" in refused.text


# ---- principals


def test_users_and_robots_come_and_go(admin: Administrator) -> None:
    made = admin.add("principals", kind="robot", name="team+ci", namespace="team")
    assert made == {"kind": "robot", "name": "team+ci", "namespace": "team", "is_admin": False, "disabled": False}
    admin.add("principals", kind="user", name="alice@example.com", is_admin=True, password=None)
    assert admin.get("principals/team+ci") == made
    listed = admin.get("principals")["principals"]
    assert [each["name"] for each in listed] == ["alice@example.com", "root", "team+ci"]
    assert admin.get("principals?namespace=team")["principals"] == [made]
    assert admin.ask("DELETE", "principals/team+ci").status_code == 204
    assert admin.refused("GET", "principals/team+ci")[:2] == (404, "NOT_FOUND")


def test_principals_come_in_pages(admin: Administrator) -> None:
    for name in ("a", "b", "c"):
        admin.add("principals", kind="robot", name=name, namespace="team")
    names, path = [], "principals?n=2&namespace=team"
    while path:
        response = admin.ask("GET", path)
        names.append([each["name"] for each in response.get_json()["principals"]])
        path = response.headers.get("Link", "").partition("<")[2].partition(">")[0].removeprefix("/api/v1/")
    assert names == [["a", "b"], ["c"]]
    assert admin.get("principals?n=0") == {"principals": []}
    assert admin.refused("GET", "principals?n=x")[:2] == (400, "PAGINATION_NUMBER_INVALID")


def test_a_password_is_set_changed_and_taken_away(admin: Administrator) -> None:
    admin.add("principals", kind="user", name="alice", password="correct horse battery")
    assert sign_in(admin.guarded, "alice", "correct horse battery") == 200
    assert admin.ask("PATCH", "principals/alice", {"password": "another long one"}).status_code == 200
    assert sign_in(admin.guarded, "alice", "correct horse battery") == 401
    assert sign_in(admin.guarded, "alice", "another long one") == 200
    assert "another" not in json.dumps(admin.get("audit"))
    assert admin.ask("PATCH", "principals/alice", {"password": None}).status_code == 200
    assert sign_in(admin.guarded, "alice", "another long one") == 401


def test_who_is_disabled_signs_in_no_more_until_enabled(admin: Administrator) -> None:
    secret = admin.guarded.robot("ci")
    disabled = admin.ask("PATCH", "principals/ci", {"disabled": True})
    assert (disabled.status_code, disabled.get_json()["disabled"]) == (200, True)
    assert sign_in(admin.guarded, "ci", secret) == 401
    assert admin.ask("PATCH", "principals/ci", {"disabled": False}).get_json()["disabled"] is False
    assert sign_in(admin.guarded, "ci", secret) == 200


def test_nobody_disables_or_deletes_themselves(admin: Administrator) -> None:
    assert admin.refused("DELETE", "principals/root")[:2] == (409, "CONFLICT")
    assert admin.refused("PATCH", "principals/root", {"disabled": True, "password": None})[:2] == (409, "CONFLICT")
    assert admin.ask("PATCH", "principals/root", {"disabled": False}).status_code == 200


def test_the_last_administrator_stays(registry: Registry) -> None:
    for name in ("root", "other"):
        made = registry.request("POST", "/api/v1/principals", json={"kind": "user", "name": name, "is_admin": True})
        assert made.status_code == 201
    assert registry.request("PATCH", "/api/v1/principals/other", json={"disabled": True}).status_code == 200
    for method, document in (("PATCH", {"disabled": True}), ("DELETE", None)):
        refused = registry.request(method, "/api/v1/principals/root", json=document)
        assert (refused.status_code, registry.error_code(refused)) == (409, "CONFLICT")
    assert registry.request("DELETE", "/api/v1/principals/other").status_code == 204
    assert registry.get("/api/v1/principals/root").get_json()["disabled"] is False


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"name": "x"}, "kind is missing"),
        ({"kind": "robot"}, "name is missing"),
        ({"kind": "group", "name": "x"}, "kind must be one of user, robot"),
        ({"kind": ["robot"], "name": "x"}, "kind must be one of"),
        ({"kind": "robot", "name": "X"}, "name is refused"),
        ({"kind": "robot", "name": "token"}, "name is refused"),
        ({"kind": "robot", "name": "a\u0000"}, "name must be a text"),
        ({"kind": "robot", "name": "\ud800"}, "name must be a text"),
        ({"kind": "robot", "name": "x" * 129}, "name must be a text"),
        ({"kind": "robot", "name": 1}, "name must be a text"),
        ({"kind": "robot", "name": "x", "namespace": "a/b"}, "namespace must be the first part"),
        ({"kind": "robot", "name": "x", "namespace": "A"}, "namespace must be the first part"),
        ({"kind": "user", "name": "x", "namespace": "a"}, "namespace is for robots"),
        ({"kind": "robot", "name": "x", "is_admin": True}, "is_admin is for users"),
        ({"kind": "user", "name": "x", "is_admin": 1}, "is_admin must be true or false"),
        ({"kind": "robot", "name": "x", "password": "a long enough one"}, "password is for users"),
        ({"kind": "user", "name": "x", "password": "short"}, "password is refused"),
        ({"kind": "user", "name": "x", "password": "\u00e9" * 1000}, "password is refused"),
        ({"kind": "user", "name": "x", "id": 7}, "unknown field 'id'; expected one of: kind, name"),
    ],
)
def test_a_principal_that_can_not_be_is_refused_with_the_reason(
    admin: Administrator, document: dict[str, object], named: str
) -> None:
    status, code, message = admin.refused("POST", "principals", document)
    assert (status, code) == (400, "INVALID_PARAMETER")
    assert message.startswith(named), message
    assert len(admin.get("principals")["principals"]) == 1


def test_a_name_is_given_once(admin: Administrator) -> None:
    admin.add("principals", kind="robot", name="ci")
    assert admin.refused("POST", "principals", {"kind": "user", "name": "ci"})[:2] == (409, "CONFLICT")


def test_a_change_says_what_is_changed(admin: Administrator) -> None:
    admin.guarded.robot("ci")
    assert admin.refused("PATCH", "principals/ci", {})[0] == 400
    assert admin.refused("PATCH", "principals/ci", {"name": "other"})[0] == 400
    assert admin.refused("PATCH", "principals/ci", {"password": "a long enough one"})[0] == 400
    assert admin.refused("PATCH", "principals/ci", {"disabled": "yes"})[0] == 400


# ---- secrets


def test_a_secret_is_shown_once_and_signs_in_until_it_is_revoked(admin: Administrator) -> None:
    admin.add("principals", kind="robot", name="ci")
    made = admin.add("principals/ci/secrets", name="laptop", expires_in_days=30)
    assert set(made) == {"id", "name", "secret", "expires_at"}
    assert sign_in(admin.guarded, "ci", made["secret"]) == 200
    [listed] = admin.get("principals/ci/secrets")["secrets"]
    assert set(listed) == {"id", "name", "created_at", "expires_at", "last_used_at", "revoked_at"}
    assert (listed["id"], listed["expires_at"], listed["revoked_at"]) == (made["id"], made["expires_at"], None)
    assert made["secret"] not in json.dumps([listed, admin.get("audit")])
    assert admin.ask("DELETE", f"principals/ci/secrets/{made['id']}").status_code == 204
    assert sign_in(admin.guarded, "ci", made["secret"]) == 401
    assert admin.refused("DELETE", f"principals/ci/secrets/{made['id']}")[:2] == (404, "NOT_FOUND")
    assert admin.get("principals/ci/secrets")["secrets"][0]["revoked_at"] is not None


@pytest.mark.parametrize("days", [0, 3651, 1.5, "7", True, -1])
def test_a_secret_lives_a_number_of_days(admin: Administrator, days: object) -> None:
    status, _, message = admin.refused("POST", "principals/root/secrets", {"name": "x", "expires_in_days": days})
    assert (status, message) == (400, "expires_in_days must be an integer from 1 to 3650")


# ---- trusted_publishers


def test_a_robot_trusts_the_jobs_that_are_named(admin: Administrator) -> None:
    admin.add("principals", kind="robot", name="ci")
    made = admin.add("principals/ci/trusted_publishers", issuer=GITHUB, claims=CLAIMS)
    assert admin.get("principals/ci/trusted_publishers") == {
        "trusted_publishers": [{"id": made["id"], "issuer": GITHUB, "claims": CLAIMS}]
    }
    assert admin.ask("DELETE", f"principals/ci/trusted_publishers/{made['id']}").status_code == 204
    assert admin.refused("DELETE", f"principals/ci/trusted_publishers/{made['id']}")[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("issuer", "claims", "named"),
    [
        ("https://evil.example", CLAIMS, "issuer must be one of SLIPWAY_OIDC_ISSUERS"),
        (GITHUB, {"ref": "main"}, "claims must have repository_owner_id or repository_id"),
        (GITHUB, {"repository_id": "*"}, "claims may have * only in"),
        (GITHUB, {}, "claims must be 1 to"),
        (GITHUB, {"repository_id": 42}, "claims must be a text"),
        (GITHUB, [], "claims must be an object of texts"),
        (7, CLAIMS, "issuer must be a text"),
    ],
)
def test_a_trusted_publisher_that_opens_too_much_is_refused(
    admin: Administrator, issuer: object, claims: object, named: str
) -> None:
    admin.add("principals", kind="robot", name="ci")
    status, code, message = admin.refused(
        "POST", "principals/ci/trusted_publishers", {"issuer": issuer, "claims": claims}
    )
    assert (status, code) == (400, "INVALID_PARAMETER")
    assert message.startswith(named), message


def test_a_user_has_no_trusted_publishers(admin: Administrator) -> None:
    document = {"issuer": GITHUB, "claims": CLAIMS}
    assert admin.refused("POST", "principals/root/trusted_publishers", document)[0] == 400


# ---- grants


def test_a_grant_opens_and_its_end_closes(admin: Administrator) -> None:
    guarded, secret = admin.guarded, admin.guarded.robot("ci")
    made = admin.add("grants", principal="ci", repositories="team/**", role="writer")
    assert made["role"] == "writer"
    asked = "repository:team/app:pull,push"
    opened = guarded.as_bearer(guarded.token("ci", secret, asked))
    assert guarded.request("POST", "/v2/team/app/blobs/uploads/", headers=opened).status_code == 202
    again = admin.add("grants", principal="ci", repositories="team/**", role="reader")
    assert again["id"] == made["id"]
    closed = guarded.as_bearer(guarded.token("ci", secret, asked))
    assert guarded.request("POST", "/v2/team/app/blobs/uploads/", headers=closed).status_code == 403
    [listed] = admin.get("grants?principal=ci")["grants"]
    assert listed == {"id": made["id"], "principal": "ci", "repositories": "team/**", "role": "reader"}
    assert admin.ask("DELETE", f"grants/{made['id']}").status_code == 204
    assert admin.get("grants") == {"grants": []}
    assert admin.refused("DELETE", f"grants/{made['id']}")[:2] == (404, "NOT_FOUND")


def test_anyone_may_be_given_to_read_and_no_more(admin: Administrator) -> None:
    admin.add("grants", principal=None, repositories="public/*", role="reader")
    token = admin.guarded.token(None, None, "repository:public/a:pull")
    assert [entry["name"] for entry in claims(token)["access"]] == ["public/a"]
    document = {"principal": None, "repositories": "public/*", "role": "writer"}
    assert admin.refused("POST", "grants", document) == (
        400, "INVALID_PARAMETER", "role is refused: anyone may be reader, and no more",
    )  # fmt: skip


def test_grants_come_in_pages_that_a_removed_one_does_not_break(admin: Administrator) -> None:
    ids = [admin.add("grants", principal=None, repositories=name, role="reader")["id"] for name in ("a", "b", "c")]
    first = admin.ask("GET", "grants?n=2")
    assert [each["repositories"] for each in first.get_json()["grants"]] == ["a", "b"]
    admin.ask("DELETE", f"grants/{ids[1]}")
    path = first.headers["Link"].partition("<")[2].partition(">")[0].removeprefix("/api/v1/")
    assert [each["repositories"] for each in admin.get(path)["grants"]] == ["c"]
    assert admin.refused("GET", "grants?last=c")[:2] == (400, "INVALID_PARAMETER")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"principal": 7}, "principal must be a text"),
        ({"repositories": "Team/*"}, "repositories must be a pattern"),
        ({"repositories": ["a"]}, "repositories must be a pattern"),
        ({"repositories": "a" * 256}, "repositories must be a pattern"),
        ({"role": "owner"}, "role must be one of reader, writer, maintainer, admin"),
        ({"role": None}, "role must be one of"),
    ],
)
def test_a_grant_that_says_nothing_is_refused(admin: Administrator, changed: dict[str, object], named: str) -> None:
    document = {"principal": None, "repositories": "a", "role": "reader", **changed}
    status, code, message = admin.refused("POST", "grants", document)
    assert (status, code) == (400, "INVALID_PARAMETER")
    assert message.startswith(named), message


# ---- rules


def test_a_rule_holds_at_once_and_until_it_is_removed(admin: Administrator) -> None:
    guarded, secret = admin.guarded, admin.guarded.robot("ci", ("team/*", "maintainer"))
    headers = guarded.as_bearer(guarded.token("ci", secret, "repository:team/app:pull,push,delete"))
    made = admin.add("rules", name="releases", kind="protected", repositories="team/*", tags="v*")
    assert made == {
        "id": made["id"], "name": "releases", "position": 0, "kind": "protected", "repositories": "team/*",
        "tags": "v*", "role": None,
    }  # fmt: skip
    assert admin.get("rules") == {"rules": [made]}
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    ).encode()
    push = {"data": index, "content_type": "application/vnd.oci.image.index.v1+json", "headers": headers}
    assert guarded.request("PUT", "/v2/team/app/manifests/v1", **push).status_code == 403
    assert admin.ask("DELETE", f"rules/{made['id']}").status_code == 204
    assert guarded.request("PUT", "/v2/team/app/manifests/v1", **push).status_code == 201
    assert admin.refused("DELETE", f"rules/{made['id']}")[:2] == (404, "NOT_FOUND")


def test_rules_come_in_their_order_and_have_a_name_each(admin: Administrator) -> None:
    admin.add("rules", name="second", kind="delete_protected", repositories="**", role="admin", position=2)
    admin.add("rules", name="first", kind="exempt", repositories="**", tags="dev-*", position=1)
    assert [rule["name"] for rule in admin.get("rules")["rules"]] == ["first", "second"]
    again = {"name": "first", "kind": "exempt", "repositories": "a*"}
    assert admin.refused("POST", "rules", again)[:2] == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"kind": "locked"}, "kind must be one of protected, immutable, exempt, delete_protected"),
        ({"tags": "a/b"}, "tags must be a pattern"),
        ({"tags": None}, "tags must be a pattern"),
        ({"role": "owner"}, "role must be one of"),
        ({"position": -1}, "position must be an integer from 0 to"),
        ({"position": 2**31}, "position must be an integer from 0 to"),
        (
            {"kind": "delete_protected", "tags": "v*"},
            "kind is refused: a rule that keeps a repository is about all tags",
        ),
        ({"kind": "exempt", "role": "admin"}, "kind is refused: an exception takes no role"),
        ({"name": ""}, "name must be a text"),
    ],
)
def test_a_rule_that_can_not_be_is_refused(admin: Administrator, changed: dict[str, object], named: str) -> None:
    document = {"name": "x", "kind": "immutable", "repositories": "a", **changed}
    status, code, message = admin.refused("POST", "rules", document)
    assert (status, code) == (400, "INVALID_PARAMETER")
    assert message.startswith(named), message


# ---- what is nowhere


NOWHERE: Final = [
    ("GET", "principals/nobody"), ("DELETE", "principals/nobody"), ("GET", "principals/No%00body"),
    ("GET", "principals/nobody/secrets"), ("GET", "principals/nobody/trusted_publishers"),
    ("DELETE", "principals/nobody/secrets/abc"), ("DELETE", "principals/root/secrets/abc"),
    ("DELETE", "principals/root/secrets/A%00"), ("DELETE", f"principals/root/trusted_publishers/{NUMBER}"),
    ("DELETE", "principals/root/trusted_publishers/x"), ("DELETE", f"grants/{NUMBER}"), ("DELETE", "grants/-1"),
    ("DELETE", f"grants/{'9' * 30}"), ("DELETE", f"rules/{NUMBER}"), ("DELETE", "rules/x"),
    ("GET", "grants?principal=nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), NOWHERE)
def test_what_is_not_there_is_not_found(admin: Administrator, method: str, path: str) -> None:
    assert admin.refused(method, path)[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("principals/nobody/secrets", {"name": "x"}),
        ("principals/nobody/trusted_publishers", {"issuer": GITHUB, "claims": CLAIMS}),
        ("grants", {"principal": "nobody", "repositories": "a", "role": "reader"}),
    ],
)
def test_nothing_is_added_to_what_is_not_there(admin: Administrator, path: str, document: dict[str, object]) -> None:
    assert admin.refused("POST", path, document)[:2] == (404, "NOT_FOUND")


# ---- bodies


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"kind": "robot", "name": "x"}', "text/plain"),
        (b"kind=robot&name=x", "application/x-www-form-urlencoded"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"kind": "robot"', "application/json"),
        (b'{"kind": "robot", "name": "x", "name": "y"}', "application/json"),
        (b"\xff\xff", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b'{"kind": "robot", "name": "x"}' + b" " * LARGEST, "application/json"),
        (b'{"kind": ' + b"1" * 50_000 + b"}", "application/json"),
        (b'{"kind": NaN, "name": "x"}', "application/json"),
    ],
)
def test_a_body_is_one_json_object(admin: Administrator, body: bytes, content_type: str) -> None:
    assert admin.refused("POST", "principals", data=body, content_type=content_type)[:2] == (400, "INVALID_PARAMETER")
    assert len(admin.get("principals")["principals"]) == 1


# ---- the trail


@pytest.fixture
def trail(admin: Administrator) -> Administrator:
    """One of every change."""
    admin.add("principals", kind="robot", name="ci")
    admin.add("principals", kind="user", name="alice", password="correct horse battery")
    admin.ask("PATCH", "principals/alice", {"password": None, "disabled": True})
    admin.ask("PATCH", "principals/alice", {"disabled": False})
    secret = admin.add("principals/ci/secrets", name="one")["id"]
    admin.ask("DELETE", f"principals/ci/secrets/{secret}")
    publisher = admin.add("principals/ci/trusted_publishers", issuer=GITHUB, claims=CLAIMS)["id"]
    admin.ask("DELETE", f"principals/ci/trusted_publishers/{publisher}")
    grant = admin.add("grants", principal="ci", repositories="team/*", role="writer")["id"]
    admin.ask("DELETE", f"grants/{grant}")
    rule = admin.add("rules", name="releases", kind="immutable", repositories="team/*")["id"]
    admin.ask("DELETE", f"rules/{rule}")
    admin.ask("DELETE", "principals/ci")
    return admin


def test_every_change_is_in_the_trail(trail: Administrator) -> None:
    entries = trail.get("audit")["entries"]
    assert [(entry["action"], entry["resource"]) for entry in reversed(entries)] == [
        ("principal.add", "robot:ci"), ("principal.add", "user:alice"), ("principal.password", "user:alice"),
        ("principal.disable", "user:alice"), ("principal.enable", "user:alice"),
        ("secret.add", "robot:ci"), ("secret.revoke", "robot:ci"),
        ("trusted-publisher.add", "robot:ci"), ("trusted-publisher.remove", "robot:ci"),
        ("grant.add", "team/*"), ("grant.remove", "team/*"),
        ("rule.add", "releases"), ("rule.remove", "releases"),
        ("principal.remove", "robot:ci"),
    ]  # fmt: skip
    assert {(entry["principal"], entry["outcome"]) for entry in entries} == {("user:root", "success")}
    assert all(entry["address"] and entry["at"] for entry in entries)
    [removed] = trail.get("audit?action=grant.remove")["entries"]
    assert {name: removed["details"][name] for name in ("principal", "role")} == {"principal": "ci", "role": "writer"}


def test_the_trail_is_searched_and_comes_in_pages(trail: Administrator) -> None:
    assert len(trail.get("audit?resource=robot:ci")["entries"]) == 6
    assert len(trail.get("audit?principal=user:root&resource=releases&outcome=success")["entries"]) == 2
    assert trail.get("audit?outcome=denied")["entries"] == []
    assert trail.get("audit?principal=a%00")["entries"] == []
    whole, path = [], "audit?n=4&principal=user:root"
    while path:
        response = trail.ask("GET", path)
        whole += [entry["id"] for entry in response.get_json()["entries"]]
        path = response.headers.get("Link", "").partition("<")[2].partition(">")[0].removeprefix("/api/v1/")
    assert whole == [entry["id"] for entry in trail.get("audit")["entries"]]
    for wrong in ("before=x", "before=-1", "outcome=maybe"):
        assert trail.refused("GET", f"audit?{wrong}")[:2] == (400, "INVALID_PARAMETER")


def test_a_change_stands_in_the_log_and_holds_without_the_trail(
    admin: Administrator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise MetadataUnavailable("gone")

    monkeypatch.setattr(audit, "write", fail)
    admin.add("principals", kind="robot", name="ci")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    [changed] = [line for line in lines if line["message"] == "access changed"]
    assert (changed["action"], changed["resource"], changed["principal"]) == ("principal.add", "robot:ci", "user:root")
    assert [line["severity"] for line in lines if line["message"] == "audit event lost"] == ["ERROR"]
