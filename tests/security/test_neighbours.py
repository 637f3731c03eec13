"""Namespaces whose administrators don't trust each other: what one of them does never changes what another one has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.metadata.access import principals, trusted_publishers
from tests.issuer import Issuer, serve
from tests.security.people import Guarded, basic, claims

SCOPE: Final = "repository:victim/app:pull,push"
JOB: Final = {"repository_id": "77", "repository_owner_id": "7", "ref": "refs/heads/main", "event_name": "push"}
EXCHANGE: Final = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Comes before the registry, which reads of it in its settings."""
    with serve() as running:
        monkeypatch.setenv("SLIPWAY_OIDC_ISSUERS", running.address)
        monkeypatch.setenv("SLIPWAY_TENANT_CLAIMS", f"{running.address}=repository_id,repository_owner_id")
        yield running


class Neighbours:
    """The namespaces victim and evil, each with an administrator and a robot."""

    def __init__(self, guarded: Guarded) -> None:
        self.guarded = guarded
        self.heads = {
            name: {"Authorization": basic(name, guarded.robot(name, (f"{namespace}/**", "admin")))}
            for name, namespace in (("victor", "victim"), ("mallory", "evil"))
        }
        assert self.ask("victor", "principals", kind="robot", name="victim+ci", namespace="victim").status_code == 201
        assert self.ask("mallory", "principals", kind="robot", name="evil+ci", namespace="evil").status_code == 201
        assert self.grant("victor", "victim+ci", "victim/**", "writer").status_code == 201

    def ask(self, who: str, what: str, method: str = "POST", **document: Any) -> TestResponse:
        return self.guarded.request(method, f"/api/v1/{what}", headers=self.heads[who], json=document or None)

    def grant(self, who: str, principal: str, pattern: str, role: str, **more: str) -> TestResponse:
        return self.ask(who, "grants", principal=principal, repositories=pattern, role=role, **more)

    def trust(self, who: str, robot: str, issuer: Issuer, **wanted: str) -> TestResponse:
        return self.ask(who, f"principals/{robot}/trusted_publishers", issuer=issuer.address, claims=wanted)

    def job(self, issuer: Issuer, name: str = "oidc", *scopes: str) -> TestResponse:
        return self.guarded.ask_token(name, issuer.token(aud="slipway", **JOB), *(scopes or (SCOPE,)))


@pytest.fixture
def neighbours(issuer: Issuer, guarded: Guarded) -> Neighbours:  # noqa: ARG001  # the issuer is started first
    return Neighbours(guarded)


def whose(answer: TestResponse) -> tuple[str, list[str]]:
    assert answer.status_code == 200, answer.text
    said = claims(answer.get_json()["token"])
    return said["slipway"]["name"], said["access"][0]["actions"]


@pytest.mark.parametrize("more", [{}, {"ref": "*"}, {"ref": "refs/heads/main", "event_name": "push", "sub": ""}])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_no_trusted_publisher_of_a_neighbour_takes_a_job(
    neighbours: Neighbours, issuer: Issuer, more: dict[str, str], *, is_first: bool
) -> None:
    """Whenever it is made, and however many claims it has."""
    wanted = {"repository_id": "77", "repository_owner_id": "7", **more}
    if "sub" in wanted:
        wanted["sub"] = issuer.claims()["sub"]
    if is_first:
        assert neighbours.trust("mallory", "evil+ci", issuer, **wanted).status_code == 201
    assert neighbours.trust("victor", "victim+ci", issuer, repository_id="77").status_code == 201
    expected = ("victim+ci", ["pull", "push"])
    assert whose(neighbours.job(issuer)) == expected
    if not is_first:
        assert neighbours.trust("mallory", "evil+ci", issuer, **wanted).status_code == 201
    neighbours.grant("mallory", "evil+ci", "evil/**", "admin")
    assert whose(neighbours.job(issuer)) == expected
    assert whose(neighbours.job(issuer, "oidc+victim+ci")) == expected
    form = {**EXCHANGE, "subject_token": issuer.token(aud="slipway", **JOB), "scope": SCOPE}
    assert whose(neighbours.guarded.request("POST", "/token", data=form)) == expected


