"""The trail tells who did what, the latest first, and stays as small as it is told to."""

from __future__ import annotations

from typing import cast

import pytest

from functions.registry.metadata.access import audit
from functions.registry.metadata.access.audit import Bounds, Event, Filter, Outcome
from functions.registry.metadata.db import Conflict, Database
from tests.metadata.build import query, value

ADDRESS = "192.0.2.1"


def write(database: Database, *actions: str, principal: str = "robot:ci", resource: str = "team/app") -> None:
    for action in actions:
        audit.write(database, Event(action, "success", principal, resource, ADDRESS))


def actions(entries: list[audit.Entry]) -> list[str]:
    return [entry.event.action for entry in entries]


def test_an_event_is_read_as_it_was_written(database: Database) -> None:
    event = Event("tag.delete", "denied", "robot:ci", "team/app", ADDRESS, "the reason", {"tag": "v1", "before": None})
    audit.write(database, event)
    (entry,) = audit.list_page(database, 10)
    assert entry.event == event
    assert entry.at.utcoffset() is not None


def test_entries_come_latest_first_a_page_and_one_more_at_a_time(database: Database) -> None:
    write(database, "a", "b", "c", "d")
    first = audit.list_page(database, 2)
    assert actions(first) == ["d", "c", "b"]
    assert actions(audit.list_page(database, 2, before=first[1].id)) == ["b", "a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(principal="user:ada"), ["push", "pull"]),
        (Filter(resource="team/app"), ["delete", "pull", "push"]),
        (Filter(principal="user:ada", resource="team/app"), ["pull"]),
        (Filter(action="push"), ["push", "push"]),
        (Filter(principal="user:ada", action="pull"), ["pull"]),
        (Filter(resource="team/app", outcome="denied"), ["delete"]),
        (Filter(outcome="error"), []),
        (Filter(namespace="team"), ["rule", "delete"]),
        (Filter(namespace="team", resource="team/app", outcome="denied"), ["delete"]),
        (Filter(namespace="team", principal="user:ada"), []),
        (Filter(namespace="tea"), []),
    ],
)
def test_entries_are_found_by_what_is_asked(database: Database, wanted: Filter, found: list[str]) -> None:
    write(database, "push")
    write(database, "pull", principal="user:ada")
    write(database, "push", principal="user:ada", resource="team/other")
    audit.write(database, Event("delete", "denied", "robot:ci", "team/app", ADDRESS, namespace="team"))
    audit.write(database, Event("rule", "success", "robot:x", "releases", ADDRESS, namespace="team"))
    assert actions(audit.list_page(database, 10, wanted)) == found


def test_an_outcome_that_is_none_is_refused(database: Database) -> None:
    with pytest.raises(Conflict):
        audit.write(database, Event("push", cast("Outcome", "maybe"), "robot:ci", "team/app", ADDRESS))


def bounds(refusals: int = 100, rows: int = 100, days: int = 7) -> Bounds:
    return Bounds(refusals, rows, days)


def test_the_trail_keeps_the_latest_of_what_was_pushed_and_deleted(database: Database) -> None:
    write(database, *(f"manifest.{number}" for number in range(10)))
    assert audit.trim(database, bounds(rows=10)) == 0
    assert [audit.trim(database, bounds(rows=4), limit=4) for _ in range(3)] == [4, 2, 0]
    assert actions(audit.list_page(database, 10)) == ["manifest.9", "manifest.8", "manifest.7", "manifest.6"]
    assert audit.trim(database, bounds(rows=0)) == 4
    assert audit.trim(database, bounds(rows=0)) == 0


def test_refusals_push_out_older_refusals_and_nothing_else(database: Database) -> None:
    write(database, "grant.add", "manifest.push")
    for number in range(20):
        audit.write(database, Event(str(number), "denied", "robot:ci", "team/app", ADDRESS))
    assert audit.trim(database, bounds(refusals=3)) == 17
    assert actions(audit.list_page(database, 10)) == ["19", "18", "17", "manifest.push", "grant.add"]


def test_what_is_pushed_pushes_out_no_change_of_an_administrator(database: Database) -> None:
    write(database, "grant.add", "rule.remove", *["manifest.push"] * 20)
    audit.write(database, Event("token.refuse", "denied", "x", "", ADDRESS))
    assert audit.trim(database, bounds(rows=1)) == 19
    assert actions(audit.list_page(database, 10)) == ["token.refuse", "manifest.push", "rule.remove", "grant.add"]


def test_the_trail_forgets_what_is_too_old(database: Database) -> None:
    write(database, *map(str, range(6)))
    query(database, "UPDATE audit SET at = now() - interval '8 days' WHERE action < '4'")
    assert [audit.trim(database, bounds(), limit=3) for _ in range(3)] == [3, 1, 0]
    assert actions(audit.list_page(database, 10)) == ["5", "4"]


def test_what_is_both_surplus_and_old_counts_once(database: Database) -> None:
    write(database, *["blob.delete"] * 6)
    query(database, "UPDATE audit SET at = now() - interval '8 days'")
    assert audit.trim(database, bounds(rows=3), limit=100) == 6
    assert value(database, "SELECT count(*) FROM audit") == 0


def test_a_page_ends_by_its_bytes(database: Database) -> None:
    """What administrators change is kept as they sent it."""
    for number in range(100):
        audit.write(database, Event(str(number), "success", "p", "r", "a", details={"claims": "x" * 60_000}))
    found = audit.list_page(database, 1000)
    assert [entry.event.action for entry in found] == [str(number) for number in reversed(range(100))]
    shown = [entry for entry in found if entry.fits]
    assert found[: len(shown)] == shown
    assert 60 < len(shown) < 70
    assert all(entry.event.details == {} for entry in found[len(shown) :])
    audit.write(database, Event("large", "success", "p", "r", "a", details={"claims": "x" * (5 << 20)}))
    assert [entry.fits for entry in audit.list_page(database, 2)] == [True, False, False]
