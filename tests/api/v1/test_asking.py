"""Who somebody is, what they may do and why; a search; and waking the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from functions.registry.auth import accounts
from functions.registry.auth.accounts import NewAccount
from functions.registry.events.trigger import Trigger
from functions.registry.metadata.access import grants, principals, rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.lists import searches
from functions.registry.oci.media_type import OCI_INDEX
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import push_image
from tests.metadata.list_rows import fill_repositories, known_repositories
from tests.security.people import Guarded, basic
from tests.support import Registry, index_of

WHOAMI = "/api/v1/whoami"


def test_who_asks(guarded: Guarded) -> None:
    boss = {"Authorization": basic("boss", guarded.robot("boss", is_admin=True))}
    owner = {"Authorization": basic("owner", guarded.robot("owner", ("team/**", "admin"), ("a/b", "reader")))}
    anonymous = guarded.as_bearer(guarded.token(None, None, "registry:catalog:*"))
    assert guarded.get(WHOAMI, headers=boss).get_json() == {
        "kind": "user", "name": "boss", "is_admin": True, "namespaces": [],
    }  # fmt: skip
    assert guarded.get(WHOAMI, headers=owner).get_json() == {
        "kind": "robot", "name": "owner", "is_admin": False, "namespaces": ["team"],
    }  # fmt: skip
    assert guarded.get(WHOAMI, headers=anonymous).get_json()["kind"] == "anonymous"
    assert guarded.get(WHOAMI).status_code == 401


def test_in_an_open_registry_everybody_administers(registry: Registry) -> None:
    assert registry.get(WHOAMI).get_json() == {"kind": "open", "name": None, "is_admin": True, "namespaces": []}
    assert registry.statements("GET", WHOAMI) == []


@dataclass(frozen=True)
class Boss:
    """Who administers a registry in token mode."""

    registry: Guarded
    headers: dict[str, str]


@pytest.fixture
def boss(guarded: Guarded) -> Boss:
    return Boss(guarded, {"Authorization": basic("boss", guarded.robot("boss", is_admin=True))})


def explained(boss: Boss, action: str, tag: str | None = None, **query: str) -> dict[str, Any]:
    asked = {"action": action, "repository": "team/app", **({"tag": tag} if tag else {}), **query}
    answer = boss.registry.get("/api/v1/explain", query_string=asked, headers=boss.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_the_grant_of_the_best_role_is_named(boss: Boss) -> None:
    database = boss.registry.services.database
    robot = accounts.create(database, NewAccount("robot", "ci"))
    assert explained(boss, "pull", principal="ci")["reason"] == "no grant gives robot:ci a role in team/app"
    grants.add(database, None, "team/*", "reader")
    assert explained(boss, "pull")["allowed"]
    made = grants.add(database, robot.id, "team/**", "writer")
    found = explained(boss, "push", principal="ci")
    assert found == {
        "principal": "ci", "action": "push", "repository": "team/app", "tag": None, "allowed": True,
        "reason": "ci has the role writer in team/**",
        "grant": {"id": made, "principal": "ci", "repositories": "team/**", "role": "writer"},
    }  # fmt: skip
    refused = explained(boss, "delete", principal="ci")
    assert (refused["allowed"], refused["reason"]) == (
        False,
        "ci has the role writer in team/**, which is not enough to delete",
    )
    principals.disable(database, robot.id)
    assert "disabled" in explained(boss, "pull", principal="ci")["reason"]


def test_the_rule_that_stands_against_it_is_named(boss: Boss) -> None:
    database = boss.registry.services.database
    accounts.create(database, NewAccount("user", "alice", is_admin=True))
    accounts.create(database, NewAccount("user", "bob", is_admin=True))
    assert explained(boss, "delete", "v1", principal="alice")["reason"] == "user:alice administers the registry"
    rules.add(database, NewRule("releases", 0, "immutable", "team/*", "v*"))
    assert explained(boss, "push", "v1", principal="alice")["allowed"]
    push_image(database, RepositoryName("team/app"), "v0")
    for action in ("push", "delete"):
        found = explained(boss, action, "v0", principal="alice")
        assert (found["allowed"], '"releases"' in found["reason"]) == (False, True)
    assert explained(boss, "delete", principal="alice")["allowed"]


def test_in_an_open_registry_only_rules_stand_against_anybody(registry: Registry) -> None:
    query = "/api/v1/explain?action=delete&repository=team/app&tag=v1"
    assert registry.get(query).get_json()["reason"] == "the registry is open: everybody has every right"
    rules.add(registry.services.database, NewRule("releases", 0, "immutable", "team/*", "v*"))
    assert not registry.get(query).get_json()["allowed"]


def test_an_explanation_says_what_then_happens(guarded: Guarded) -> None:
    """Asked before a push and a delete by everybody, of a tag with a rule and of one without."""
    boss = {"Authorization": basic("boss", guarded.robot("boss", is_admin=True))}
    roles = {role: guarded.robot(role, ("team/*", role)) for role in ("reader", "writer", "maintainer")}
    database = guarded.services.database
    rules.add(database, NewRule("releases", 0, "protected", "team/*", "v*", "maintainer"))
    for role, secret in roles.items():
        token = guarded.as_bearer(guarded.token(role, secret, "repository:team/app:pull,push,delete"))
        for action, tag in (("pull", None), ("push", "v1"), ("push", "main"), ("delete", "main")):
            query = {"principal": role, "action": action, "repository": "team/app", **({"tag": tag} if tag else {})}
            allowed = guarded.get("/api/v1/explain", query_string=query, headers=boss).get_json()["allowed"]
            method = {"pull": "GET", "push": "PUT", "delete": "DELETE"}[action]
            body = {"data": index_of(), "content_type": OCI_INDEX} if action == "push" else {}
            done = guarded.request(method, f"/v2/team/app/manifests/{tag or 'main'}", headers=token, **body)
            assert allowed == (done.status_code not in {401, 403}), (role, action, tag, done.text)


@pytest.mark.parametrize(
    "query",
    ["", "action=push", "action=fly&repository=a/b", "action=push&repository=A", "action=push&repository=a&tag=:"],
)
def test_what_makes_no_sense_is_refused(registry: Registry, query: str) -> None:
    assert registry.get(f"/api/v1/explain?{query}").status_code == 400


def test_an_administrator_of_a_namespace_asks_about_it_alone(guarded: Guarded) -> None:
    headers = {"Authorization": basic("owner", guarded.robot("owner", ("team/**", "admin")))}
    database = guarded.services.database
    principals.create_user(database, "alice")
    other = principals.create_robot(database, "other+ci", "other")

    def status(principal: str, repository: str = "team/app") -> int:
        query = {"principal": principal, "action": "pull", "repository": repository}
        return guarded.get("/api/v1/explain", query_string=query, headers=headers).status_code

    assert (status("alice"), status("alice", "other/app"), status("alice", "team")) == (200, 403, 403)
    assert status("other+ci") == status("nobody-at-all") == 404
    grants.add(database, other.id, "team/*", "reader")
    assert status("other+ci") == 200


def test_an_explanation_costs_two_statements(registry: Registry) -> None:
    accounts.create(registry.services.database, NewAccount("robot", "ci"))
    path = "/api/v1/explain?action=push&repository=team/app&tag=v1"
    assert registry.statements("GET", f"{path}&principal=ci") == ["principals_get", "decisions_decide"]
    assert registry.statements("GET", path) == ["decisions_decide"]


def found(registry: Registry, text: str, **options: Any) -> tuple[list[str], bool]:
    answer = registry.get("/api/v1/search", query_string={"q": text}, **options)
    assert answer.status_code == 200, answer.text
    document = answer.get_json()
    return [item["name"] for item in document["results"]], document["complete"]


def test_repositories_are_found_by_any_part_of_their_name(registry: Registry) -> None:
    fill_repositories(registry.services.database, 30)
    names = known_repositories(registry.services.database).sorted_by("name")
    for text in ("r1", "ash/", "ash/r03", "cedar", "nowhere"):
        assert found(registry, text) == ([name for name in names if text in name][:20], True)
    assert found(registry, "r") == (names[:20], len(names) <= 20)
    assert registry.statements("GET", "/api/v1/search?q=r") == ["searches_repositories"]


def test_a_search_gives_up_after_many_names(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_repositories(registry.services.database, 9)
    monkeypatch.setattr(searches, "_REACH", 3)
    assert found(registry, "nowhere") == ([], False)


def test_tags_are_found_by_how_they_begin(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    for tag in ("v10", "v2", "latest"):
        registry.put_manifest("team/app", tag, image.manifest)
    assert found(registry, "team/app:v1") == (["team/app:v1", "team/app:v10"], True)
    assert found(registry, "team/app:") == ([f"team/app:{tag}" for tag in ("latest", "v1", "v10", "v2")], True)
    assert found(registry, "team/ap:v") == ([], True)
    answer = registry.get("/api/v1/search?q=team/app:v2").get_json()["results"]
    assert answer == [{"name": "team/app:v2", "kind": "tag", "digest": str(image.digest)}]
    assert registry.statements("GET", "/api/v1/search?q=a:b") == ["searches_tags"]


def test_tags_are_found_by_the_end_of_their_repositorys_name(registry: Registry) -> None:
    for name in ("app", "team/app", "other/app", "team/apple", "team/myapp"):
        registry.push_image(name, "2")
        registry.push_image(name, "1")

    def found(text: str) -> list[str]:
        answer = registry.get("/api/v1/search", query_string={"q": text}).get_json()
        assert answer["complete"]
        return [result["name"] for result in answer["results"]]

    assert found("app:2") == ["app:2", "other/app:2", "team/app:2"]
    assert found("team/app:") == ["team/app:1", "team/app:2"]


def test_a_search_finds_what_one_may_pull_from(guarded: Guarded) -> None:
    owner = guarded.as_bearer(guarded.token("boss", guarded.robot("boss", is_admin=True), "registry:catalog:*"))
    fill_repositories(guarded.services.database, 12)
    secret = guarded.robot("ci", ("ash/**", "reader"))
    names, _ = found(guarded, "r0", headers=owner)
    seen, _ = found(guarded, "r0", headers=guarded.as_bearer(guarded.token("ci", secret)))
    assert seen == [name for name in names if name.startswith("ash/")]
    anonymous = guarded.as_bearer(guarded.token(None, None, "registry:catalog:*"))
    assert found(guarded, "r0", headers=anonymous) == ([], True)


@pytest.mark.parametrize("text", ["", "A", "a:b:c", "a" * 256, "a:" + "b" * 129, "a%00"])
def test_a_text_that_no_name_can_have_is_refused(registry: Registry, text: str) -> None:
    assert registry.get(f"/api/v1/search?q={text}").status_code == 400


@pytest.fixture
def triggers(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> list[bool]:
    """What came of each trigger that was published: true for those that arrived."""
    environment["SLIPWAY_TOPIC"] = "a-topic"
    outcomes: list[bool] = []

    def publish(_: Trigger) -> bool:
        outcomes.append(True)
        return outcomes[-1]

    monkeypatch.setattr(Trigger, "publish", publish)
    return outcomes


def test_garbage_collection_is_woken_once_a_minute(triggers: list[bool], registry: Registry) -> None:
    answer = registry.request("POST", "/api/v1/gc/runs", json={})
    assert (answer.status_code, answer.get_json()) == (202, {"state": "woken"})
    again = registry.request("POST", "/api/v1/gc/runs", json={})
    assert (again.status_code, again.headers["Retry-After"], len(triggers)) == (429, "60", 1)
    entry = registry.get("/api/v1/audit").get_json()["entries"][0]
    assert (entry["action"], entry["outcome"]) == ("gc.run", "success")
    assert registry.statements("POST", "/api/v1/gc/runs", json={}) == ["audit_done"]


def test_a_gc_trigger_that_is_lost_is_told_of(
    triggers: list[bool], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trigger, "publish", lambda _: False)
    assert registry.request("POST", "/api/v1/gc/runs", json={}).status_code == 503
    assert registry.get("/api/v1/audit").get_json()["entries"] == []
    assert triggers == []


def test_without_a_topic_nothing_can_be_woken(registry: Registry) -> None:
    assert registry.request("POST", "/api/v1/gc/runs", json={}).status_code == 409