def test_a_job_that_could_be_of_either_is_told_to_say_which(neighbours: Neighbours, issuer: Issuer) -> None:
    for who, robot in (("victor", "victim+ci"), ("mallory", "evil+ci")):
        assert neighbours.trust(who, robot, issuer, repository_id="77").status_code == 201
    answer = neighbours.job(issuer, "oidc", "registry:catalog:*")
    assert (answer.status_code, "oidc+ROBOT" in answer.text) == (401, True)
    assert neighbours.job(issuer, "oidc+victim+ci", "registry:catalog:*").status_code == 200
    identity = issuer.token(aud="slipway", **JOB)
    for robot, expected in (("", 401), ("victim+ci", 200), ("nobody", 401)):
        form = {**EXCHANGE, "subject_token": identity, "robot": robot}
        assert neighbours.guarded.request("POST", "/token", data=form).status_code == expected


def test_a_robot_that_does_not_trust_the_job_is_not_to_be_had_by_its_name(
    neighbours: Neighbours, issuer: Issuer
) -> None:
    assert neighbours.trust("mallory", "evil+ci", issuer, repository_id="77").status_code == 201
    for name in ("oidc+victim+ci", "oidc+mallory", "oidc+nobody"):
        answer = neighbours.job(issuer, name)
        assert (answer.status_code, "no robot" in answer.text) == (401, True)


@pytest.mark.parametrize("wanted", [{"event_name": "push"}, {"iss": "x", "aud": "slipway"}, {"sub": "repo:octo/app"}])
def test_a_trusted_publisher_names_a_tenant_whatever_the_issuer(
    neighbours: Neighbours, issuer: Issuer, wanted: dict[str, str]
) -> None:
    answer = neighbours.trust("mallory", "evil+ci", issuer, **wanted)
    assert (answer.status_code, "repository_id or repository_owner_id" in answer.text) == (400, True)


def test_a_trusted_publisher_that_names_no_tenant_and_is_there_already_opens_nothing(
    neighbours: Neighbours, issuer: Issuer
) -> None:
    evil = principals.get(neighbours.guarded.services.database, "evil+ci")
    assert evil is not None
    trusted_publishers.add(neighbours.guarded.services.database, evil.id, issuer.address, {"event_name": "push"})
    assert neighbours.job(issuer).status_code == 401


@pytest.mark.parametrize("name", ["victim-ci", "victim+other", "ci", "evil-ci", "evil", "evilx+ci"])
def test_a_robots_name_begins_with_its_namespace(neighbours: Neighbours, name: str) -> None:
    answer = neighbours.ask("mallory", "principals", kind="robot", name=name, namespace="evil")
    assert (answer.status_code, "evil+" in answer.text) == (400, True)


def test_nobody_is_called_as_a_way_to_sign_in(neighbours: Neighbours) -> None:
    root = {"Authorization": basic("root", neighbours.guarded.robot("root", is_admin=True))}
    for name in ("oidc+victim", "oauth2accesstoken+x", "oidc"):
        answer = neighbours.guarded.request(
            "POST", "/api/v1/principals", headers=root, json={"kind": "robot", "name": name}
        )
        assert answer.status_code == 400


def test_a_robot_of_elsewhere_is_granted_something_only_if_that_is_meant(neighbours: Neighbours) -> None:
    """One that has the name that was expected of one's own may be another namespace's."""
    principals.create_robot(neighbours.guarded.services.database, "victim-deploy", "evil")
    for more, expected in (({}, 404), ({"namespace": "victim"}, 404), ({"namespace": "evil"}, 201)):
        answer = neighbours.grant("victor", "victim-deploy", "victim/**", "writer", **more)
        assert answer.status_code == expected, answer.text
    assert answer.get_json()["namespace"] == "evil"
    root = {"Authorization": basic("root", neighbours.guarded.robot("root", is_admin=True))}
    document = {"principal": "victim-deploy", "repositories": "victim/**", "role": "reader"}
    answer = neighbours.guarded.request("POST", "/api/v1/grants", headers=root, json=document)
    assert (answer.status_code, "of the namespace evil" in answer.text) == (400, True)


def test_a_neighbours_robots_are_not_told_of(neighbours: Neighbours) -> None:
    """Whatever is asked about one that is there, and about one that isn't."""
    for name in ("victim+ci", "victim+none"):
        granted = neighbours.grant("mallory", name, "evil/x", "reader")
        assert (granted.status_code, granted.text.replace(name, "NAME").count("NAME")) == (404, 1)
        listed = neighbours.ask("mallory", f"grants?namespace=evil&principal={name}", "GET")
        assert (listed.status_code, listed.get_json()) == (200, {"grants": []})
        assert neighbours.ask("mallory", f"principals/{name}", "GET").status_code == 403
