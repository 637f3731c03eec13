"""Access, the trail and operations: what administrators see, and what they change by forms."""

from __future__ import annotations

import re
from typing import Final

import pytest
from werkzeug.test import Client

from functions.registry.metadata.access import audit, credentials, grants, principals, rules
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from tests.api.console.browser import Browser, text_of
from tests.metadata.build import APP, push_image, set_grace
from tests.security.people import Guarded

NEW: Final = "/console/access/new"
SECRET: Final = re.compile(r"slp_[a-z0-9]{12}_[A-Za-z0-9_-]{43}_[A-Za-z0-9]{6}")


@pytest.fixture
def boss(visitor: Browser, guarded: Guarded) -> Browser:
    """Signed in as an administrator."""
    assert visitor.sign_in("boss", guarded.robot("boss", is_admin=True)).status_code == 303
    return visitor


@pytest.fixture
def owner(guarded: Guarded) -> Browser:
    """Signed in as an administrator of the namespace team alone."""
    made = principals.create_user(guarded.services.database, "ann")
    grants.add(guarded.services.database, made.id, "team/**", "admin")
    browser = Browser(Client(guarded.client.application), guarded.services)
    assert browser.sign_in("ann", guarded.secret_of(made.id)).status_code == 303
    return browser


def test_a_robot_for_github_is_made_in_one_form(boss: Browser) -> None:
    answer = boss.fill(
        NEW,
        NEW,
        kind="robot",
        name="team+ci",
        namespace="team",
        role="writer",
        repositories="team/**",
        way="github",
        **{"github-repository_id": "42", "github-ref": "refs/heads/main"},
    )
    assert answer.status_code == 200
    assert "docker login -u oidc+team+ci --password-stdin" in answer.text
    page = boss.page("/console/access/principals/team+ci")
    for said in ("repository_id=42", "ref=refs/heads/main", "team/**", "writer"):
        assert said in page
    asked = boss.page("/console/access/may?principal=team%2Bci&action=push&repository=team/app")
    assert "Yes" in text_of(asked)
    assert "No" in text_of(boss.page("/console/access/may?principal=team%2Bci&action=push&repository=other/app"))


def test_a_secret_is_shown_once_and_signs_in(boss: Browser, guarded: Guarded) -> None:
    made = boss.fill(NEW, NEW, kind="user", name="bob", role="reader", repositories="team/**", days="30").text
    [secret, *_] = SECRET.findall(made)
    address = "/console/access/principals/bob"
    assert not SECRET.search(boss.page(address))
    bob = Browser(Client(guarded.client.application), guarded.services)
    assert bob.sign_in("bob", secret).status_code == 303
    assert boss.fill(address, address, do="add-secret", label="laptop", days="").status_code == 200
    found = principals.get(guarded.services.database, "bob")
    assert found is not None
    first = credentials.list_secrets(guarded.services.database, found.id)[0]
    assert boss.fill(address, address, do="revoke-secret", secret=first.id).status_code == 303
    assert bob.get("/console/").status_code == 303, "the session ends with the secret that opened it"


