"""Administrators of a namespace: what is theirs, and what they meet who want more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.metadata.access import audit, credentials, grants, principals, rules, trusted_publishers
from functions.registry.metadata.access.audit import Filter
from functions.registry.metadata.access.rules import NewRule
from functions.registry.oci.media_type import OCI_INDEX
from functions.registry.oci.page import Page
from tests.security.people import Guarded, basic, claims
from tests.support import index_of

GITLAB: Final = "https://gitlab.com"
JOB: Final = {"project_id": "1"}


@dataclass(frozen=True)
class Person:
    """Somebody who asks, by Basic credentials as scripts do."""

    guarded: Guarded
    name: str
    secret: str

    def ask(self, method: str, path: str, **document: object) -> TestResponse:
        headers = {"Authorization": basic(self.name, self.secret)}
        more: dict[str, Any] = {"json": document} if document else {}
        return self.guarded.request(method, f"/api/v1/{path}", headers=headers, **more)

    def get(self, path: str) -> Any:
        response = self.ask("GET", path)
        assert response.status_code == 200, response.text
        return response.get_json()

    def add(self, path: str, **document: object) -> Any:
        response = self.ask("POST", path, **document)
        assert response.status_code == 201, response.text
        return response.get_json()

    def status(self, method: str, path: str, **document: object) -> int:
        return self.ask(method, path, **document).status_code


@pytest.fixture
def lead(guarded: Guarded) -> Person:
    """Administers `team`."""
    return Person(guarded, "lead", guarded.robot("lead", ("team/**", "admin")))


@pytest.fixture
def root(guarded: Guarded) -> Person:
    """Administers the registry."""
    return Person(guarded, "root", guarded.robot("root", is_admin=True))


@pytest.fixture
def theirs(guarded: Guarded) -> str:
    """A robot of another namespace, with a right there; its secret."""
    database = guarded.services.database
    robot = principals.create_robot(database, "theirs", "other")
    grants.add(database, robot.id, "other/**", "writer")
    return guarded.secret_of(robot.id)


def opened(guarded: Guarded, name: str, secret: str, *repositories: str) -> dict[str, list[str]]:
    token = guarded.token(name, secret, *(f"repository:{each}:pull,push,delete" for each in repositories))
    return {entry["name"]: entry["actions"] for entry in claims(token)["access"]}


# ---- what is theirs


def test_a_robot_is_made_given_a_right_and_taken_away(lead: Person) -> None:
    made = lead.add("principals", kind="robot", name="team+ci", namespace="team")
    assert (made["namespace"], made["is_admin"]) == ("team", False)
    secret = lead.add("principals/team+ci/secrets", name="runner")
    publisher = lead.add("principals/team+ci/trusted_publishers", issuer=GITLAB, claims=JOB)
    grant = lead.add("grants", principal="team+ci", repositories="team/**", role="writer")
    assert opened(lead.guarded, "team+ci", secret["secret"], "team/a/b") == {"team/a/b": ["pull", "push"]}
    assert [each["name"] for each in lead.get("principals?namespace=team")["principals"]] == ["team+ci"]
    assert [each["id"] for each in lead.get("principals/team+ci/secrets")["secrets"]] == [secret["id"]]
    assert [each["id"] for each in lead.get("principals/team+ci/trusted_publishers")["trusted_publishers"]] == [
        publisher["id"]
    ]
    assert lead.status("DELETE", f"grants/{grant['id']}") == 204
    assert opened(lead.guarded, "team+ci", secret["secret"], "team/a/b") == {}
    assert lead.status("DELETE", f"principals/team+ci/trusted_publishers/{publisher['id']}") == 204
    assert lead.status("DELETE", f"principals/team+ci/secrets/{secret['id']}") == 204
    assert lead.guarded.ask_token("team+ci", secret["secret"]).status_code == 401
    assert lead.status("PATCH", "principals/team+ci", disabled=True) == 200
    assert lead.status("PATCH", "principals/team+ci", disabled=False) == 200
    assert lead.status("DELETE", "principals/team+ci") == 204
    assert lead.status("GET", "principals/team+ci") == 403, "as if it were somebody else's"


def test_whoever_has_a_name_can_be_given_a_right_in_the_namespace(lead: Person, theirs: str) -> None:
    lead.add("grants", principal="theirs", repositories="team/app", role="admin", namespace="other")
    assert opened(lead.guarded, "theirs", theirs, "team/app", "team/x") == {"team/app": ["delete", "pull", "push"]}
    lead.add("grants", principal=None, repositories="team/public/*", role="reader")
    assert lead.status("POST", "grants", principal="nobody", repositories="team/a", role="reader") == 404
    assert lead.status("POST", "grants", principal=None, repositories="team/a", role="writer") == 400


@pytest.mark.usefixtures("theirs")
def test_lists_have_what_is_of_the_namespace_alone(lead: Person, root: Person) -> None:
    database = lead.guarded.services.database
    for pattern in ("**", "t**", "team", "team*/**", "teams/a", "tea/m", "team-x/a", "team.x/a", "team0", "other/**"):
        grants.add(database, None, pattern, "reader")
        rules.add(database, NewRule(f"for {pattern}", 1, "exempt", pattern))
    for number, pattern in enumerate(("team/**", "team/a", "team/*/c")):
        grants.add(database, None, pattern, "reader")
        rules.add(database, NewRule(f"for {pattern}", number, "exempt", pattern))
    shown = lead.get("grants?namespace=team")["grants"]
    assert sorted(each["repositories"] for each in shown) == ["team/**", "team/**", "team/*/c", "team/a"]
    assert [each["repositories"] for each in lead.get("rules?namespace=team")["rules"]] == [
        "team/**", "team/a", "team/*/c",
    ]  # fmt: skip
    assert lead.get("principals?namespace=team") == {"principals": []}
    [own] = lead.get("grants?namespace=team&principal=lead")["grants"]
    assert own["role"] == "admin"
    assert lead.get("grants?namespace=team&principal=theirs") == {"grants": []}
    assert root.get("grants?namespace=team") == {"grants": shown}
    assert len(root.get("rules")["rules"]) == 13


def test_a_list_goes_on_within_the_namespace(lead: Person) -> None:
    for name in ("team/a", "team/b", "team/c", "zoo/a"):
        grants.add(lead.guarded.services.database, None, name, "reader")
    found, path = [], "grants?n=2&namespace=team"
    while path:
        response = lead.ask("GET", path)
        found.append([each["repositories"] for each in response.get_json()["grants"]])
        path = response.headers.get("Link", "").partition("<")[2].partition(">")[0].removeprefix("/api/v1/")
    assert found == [["team/**", "team/a"], ["team/b", "team/c"]]


def test_the_trail_tells_of_the_namespace_and_of_nothing_else(lead: Person, root: Person, theirs: str) -> None:
    root.add("grants", principal="theirs", repositories="other/x", role="reader")
    root.add("rules", name="everywhere", kind="exempt", repositories="**")
    root.add("principals/theirs/secrets", name="theirs")
    lead.add("principals", kind="robot", name="team+ci", namespace="team")
    lead.add("principals/team+ci/secrets", name="one")
    lead.add("grants", principal="team+ci", repositories="team/a", role="reader")
    lead.add("rules", name="releases", kind="immutable", repositories="team/*")
    headers = lead.guarded.as_bearer(lead.guarded.token("theirs", theirs, "repository:team/x:pull"))
    assert lead.guarded.get("/v2/team/x/tags/list", headers=headers).status_code == 403
    assert lead.status("GET", "audit") == 403
    entries = lead.get("audit?namespace=team")["entries"]
    assert [(entry["action"], entry["resource"]) for entry in reversed(entries)] == [
        ("principal.add", "robot:team+ci"), ("secret.add", "robot:team+ci"), ("grant.add", "team/a"),
        ("rule.add", "releases"),
        ("tag.list", "team/x"),
    ]  # fmt: skip
    assert {entry["namespace"] for entry in entries} == {"team"}
    wanted = "resource=robot:team%2Bci&action=secret.add&principal=robot:lead"
    [found] = lead.get(f"audit?namespace=team&{wanted}")["entries"]
    assert found["details"]["name"] == "one"
    assert lead.get("audit?namespace=team&resource=robot:theirs") == {"entries": []}
    page = lead.ask("GET", "audit?namespace=team&n=2")
    assert "namespace=team" in page.headers["Link"]
    assert len(root.get("audit?namespace=other")["entries"]) == 2
    # What was refused stands in the registry's own trail, under the name of who tried.
    [refused] = root.get("audit?outcome=denied&principal=robot:lead")["entries"]
    assert refused["action"] == "audit.list"


@pytest.mark.parametrize("pattern", ["team/**", "te*/**", "**", "*/**", "team**", "t**/*", "*m/**", "**/*", "team/***"])
def test_a_pattern_that_covers_the_namespace_makes_an_administrator(guarded: Guarded, pattern: str) -> None:
    person = Person(guarded, "lead", guarded.robot("lead", (pattern, "admin")))
    assert person.status("GET", "grants?namespace=team") == 200
    assert person.status("GET", "grants") == 403, "not of the registry, however wide it is"
    assert person.status("POST", "grants", principal="lead", repositories="**", role="admin") == 403
    assert person.status("POST", "principals", kind="user", name="x", is_admin=True) == 403


@pytest.mark.parametrize(
    ("pattern", "role"),
    [("team/app", "admin"), ("team/*", "admin"), ("team/a**", "admin"), ("team/**/x", "admin"), ("team", "admin"),
     ("te*", "admin"), ("*", "admin"), ("*/*", "admin"), ("teams/**", "admin"), ("eam/**", "admin"),
     ("team/**", "maintainer"), ("**", "maintainer")],
)  # fmt: skip
def test_a_pattern_that_leaves_something_out_makes_none(guarded: Guarded, pattern: str, role: str) -> None:
    person = Person(guarded, "almost", guarded.robot("almost", (pattern, role)))
    assert person.status("GET", "grants?namespace=team") == 403
    assert person.status("POST", "grants", principal="almost", repositories="team/app", role="admin") == 403
    token = guarded.token("almost", person.secret, "repository:team/app:pull,push,delete")
    assert guarded.get("/api/v1/grants?namespace=team", headers=guarded.as_bearer(token)).status_code == 403


def test_to_be_asked_who_one_is_takes_one_statement(lead: Person) -> None:
    headers = lead.guarded.as_bearer(lead.guarded.token("lead", lead.secret))
    run = lead.guarded.statements("GET", "/api/v1/grants?namespace=team", headers=headers)
    assert run == ["grants_standing", "grants_list_of_namespace"]


# ---- what ends


def test_what_is_taken_away_is_gone_for_a_token_that_is_still_good(lead: Person) -> None:
    database = lead.guarded.services.database
    headers = lead.guarded.as_bearer(lead.guarded.token("lead", lead.secret))

    def status() -> int:
        return lead.guarded.get("/api/v1/grants?namespace=team", headers=headers).status_code

    assert status() == 200
    [own] = lead.get("grants?namespace=team")["grants"]
    assert lead.status("DELETE", f"grants/{own['id']}") == 204
    assert status() == 403
    robot = principals.get(database, "lead")
    assert robot
    grants.add(database, robot.id, "team/**", "admin")
    assert status() == 200
    principals.disable(database, robot.id)
    assert status() == 403
    principals.enable(database, robot.id)
    assert status() == 200
    principals.delete(database, robot.id)
    assert status() == 403


def test_an_administrator_of_the_registry_who_is_none_any_more_is_refused_at_once(root: Person) -> None:
    guarded, database = root.guarded, root.guarded.services.database
    second = Person(guarded, "second", guarded.robot("second", is_admin=True))
    headers = guarded.as_bearer(guarded.token("second", second.secret))
    assert guarded.get("/api/v1/grants", headers=headers).status_code == 200
    assert root.status("PATCH", "principals/second", disabled=True) == 200
    for path in ("/api/v1/grants", "/api/v1/gc"):
        assert guarded.get(path, headers=headers).status_code == 403
    document = {"kind": "user", "name": "third", "is_admin": True}
    assert guarded.request("POST", "/api/v1/principals", headers=headers, json=document).status_code == 403
    assert principals.get(database, "third") is None


# ---- what they meet who want more

BEYOND: Final = [
    "**", "*", "*/**", "team*/**", "team**", "t**", "te?m/**", "te*m/x", "team", "teams/x", "other/x", "**/team/x",
    "*team/x", "/team/x", "./team/x", "../team/x", "TEAM/x", "te\u0430m/x", "team\u2215x", "team\u200b/x", "team /x",
    "team\0/x", "team\n/x", "", "[t]eam/x", "(team|other)/x", "team|other/x",
]  # fmt: skip


@pytest.mark.parametrize("pattern", BEYOND)
def test_no_pattern_reaches_out_of_the_namespace(lead: Person, pattern: str) -> None:
    database = lead.guarded.services.database
    granted = lead.status("POST", "grants", principal="lead", repositories=pattern, role="admin")
    ruled = lead.status("POST", "rules", name="x", kind="exempt", repositories=pattern, position=1)
    assert {granted, ruled} <= {400, 403}
    assert [each.pattern for each in grants.list_page(database, 10)] == ["team/**"]
    assert rules.list_all(database) == []


@pytest.mark.parametrize("pattern", ["team/../other/x", "team/../../**", "team//other/x", "team/./**", "team/**/../x"])
def test_a_pattern_is_no_path(lead: Person, pattern: str) -> None:
    """Nothing is resolved: it matches what begins with the namespace, if anything."""
    lead.add("grants", principal="lead", repositories=pattern, role="admin")
    assert opened(lead.guarded, "lead", lead.secret, "other/x", "x", "other/team/x") == {}
    assert lead.status("GET", "grants?namespace=other") == 403


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    "namespace", ["", "other", "*", "te*", "**", "team/x", "team/..", "TEAM", "te%D0%B0m", "team%00", "team%0A", "%2A"]
)
def test_no_list_is_of_another_namespace(lead: Person, namespace: str) -> None:
    for what in ("grants", "rules", "principals", "audit"):
        assert lead.status("GET", f"{what}?namespace={namespace}") == 403, what
        assert lead.status("GET", what) == 403


def test_a_namespace_is_one_part_of_a_name(guarded: Guarded) -> None:
    person = Person(guarded, "lead", guarded.robot("lead", ("*m/**", "admin")))
    for namespace in ("x/m", "*m", "/m"):
        assert person.status("GET", f"grants?namespace={namespace}") == 403
        assert person.status("POST", "principals", kind="robot", name="x", namespace=namespace) == 403
    assert person.status("POST", "grants", principal="lead", repositories="*m/x", role="admin") == 403


def test_nobody_becomes_an_administrator_of_the_registry_by_it(lead: Person) -> None:
    for document in (
        {"kind": "user", "name": "x", "is_admin": True},
        {"kind": "user", "name": "x"},
        {"kind": "robot", "name": "x", "is_admin": True},
        {"kind": "robot", "name": "x", "namespace": "team", "is_admin": True},
        {"kind": "user", "name": "x", "namespace": "team", "is_admin": True},
        {"kind": "user", "name": "x", "namespace": "team"},
    ):
        assert lead.status("POST", "principals", **document) in {400, 403}, document
    for change in ({"is_admin": True}, {"disabled": False, "is_admin": True}, {"namespace": "team"}):
        assert lead.status("PATCH", "principals/lead", **change) in {400, 403}, change
    for role in ("administrator", "owner", "Admin", 5, ["admin"]):
        assert lead.status("POST", "grants", principal="lead", repositories="team/x", role=role) == 400
    assert lead.status("GET", "gc") == 403
    found = principals.list_page(lead.guarded.services.database, Page())
    assert [(each.name, each.is_admin) for each in found] == [("lead", False)]


def test_the_registrys_administrator_is_out_of_reach(lead: Person, root: Person) -> None:
    assert lead.status("PATCH", "principals/root", disabled=True) == 403
    assert lead.status("PATCH", "principals/root", password="a password of mine") == 403
    assert lead.status("DELETE", "principals/root") == 403
    assert lead.status("POST", "principals/root/secrets", name="mine") == 403
    assert root.status("GET", "grants") == 200


OTHERS: Final[list[tuple[str, str, dict[str, object]]]] = [
    ("GET", "", {}), ("PATCH", "", {"disabled": True}), ("PATCH", "", {"password": "a long enough one"}),
    ("PATCH", "", {"namespace": "team"}), ("DELETE", "", {}), ("GET", "/secrets", {}),
    ("POST", "/secrets", {"name": "mine"}), ("DELETE", "/secrets/{secret}", {}), ("GET", "/trusted_publishers", {}),
    ("POST", "/trusted_publishers", {"issuer": GITLAB, "claims": JOB}),
    ("DELETE", "/trusted_publishers/{trusted_publisher}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "rest", "document"), OTHERS)
def test_who_is_of_another_namespace_is_as_who_is_not_there(
    lead: Person, theirs: str, method: str, rest: str, document: dict[str, object]
) -> None:
    database = lead.guarded.services.database
    robot = principals.get(database, "theirs")
    assert robot
    principals.create_robot(database, "nobodys")
    publisher = trusted_publishers.add(database, robot.id, GITLAB, JOB)
    path = rest.format(secret=theirs.split("_")[1], trusted_publisher=publisher)
    told = set()
    for name in ("theirs", "nobodys", "nobody", "root"):
        answer = lead.ask(method, f"principals/{name}{path}", **document)
        assert answer.status_code in ({400, 403} if "namespace" in document else {403}), name
        told.add(answer.text.replace(name, "NAME"))
    assert len(told) == 1
    assert principals.get(database, "theirs") == robot
    assert len(credentials.list_secrets(database, robot.id)) == len(trusted_publishers.list_of(database, robot.id)) == 1
    assert lead.guarded.ask_token("theirs", theirs).status_code == 200


def test_what_is_anothers_is_not_reached_by_way_of_ones_own(lead: Person, theirs: str) -> None:
    database = lead.guarded.services.database
    robot = principals.get(database, "theirs")
    assert robot
    publisher = trusted_publishers.add(database, robot.id, GITLAB, JOB)
    lead.add("principals", kind="robot", name="team+ci", namespace="team")
    assert lead.status("DELETE", f"principals/team+ci/secrets/{theirs.split('_')[1]}") == 404
    assert lead.status("DELETE", f"principals/team+ci/trusted_publishers/{publisher}") == 404
    assert lead.guarded.ask_token("theirs", theirs).status_code == 200
    assert len(trusted_publishers.list_of(database, robot.id)) == 1
    assert lead.status("POST", "principals", kind="robot", name="theirs", namespace="team") == 400, (
        "whether there is one is not told"
    )


@pytest.mark.parametrize("namespace", [None, "other", "*", "te*", "team/x", "TEAM", "", "te\u0430m"])
def test_a_robot_is_made_in_ones_own_namespace(lead: Person, namespace: str | None) -> None:
    made = lead.status("POST", "principals", kind="robot", name="ci", namespace=namespace)
    assert made in {400, 403}
    assert lead.status("POST", "principals", kind="robot", name="ci") == 403
    assert principals.get(lead.guarded.services.database, "ci") is None


def test_grants_and_rules_of_others_stay(lead: Person, root: Person) -> None:
    database = lead.guarded.services.database
    for pattern in ("**", "other/x", "team*/**", "team"):
        grant = root.add("grants", principal="root", repositories=pattern, role="reader")["id"]
        rule = root.add("rules", name=f"for {pattern}", kind="exempt", repositories=pattern, position=5)["id"]
        refused = [lead.ask("DELETE", path) for path in (f"grants/{grant}", f"rules/{rule}", "grants/99999")]
        assert [answer.status_code for answer in refused] == [403, 403, 403]
        assert refused[0].text == refused[2].text
    assert lead.status("DELETE", "rules/99999") == 403
    assert len(grants.list_page(database, 10)) == 5
    assert len(rules.list_all(database)) == 4


def test_no_exception_is_made_to_the_registrys_rules(lead: Person, root: Person) -> None:
    everywhere = root.add("rules", name="releases", kind="protected", repositories="**", tags="v*")["id"]
    here = root.add("rules", name="kept", kind="protected", repositories="team/*", tags="kept")["id"]
    for position in (0, None):
        assert lead.status("POST", "rules", name="x", kind="exempt", repositories="team/**", position=position) in {
            400,
            403,
        }
    made = lead.add("rules", name="mine", kind="exempt", repositories="team/**")
    assert made["position"] == 1
    for rule in (everywhere, here):
        assert lead.status("DELETE", f"rules/{rule}") == 403
    headers = lead.guarded.as_bearer(lead.guarded.token("lead", lead.secret, "repository:team/app:pull,push"))

    def push(tag: str) -> int:
        path = f"/v2/team/app/manifests/{tag}"
        answer = lead.guarded.request("PUT", path, data=index_of(), content_type=OCI_INDEX, headers=headers)
        return answer.status_code

    assert [push("v1"), push("kept"), push("w1")] == [403, 403, 201]
    later = root.add("rules", name="later", kind="protected", repositories="**", tags="w*", position=2)
    assert push("w2") == 201, "a rule of the registry in a later position leaves room for exceptions"
    assert lead.status("DELETE", f"rules/{made['id']}") == 204
    assert push("w3") == 403
    assert lead.status("DELETE", f"rules/{later['id']}") == 403


def test_a_robot_that_administers_its_own_namespace_does_not_end_itself(guarded: Guarded) -> None:
    database = guarded.services.database
    robot = principals.create_robot(database, "ci", "team")
    grants.add(database, robot.id, "team/**", "admin")
    person = Person(guarded, "ci", guarded.secret_of(robot.id))
    assert person.status("DELETE", "principals/ci") == 409
    assert person.status("PATCH", "principals/ci", disabled=True) == 409
    assert person.status("POST", "principals/ci/secrets", name="another") == 201


@pytest.mark.usefixtures("theirs")
def test_every_attempt_is_in_the_trail(lead: Person) -> None:
    lead.status("POST", "grants", principal="lead", repositories="**", role="admin")
    lead.status("POST", "principals/theirs/secrets", name="mine")
    lead.status("POST", "principals", kind="user", name="x", is_admin=True)
    found = audit.list_page(lead.guarded.services.database, 10, Filter(principal="robot:lead"))
    assert [(entry.event.action, entry.event.outcome) for entry in found] == [
        ("principal.add", "denied"), ("secret.add", "denied"), ("grant.add", "denied"),
    ]  # fmt: skip
    assert all(entry.event.reason for entry in found)
