"""Identities of CI jobs, and another service's tokens, through the registry itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import jwt
import pytest
from werkzeug.test import Client, TestResponse

from functions.registry.auth.keys import VerificationKey
from functions.registry.metadata.access import grants, principals, trusted_publishers
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.wiring import Services
from tests.forgotten import forget_services, made_services
from tests.issuer import Issuer, public_pem, rsa_key, serve
from tests.security.people import Guarded, basic, claims
from tests.support import Image, Registry

SCOPE: Final = "repository:team/app:pull,push"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Comes before the registry, which reads of it in its settings."""
    with serve() as running:
        monkeypatch.setenv("SLIPWAY_OIDC_ISSUERS", running.address)
        monkeypatch.setenv("SLIPWAY_TENANT_CLAIMS", f"{running.address}=repository_id,repository_owner_id")
        yield running


@pytest.fixture
def trusting(issuer: Issuer, guarded: Guarded) -> Guarded:
    database = guarded.services.database
    robot = principals.create_robot(database, "app")
    grants.add(database, robot.id, "team/app", "writer")
    trusted_publishers.add(database, robot.id, issuer.address, {"repository_id": "42", "ref": "refs/heads/*"})
    return guarded


def job(issuer: Issuer, **more: Any) -> str:
    return issuer.token(**{"aud": "slipway", "repository_id": "42", "ref": "refs/heads/main", **more})


def exchange(guarded: Guarded, token: str) -> TestResponse:
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ID_TOKEN, "scope": SCOPE}
    return guarded.request("POST", "/token", data=form)


def test_a_job_signs_in_with_its_identity(trusting: Guarded, issuer: Issuer) -> None:
    identity = job(issuer)
    answer = trusting.ask_token("oidc", identity, SCOPE)
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["expires_in"] == 3600
    assert claims(answer.get_json()["token"])["access"][0]["actions"] == ["pull", "push"]
    assert trusting.ask_token("oidc", identity, SCOPE).status_code == 200, "docker sends it for each token"
    started = trusting.request(
        "POST", "/v2/team/app/blobs/uploads/", headers=trusting.as_bearer(answer.get_json()["token"])
    )
    assert started.status_code == 202


def test_an_identity_is_exchanged_once(trusting: Guarded, issuer: Issuer) -> None:
    identity = job(issuer)
    first, second = exchange(trusting, identity), exchange(trusting, identity)
    assert (first.status_code, second.status_code) == (200, 401)
    assert first.get_json()["issued_token_type"].endswith("access_token")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"aud": "another"}, "aud"),
        ({"repository_id": "43"}, "no robot"),
        ({"ref": "refs/tags/v1"}, "ref"),
        ({"event_name": "pull_request_target"}, "pull_request_target"),
        ({"exp": 1}, "expired"),
        ({"iss": "https://elsewhere.example"}, "iss"),
    ],
)
def test_a_job_that_nobody_trusts_is_told_why(
    trusting: Guarded, issuer: Issuer, wrong: dict[str, Any], told: str
) -> None:
    answer = trusting.ask_token("oidc", job(issuer, **wrong), SCOPE)
    assert (answer.status_code, told in answer.text) == (401, True), answer.text


def test_a_pull_request_only_reads(trusting: Guarded, issuer: Issuer) -> None:
    token = trusting.ask_token("oidc", job(issuer, event_name="pull_request"), SCOPE).get_json()["token"]
    assert claims(token)["access"][0]["actions"] == ["pull"]


def test_a_pull_request_administers_nothing(trusting: Guarded, issuer: Issuer) -> None:
    robot = principals.get(trusting.services.database, "app")
    assert robot
    grants.add(trusting.services.database, robot.id, "team/**", "admin")
    form = {"grant_type": "refresh_token", "scope": SCOPE}
    for event, expected in (("push", 200), ("pull_request", 403), ("pull_request_target", 401)):
        identity = job(issuer, event_name=event)
        answer = trusting.ask_token("oidc", identity, SCOPE, offline_token="true")
        headers = [{"Authorization": basic("oidc", identity)}]
        if answer.status_code == 200:
            again = trusting.request(
                "POST", "/token", data={**form, "refresh_token": answer.get_json()["refresh_token"]}
            )
            headers += [trusting.as_bearer(token["token"]) for token in (answer.get_json(), again.get_json())]
        for each in headers:
            assert trusting.get("/api/v1/grants?namespace=team", headers=each).status_code == expected, event


