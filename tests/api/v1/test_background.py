"""Background migrations over the API: how far they are, and what an administrator may do with them."""

from __future__ import annotations

from typing import Any

import pytest

from functions.registry.events.trigger import Trigger
from tests.background.building import register
from tests.metadata.build import query
from tests.support import Registry

PATH = "/api/v1/background-migrations"


def act(registry: Registry, act: str, name: str = "other") -> tuple[int, Any]:
    response = registry.request("POST", f"{PATH}/{name}/{act}", json={})
    return response.status_code, response.get_json()


def test_how_far_they_are(registry: Registry) -> None:
    register(registry.services.database, rate="2.56", waits_for="'locks'")
    first, second = registry.get(PATH).get_json()["migrations"]
    assert (first["name"], first["state"], first["percent"], first["remaining_seconds"]) == (
        "tag_subjects",
        "finished",
        100,
        None,
    )
    assert (second["rows"], second["total"], second["percent"], second["state"]) == (50, 200, 25, "active")
    assert (second["rows_per_second"], second["remaining_seconds"], second["waits_for"]) == (2.6, 59, "locks")
    assert (second["key"], second["first_key"], second["last_key"]) == (["repository_id", "name"], [0, ""], [9, "z"])
    assert registry.get(f"{PATH}/other").get_json() == {**second, "failed_rows": []}
    assert registry.get(f"{PATH}/none").status_code == 404
    assert registry.statements("GET", PATH) == ["background_list"]


def test_a_total_is_an_estimate(registry: Registry) -> None:
    register(registry.services.database, rows_done="250", rate="10")
    shown = registry.get(f"{PATH}/other").get_json()
    assert (shown["rows"], shown["total"], shown["percent"], shown["remaining_seconds"]) == (250, 250, 99.9, 0)


def test_one_is_paused_and_goes_on(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr(Trigger, "publish", lambda trigger, *_: woken.append(trigger._kind))
    register(registry.services.database)
    for asked, state in (("pause", "paused"), ("pause", "paused"), ("resume", "active"), ("finish", "active")):
        status, shown = act(registry, asked)
        assert (status, shown["state"], shown["rests"]) == (200, state, asked != "finish")
    assert woken == ["work"] * 4
    assert act(registry, "retry")[0] == 409
    assert act(registry, "pause", "tag_subjects")[0] == 409
    assert act(registry, "pause", "none")[0] == 404
    assert act(registry, "stop")[0] == 404


def test_what_failed_is_shown_and_tried_again(registry: Registry) -> None:
    database = registry.services.database
    register(database, state="'failed'", finished_at="now()")
    query(
        database,
        """
        INSERT INTO background_failures (migration_id, key, after, error)
        SELECT id, '[7, "v1"]', '[6, "v1"]', 'bad' FROM background_migrations WHERE name = 'other'
        """,
    )
    shown = registry.get(f"{PATH}/other").get_json()
    assert (shown["state"], shown["failures"]) == ("failed", 1)
    [failed] = shown["failed_rows"]
    assert (failed["key"], failed["error"]) == ([7, "v1"], "bad")
    status, shown = act(registry, "retry")
    assert (status, shown["state"], shown["failures"], shown["finished_at"]) == (200, "active", 1, None)
    due = "SELECT count(*) FROM background_failures, background_migrations WHERE failed_at < retried_at"
    assert query(database, due) == [[1]]


def test_what_a_tag_belongs_to_is_shown_before_its_migration_came_to_it(registry: Registry) -> None:
    hexadecimal = "0123456789abcdef" * 4
    for tag in ("v1", f"sha256-{hexadecimal}.sig"):
        registry.push_image("a/b", tag)
    listed = registry.get("/api/v1/repositories/a/b/-/tags").get_json()["tags"]
    assert [each["subject"] for each in listed] == [f"sha256:{hexadecimal}", None]
    shown = registry.get(f"/api/v1/repositories/a/b/-/tags/sha256-{hexadecimal}.sig").get_json()
    assert shown["subject"] == f"sha256:{hexadecimal}"
