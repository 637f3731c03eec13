"""Retention, events, checks, backups and imports: what waits, what failed, and what a form does about it."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from werkzeug.test import Client

from functions.registry.metadata.access import grants, principals
from functions.registry.metadata.backups import drills
from functions.registry.metadata.backups import runs as backups
from functions.registry.metadata.checks import checks, findings
from functions.registry.metadata.checks.vocabulary import Found
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.retention import runs
from tests.api.console.browser import Browser, text_of
from tests.backups.rows import sealed
from tests.metadata.build import query
from tests.retention.conftest import age, put_policy
from tests.security.people import Guarded
from tests.support import Registry

POLICIES: Final = "/console/lifecycle/policies"
SAFETY: Final = "/console/operations/safety"
IMPORTS: Final = "/console/operations/imports"
EVENTS: Final = "/console/events"


@pytest.fixture
def tidy(registry: Registry) -> Registry:
    """Five tags, of which the policy keeps the newest two."""
    for number in range(5):
        registry.push_image("team/app", f"v{number}")
    age(registry.services.database, 48, "team/app")
    put_policy(registry.services.database, mode="preview")
    return registry


def planned(browser: Browser) -> str:
    """The page of a plan that was made by the form."""
    answer = browser.fill(f"{POLICIES}/tidy", f"{POLICIES}/tidy")
    assert answer.status_code == 303
    return answer.headers["Location"]


def test_a_plan_says_why_each_tag_goes_and_what_was_shown_is_removed(browser: Browser, tidy: Registry) -> None:
    assert "the newest 2" in browser.page(f"{POLICIES}/tidy")
    plan = planned(browser)
    page = text_of(browser.page(plan))
    assert "Tags to go 3" in page
    assert len(re.findall(r"rule 1 .*?not among the newest 2", page)) == 3
    assert text_of(browser.page(f"{plan}?verdict=keep")).count("stays") == 2
    wrong = browser.fill(plan, plan, typed="2", do="apply")
    assert "nothing was removed: type 3" in wrong.text
    assert browser.get("/console/r/team/app/-/tags/v0").status_code == 200
    assert browser.fill(plan, plan, typed="3", do="apply").status_code == 303
    done = browser.page(plan)
    assert "Removed" in done
    gone = [f"v{n}" for n in range(5) if browser.get(f"/console/r/team/app/-/tags/v{n}").status_code == 404]
    assert len(gone) == 3
    assert browser.fill(plan, plan, do="undo").status_code == 303
    assert "undone" in browser.page(plan)
    for tag in gone:
        assert browser.get(f"/console/r/team/app/-/tags/{tag}").status_code == 200
    assert tidy.services is not None


def test_a_plan_is_dropped_and_asks_for_no_more(browser: Browser, tidy: Registry) -> None:
    plan = planned(browser)
    assert browser.send(plan, do="drop").status_code == 303
    assert "Remove these tags" not in browser.page(plan)
    refused = browser.send(plan, do="apply", waiting="3", typed="3")
    assert "is dropped: what is ready or held can be applied" in refused.text
    assert runs.list_page(tidy.services.database, 10, 2**62, None, None)


def test_without_a_policy_it_is_said_how_one_is_made(browser: Browser) -> None:
    page = browser.page(POLICIES)
    assert "slipway retention load" in page
    assert browser.get(f"{POLICIES}/nobody").status_code == 404
    assert browser.get("/console/lifecycle/runs/12345").status_code == 404
    assert browser.get("/console/lifecycle/runs/x").status_code == 404


def test_an_administrator_of_a_namespace_sees_and_applies_its_own_alone(guarded: Guarded) -> None:
    database = guarded.services.database
    made = principals.create_user(database, "ann")
    grants.add(database, made.id, "team/**", "admin")
    ann = Browser(Client(guarded.client.application), guarded.services)
    assert ann.sign_in("ann", guarded.secret_of(made.id)).status_code == 303
    put_policy(database, name="ours")
    put_policy(database, name="theirs", repositories="other/**")
    assert ann.get(POLICIES).status_code == 403
    page = ann.page(f"{POLICIES}?namespace=team")
    assert "ours" in page
    assert "theirs" not in page
    assert ann.get(f"{POLICIES}/ours").status_code == 200
    for path in ("theirs", "nobody"):
        assert ann.get(f"{POLICIES}/{path}").status_code == 403
    assert ann.fill(f"{POLICIES}/ours", f"{POLICIES}/ours").status_code == 303
    subscribe = {"name": "theirs", "repositories": "other/**", "target": "poll"}
    boss = guarded.robot("boss", is_admin=True)
    bearer = guarded.as_bearer(guarded.token("boss", boss, "registry:catalog:*"))
    told = guarded.request("POST", "/api/v1/subscriptions", json=subscribe, headers=bearer).get_json()["id"]
    assert ann.get(f"{EVENTS}?namespace=team").status_code == 200
    assert ann.get(f"{EVENTS}/{told}").status_code == 403
    for path in (SAFETY, IMPORTS, f"{IMPORTS}/1"):
        assert ann.get(path).status_code == 403, path


def test_what_was_given_up_is_sent_again(browser: Browser, registry: Registry) -> None:
    subscribe: dict[str, Any] = {"name": "hooks", "repositories": "**", "target": "https://hooks.example.com/x"}
    made = registry.request("POST", "/api/v1/subscriptions", json=subscribe).get_json()["id"]
    database = registry.services.database
    registry.push_image("team/app", "v1")
    query(
        database,
        """
        INSERT INTO deliveries (subscription_id, event_id, repository_id, state, attempts, answer, attempted_at)
        SELECT :subscription, id, repository_id, 'dead', 9, '502 <Bad Gateway>', now() FROM events WHERE id > 0
        """,
        subscription=made,
    )
    here = f"{EVENTS}/{made}"
    assert ">hooks</a>" in browser.page(EVENTS)
    page = browser.page(here)
    assert "502 &lt;Bad Gateway&gt;" in page
    forms = browser.forms(here)
    one = next(form for form in forms if form.get("do") == "redeliver")
    assert browser.send(here, token=one["token"], do="redeliver", event=one["event"]).status_code == 303
    token = one["token"]
    assert browser.send(here, token=token, do="redeliver-dead").status_code == 303
    assert not query(database, "SELECT 1 FROM deliveries WHERE state = 'dead'")
    assert "none in that state" in browser.page(f"{here}?state=dead")
    assert browser.send(here, token=token, do="pause").status_code == 303
    assert "Go on" in browser.page(here)
    assert browser.send(here, token=token, do="resume").status_code == 303
    assert browser.send(here, token=token, do="redeliver", event="x").status_code == 200
    assert browser.get(f"{here}?state=odd").status_code == 400
    assert browser.get(f"{EVENTS}/999").status_code == 404


def test_checks_findings_and_backups_are_told(browser: Browser, registry: Registry) -> None:
    database = registry.services.database
    page = browser.page(SAFETY)
    assert "never looked at" in page
    assert "no backups" in page
    pushed = registry.push_image("team/app", "v1")
    check = checks.start(database, "user:ann", {})
    [[name]] = query(
        database, "SELECT object_name FROM blobs WHERE digest = digest_bytes(:d)", d=str(pushed.blob_digests[0])
    )
    database.batch(findings.noting(check.id, [Found("missing", name, "<gone>", pushed.blob_digests[0], size=7)]))
    page = browser.page(SAFETY)
    assert "1 finding of damage" in page
    assert "team/app:v1" in page
    assert "&lt;gone&gt;" in page
    assert "Nothing of that kind" in browser.page(f"{SAFETY}?kind=unknown")
    assert browser.get(f"{SAFETY}?kind=odd").status_code == 400
    backups.ask(database, "backup", "gs://elsewhere/x", "b1")
    assert "waiting" in browser.page(SAFETY)
    refused = browser.send(SAFETY, do="backup")
    assert "SLIPWAY_BACKUPS is not set" in refused.text


def test_the_last_drill_is_told_with_what_was_lost(browser: Browser, registry: Registry) -> None:
    database = registry.services.database
    pages = (SAFETY, "/console/operations")
    backup = sealed(database)
    for page in pages:
        told = text_of(browser.page(page))
        assert "never : docs/backup.md says how" in told, told
        assert "slipway backup drilled ID" in told
    drills.add(database, backup, "user:ann", tags=240, lost=0, seconds=900, note="<staging>")
    for page in pages:
        told = text_of(browser.page(page))
        assert f"backup {backup}, by user:ann, none of 240 tags lost" in told, told
        assert "(&lt;staging&gt;)" in browser.page(page)
        assert "docs/backup.md says how" not in told
    drills.add(database, backup, "user:ann", tags=1204, lost=1)
    for page in pages:
        assert "1 of 1,204 tags lost" in text_of(browser.page(page))
    drills.add(database, backup, "user:ann")
    for page in pages:
        assert "without a word of what was lost" in text_of(browser.page(page))


def test_an_import_says_how_far_it_is_and_is_paused(browser: Browser, registry: Registry) -> None:
    database = registry.services.database
    assert "No registry is moved in" in browser.page(IMPORTS)
    source = sources.add(database, NewSource("registry", "https://old.example.com"))
    query(database, "UPDATE import_sources SET state = 'open'")
    query(
        database,
        """
        INSERT INTO import_repositories (source_id, path, name, state, tags, objects, error)
        VALUES (:id, 'a/b', 'a/b', 'imported', 3, 10, NULL), (:id, 'c/d', 'c/d', 'listed', 5, 30, '<no answer>')
        """,
        id=source.id,
    )
    here = f"{IMPORTS}/{source.id}"
    assert "old.example.com" in browser.page(IMPORTS)
    page = browser.page(here)
    for said in ("3 of 8", "10 of 40", "25 %", "&lt;no answer&gt;"):
        assert said in page, said
    assert browser.send(here, do="pause").status_code == 303
    assert "paused" in browser.page(here)
    assert browser.send(here, do="seal").status_code == 400, "that is the command line's"
    assert browser.get(f"{IMPORTS}/999").status_code == 404