def test_what_is_refused_is_said_and_what_was_typed_stays(boss: Browser) -> None:
    answer = boss.fill(NEW, NEW, kind="robot", name="team+ci", namespace="team", way="github", role="writer")
    assert answer.status_code == 400
    assert 'value="team+ci"' in answer.text
    assert boss.get("/console/access/principals/team+ci").status_code == 404, "nothing of it was made"
    wrong = {"kind": "robot", "name": "team+ci", "namespace": "team", "way": "secret", "repositories": "[", "days": "9"}
    assert boss.fill(NEW, NEW, role="writer", **wrong).status_code == 400
    assert boss.fill(NEW, NEW, role="writer", **{**wrong, "repositories": "team/**"}).status_code == 200
    again = boss.fill(NEW, NEW, role="writer", **{**wrong, "repositories": "team/**"})
    assert again.status_code == 400
    assert boss.get("/console/access/principals/team+ci").status_code == 200, "who was there before stays"
    grants_page = "/console/access/grants"
    refused = boss.fill(grants_page, grants_page, do="add", principal="", role="writer", repositories="team/**")
    assert "anyone may be reader" in refused.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"repositories": "team", "way": "secret", "days": "9"}, "write team/** for all of them"),
        ({"repositories": "other/**", "way": "secret", "days": "9"}, "write team/** for all of them"),
        ({"way": "github"}, "number is missing"),
        ({"way": "google"}, "number is missing"),
    ],
)
def test_a_robots_form_says_what_to_write_before_anything_is_made(
    boss: Browser, guarded: Guarded, fields: dict[str, str], said: str
) -> None:
    before = len(audit.list_page(guarded.services.database, 100))
    answer = boss.fill(NEW, NEW, kind="robot", name="team+ci", namespace="team", role="writer", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert len(audit.list_page(guarded.services.database, 100)) == before


def test_the_page_says_what_the_console_says_and_nothing_that_an_address_has(boss: Browser) -> None:
    address = "/console/access/principals/boss"
    told = boss.fill(address, address, do="add-secret", label="laptop", days="")
    assert told.status_code == 200
    page = "/console/access/grants"
    made = boss.fill(page, page, principal="", role="reader", repositories="public/**", do="add")
    where = made.headers["Location"]
    assert "Anyone is reader in public/** now." in text_of(boss.page(where))
    assert "Anyone is reader" not in text_of(boss.page(where.replace("proof=", "proof=0")))
    assert "evil.example" not in text_of(boss.page(f"{page}?said=Sign+in+at+evil.example"))
    assert "evil.example" not in text_of(boss.page(where.replace("Anyone", "evil.example")))


def test_what_is_done_in_the_console_is_done_by_whoever_signed_in(boss: Browser, guarded: Guarded) -> None:
    set_grace(guarded.services.database, undo=168)
    push_image(guarded.services.database, APP, "v1")
    tag = f"/console/r/{APP}/-/tags/v1"
    assert boss.fill(tag, tag, typed="v1").status_code == 200
    assert "user:boss" in boss.page("/console/lifecycle")
    assert "deleted by user:boss" in text_of(boss.page(f"/console/r/{APP}/-/history"))


def test_grants_and_rules_are_made_and_taken_away(boss: Browser, guarded: Guarded) -> None:
    database = guarded.services.database
    page = "/console/access/grants"
    assert boss.fill(page, page, principal="", role="reader", repositories="public/**", do="add").status_code == 303
    [grant] = [each for each in grants.list_page(database, 10) if each.pattern == "public/**"]
    assert boss.fill(page, page, do="remove", grant=str(grant.id)).status_code == 303
    assert not [each for each in grants.list_page(database, 10) if each.pattern == "public/**"]
    page = "/console/access/rules"
    made = boss.fill(page, page, name="stay", kind="immutable", repositories="team/**", tags="v*", role="", do="add")
    assert made.status_code == 303
    [rule] = rules.list_all(database)
    assert (rule.name, rule.tags, rule.role) == ("stay", "v*", None)
    assert boss.fill(page, page, do="remove", rule=str(rule.id)).status_code == 303
    assert rules.list_all(database) == []


def test_people_are_disabled_and_deleted_only_by_name(boss: Browser, guarded: Guarded) -> None:
    guarded.robot("ci")
    address = "/console/access/principals/ci"
    assert boss.fill(address, address, do="disable").status_code == 303
    assert "disabled" in boss.page(address)
    assert boss.fill(address, address, do="enable").status_code == 303
    assert "nothing was deleted" in boss.fill(address, address, do="remove", typed="c").text
    assert boss.fill(address, address, do="remove", typed="ci").status_code == 303
    assert boss.get(address).status_code == 404
    own = "/console/access/principals/boss"
    assert "nobody can delete themselves" in boss.fill(own, own, do="remove", typed="boss").text


def test_every_change_is_in_the_trail_with_its_way(boss: Browser, guarded: Guarded) -> None:
    boss.fill(NEW, NEW, kind="user", name="bob", role="reader", repositories="team/**", days="30")
    told = {entry.event.action: entry.event for entry in audit.list_page(guarded.services.database, 20)}
    for action in ("principal.add", "grant.add", "secret.add"):
        assert told[action].principal == "user:boss"
        assert told[action].details["via"] == "console"
    assert told["console.sign-in"].details["via"] == "secret"
    page = boss.page("/console/trail?action=grant.add")
    assert "grant.add" in page
    assert "principal.add" not in page
    assert boss.get("/console/trail?outcome=odd").status_code == 400


def test_an_administrator_of_a_namespace_sees_that_namespace_alone(owner: Browser, guarded: Guarded) -> None:
    guarded.robot("theirs")
    principals.create_robot(guarded.services.database, "team+ci", "team")
    for path in ("/console/access", "/console/access/grants", "/console/access/rules", "/console/trail"):
        assert owner.get(path).status_code == 403, path
        assert owner.get(f"{path}?namespace=team").status_code == 200, path
        assert owner.get(f"{path}?namespace=other").status_code == 403, path
    assert "theirs" not in owner.page("/console/access?namespace=team")
    assert owner.get("/console/access/principals/team+ci").status_code == 200
    assert owner.get("/console/access/principals/theirs").status_code == 403
    assert owner.get("/console/access/principals/nobody").status_code == 403
    for path in ("/console/usage", "/console/operations"):
        assert owner.get(path).status_code == 403, path
    made = owner.fill(NEW, NEW, kind="robot", name="team+new", namespace="other", way="secret", role="reader")
    assert made.status_code == 400


def test_operations_says_how_it_stands(boss: Browser, guarded: Guarded) -> None:
    quotas.put(guarded.services.database, Quota("team", 1000, None))
    page = boss.page("/console/operations")
    assert "Last check" in page
    assert "Last backup that was verified" in page
    assert "Garbage collection" in page
    assert ">team</a>" in page
    answer = boss.fill("/console/operations", "/console/operations")
    assert "SLIPWAY_TOPIC is not set" in answer.text