def test_an_issuer_that_is_down_is_no_refusal(trusting: Guarded, issuer: Issuer) -> None:
    issuer.mood = "down"
    answer = trusting.ask_token("oidc", job(issuer), SCOPE)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    robot = principals.get(trusting.services.database, "app")
    assert robot
    assert trusting.ask_token("app", trusting.secret_of(robot.id), SCOPE).status_code == 200


KEY: Final = rsa_key()


@pytest.fixture
def external(environment: dict[str, str], api_function: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry that takes GitLab's tokens."""
    chosen = {
        **environment,
        "SLIPWAY_ACCESS": "external",
        "SLIPWAY_SERVICE": "container_registry",
        "SLIPWAY_TOKEN_REALM": "https://gitlab.example/jwt/auth",
        "SLIPWAY_PEPPER": "a pepper",
        "SLIPWAY_EXTERNAL_ISSUER": "omnibus-gitlab-issuer",
        "SLIPWAY_EXTERNAL_KEYS": public_pem(KEY),
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    services: Services = made_services()
    yield Registry(api_function, services)
    forget_services()


def rails(actions: list[str], **meta: Any) -> dict[str, str]:
    now = int(time.time())
    document = {
        "iss": "omnibus-gitlab-issuer",
        "aud": "container_registry",
        "sub": "root",
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
        "access": [{"type": "repository", "name": "team/app", "actions": actions, "meta": meta or None}],
    }
    kid = VerificationKey.of(KEY.public_key()).fingerprint
    return {"Authorization": f"Bearer {jwt.encode(document, KEY, algorithm='RS256', headers={'kid': kid})}"}


def put(registry: Registry, tag: str, image: Image, headers: dict[str, str]) -> TestResponse:
    path = f"/v2/team/app/manifests/{tag}"
    return registry.request("PUT", path, data=image.manifest, content_type=OCI_MANIFEST, headers=headers)


def test_gitlabs_tokens_open_what_they_say_and_protect_what_they_say(external: Registry) -> None:
    image, push = Image(), rails(["pull", "push"])
    challenge = external.get("/v2/team/app/tags/list").headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="https://gitlab.example/jwt/auth",service="container_registry"')
    for content in image.blobs:
        path = f"/v2/team/app/blobs/uploads/?digest={Digest.of(content)}"
        assert external.request("POST", path, data=content, headers=push).status_code == 201
    assert put(external, "v1", image, push).status_code == 201
    assert external.get("/v2/team/other/tags/list", headers=push).status_code == 401
    assert external.request("DELETE", "/v2/team/app/manifests/v1", headers=push).status_code == 401
    assert external.get("/v2/_catalog", headers=push).status_code == 403
    assert external.get("/token?scope=x").status_code == 404
    for what in ("grants", "grants?namespace=team", "gc"):
        assert external.get(f"/api/v1/{what}", headers=rails(["*"])).status_code == 403, "it is nobody's administrator"

    protected = rails(["pull", "push"], tag_deny_access_patterns={"push": ["^v"], "delete": []})
    assert put(external, "v2", image, protected).status_code == 403
    assert put(external, "w2", image, protected).status_code == 201
    immutable = rails(["*"], tag_immutable_patterns=["^v"])
    assert put(external, "v3", image, immutable).status_code == 201
    assert put(external, "v3", image, immutable).status_code == 403
    assert external.request("DELETE", "/v2/team/app/manifests/v3", headers=immutable).status_code == 403
    assert external.request("DELETE", f"/v2/team/app/manifests/{image.digest}", headers=immutable).status_code == 403
    assert external.request("DELETE", "/v2/team/app/manifests/w2", headers=immutable).status_code == 202


def test_gitlabs_patterns_hold_where_many_tags_are_deleted_and_where_all_are(external: Registry) -> None:
    image, anything = Image(layers=()), rails(["*"])
    path = f"/v2/team/app/blobs/uploads/?digest={image.blob_digests[0]}"
    assert external.request("POST", path, data=image.config, headers=anything).status_code == 201
    for tag in ("v1", "w2"):
        assert put(external, tag, image, anything).status_code == 201
    limited = rails(["*"], tag_immutable_patterns=["^v"])
    where, document = "/api/v1/repositories/team/app", {"tags": ["v1", "w2"]}
    answer = external.request("POST", f"{where}/-/delete-tags", json=document, headers=limited)
    assert answer.get_json()["tags"] == [
        {"name": "v1", "outcome": "refused", "reason": "the token protects tag v1 against deletion"},
        {"name": "w2", "outcome": "deleted"},
    ]
    assert external.request("DELETE", where, headers=limited).status_code == 403
    assert external.request("DELETE", where, headers=rails(["pull", "push"])).status_code == 401
    assert external.request("DELETE", where, headers=anything).status_code == 200
