"""Drills over the API: who brought which backup back, what was lost, and what can't be said."""

from __future__ import annotations

from typing import Any

import pytest

from functions.registry.metadata.access import audit
from functions.registry.metadata.backups import drills
from tests.backups.rows import sealed
from tests.metadata.build import query
from tests.security.people import Guarded
from tests.support import Registry

SAID = {"tags": 240, "lost": 2, "seconds": 900, "note": "into staging, by the book"}


def record(registry: Registry, backup: object, said: Any, **more: Any) -> tuple[int, Any]:
    response = registry.request("POST", f"/api/v1/backups/{backup}/drills", json=said, **more)
    return response.status_code, response.get_json()


def recorded(registry: Registry) -> int:
    return int(query(registry.services.database, "SELECT count(*) FROM backup_drills")[0][0])


def test_what_was_said_is_told_of_the_backup_and_of_the_registry(registry: Registry) -> None:
    first, second = sealed(registry.services.database), sealed(registry.services.database)
    assert registry.get("/api/v1/gc").get_json()["upkeep"]["drill"] is None
    status, drill = record(registry, first, SAID)
    assert status == 201
    assert drill == {**SAID, "backup": first, "drilled_by": "open", "drilled_at": drill["drilled_at"]}
    assert registry.get("/api/v1/gc").get_json()["upkeep"]["drill"] == drill
    assert registry.get(f"/api/v1/backups/{first}").get_json()["drill"] == drill
    listed = registry.get("/api/v1/backups").get_json()["backups"]
    assert {each["id"]: each["drill"] for each in listed} == {first: drill, second: None}


def test_the_last_one_counts_and_nothing_has_to_be_said(registry: Registry) -> None:
    first, second = sealed(registry.services.database), sealed(registry.services.database)
    for backup in (second, first, first):
        record(registry, backup, SAID)
    status, last = record(registry, first, {})
    assert (status, {name: last[name] for name in SAID}) == (201, dict.fromkeys(SAID))
    assert registry.get(f"/api/v1/backups/{first}").get_json()["drill"] == last
    assert registry.get("/api/v1/gc").get_json()["upkeep"]["drill"] == last
    assert recorded(registry) == 4
    assert registry.statements("GET", f"/api/v1/backups/{first}") == ["backups_get"]


def test_it_stays_when_the_backup_is_pruned_and_may_be_recorded_later(registry: Registry) -> None:
    database = registry.services.database
    backup = sealed(database)
    _, drill = record(registry, backup, SAID)
    query(database, "UPDATE backup_runs SET state = 'pruned'")
    assert registry.get(f"/api/v1/backups/{backup}").get_json()["drill"] == drill
    assert record(registry, backup, {"tags": 1, "lost": 0})[0] == 201


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"tags": -1, "lost": 0}, "tags must be an integer from 0"),
        ({"tags": 1, "lost": -1}, "lost must be an integer from 0"),
        ({"seconds": -1}, "seconds must be an integer from 0"),
        ({"seconds": 2**31}, "seconds must be an integer from 0"),
        ({"seconds": 1.5}, "seconds must be an integer from 0"),
        ({"tags": True, "lost": 0}, "tags must be an integer from 0"),
        ({"tags": 3, "lost": 4}, "lost is 4, and only 3 tags were compared"),
        ({"tags": 3}, "tags and lost go together"),
        ({"lost": 0}, "tags and lost go together"),
        ({"note": "n" * 501}, "note must be a text of 1 to 500 characters"),
        ({"note": ""}, "note must be a text of 1 to 500 characters"),
        ({"note": "\x1b[2J"}, "note must be a text of 1 to 500 characters"),
        ({"drilled_by": "user:somebody"}, "unknown field 'drilled_by'"),
        ([], "one JSON object"),
    ],
)
def test_what_can_not_be_is_refused(registry: Registry, said: Any, reason: str) -> None:
    status, refused = record(registry, sealed(registry.services.database), said)
    assert (status, refused["errors"][0]["code"]) == (400, "INVALID_PARAMETER")
    assert reason in refused["errors"][0]["message"]
    assert recorded(registry) == 0


def test_the_longest_note_is_taken(registry: Registry) -> None:
    assert record(registry, sealed(registry.services.database), {"note": "ü" * 500})[0] == 201


@pytest.mark.parametrize("backup", ["12345", "0", "x", "9" * 19, "-1"])
def test_a_backup_that_is_not_there_is_not_found(registry: Registry, backup: str) -> None:
    status, refused = record(registry, backup, SAID)
    assert (status, refused["errors"][0]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("backup", "failed", "is failed: only one that was sealed"),
        ("backup", "copying", "is copying: only one that was sealed"),
        ("verification", "done", "is a verification"),
        ("prune", "done", "is a prune"),
    ],
)
def test_only_a_backup_that_was_sealed_can_be_brought_back(
    registry: Registry, kind: str, state: str, reason: str
) -> None:
    backup = sealed(registry.services.database)
    query(registry.services.database, "UPDATE backup_runs SET kind = :kind, state = :state", kind=kind, state=state)
    status, refused = record(registry, backup, SAID)
    assert (status, refused["errors"][0]["code"]) == (409, "CONFLICT")
    assert reason in refused["errors"][0]["message"]
    assert recorded(registry) == 0


def test_an_administrator_alone_records_it_and_the_trail_says_who(guarded: Guarded) -> None:
    backup = sealed(guarded.services.database)
    ci = guarded.token("ci", guarded.robot("ci", ("**", "admin")), "registry:catalog:*")
    assert record(guarded, backup, SAID, headers=guarded.as_bearer(ci))[0] == 403
    assert record(guarded, backup, SAID)[0] == 401
    assert recorded(guarded) == 0
    boss = guarded.token("boss", guarded.robot("boss", is_admin=True), "registry:catalog:*")
    status, drill = record(guarded, backup, SAID, headers=guarded.as_bearer(boss))
    assert (status, drill["drilled_by"]) == (201, "user:boss")
    told = next(
        each.event for each in audit.list_page(guarded.services.database, 20) if each.event.outcome == "success"
    )
    assert (told.action, told.principal) == ("backup.drill", "user:boss")
    assert told.details == {"backup": backup, **SAID}


def test_what_the_api_refuses_the_database_refuses_too(registry: Registry) -> None:
    database = registry.services.database
    backup = sealed(database)
    for said in ({"tags": 3, "lost": 4}, {"tags": 3}, {"lost": 0}, {"seconds": -1}, {"tags": -1, "lost": -1}):
        with pytest.raises(Exception, match="backup_drills"):
            drills.add(database, backup, "user:ann", **said)
    with pytest.raises(Exception, match="backup_drills"):
        drills.add(database, 12345, "user:ann")
    assert recorded(registry) == 0
