"""Pulls and pushes, from the request that is counted to the day that is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from functions.gc.run import run
from functions.registry.metadata.usage.daily import KEPT_DAYS
from tests.metadata.build import query, value
from tests.support import Image, Registry, index_of

REPOSITORY: Final = "team/app"
PATH: Final = f"/api/v1/repositories/{REPOSITORY}/-"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def days_of(registry: Registry, path: str, **parameters: str) -> list[dict[str, Any]]:
    response = registry.get(path, query_string=parameters)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.get_json()["days"]
    return found


def last_of(registry: Registry, path: str) -> tuple[int, int]:
    """Pushes and pulls of today, after all that was counted was added."""
    assert registry.services.pulls_and_pushes.add()
    day = days_of(registry, path)[-1]
    assert day["day"] == today()
    return day["pushes"], day["pulls"]


def everything(image: Image, tag: str) -> list[str]:
    return [
        f"{PATH}/daily",
        f"{PATH}/tags/{tag}/daily",
        f"{PATH}/manifests/{image.digest}/daily",
        "/api/v1/namespaces/team/daily",
        "/api/v1/usage/daily",
    ]


def test_a_push_and_a_pull_are_seen_in_all_that_they_are_of(registry: Registry) -> None:
    image = registry.push_image(REPOSITORY, "v1")
    for _ in range(2):
        assert registry.get(f"/v2/{REPOSITORY}/manifests/v1").status_code == 200
    for path in everything(image, "v1"):
        assert last_of(registry, path) == (1, 2), path


def test_what_brings_no_manifest_is_no_pull(registry: Registry) -> None:
    image = registry.push_image(REPOSITORY, "v1")
    path = f"/v2/{REPOSITORY}/manifests/v1"
    assert registry.request("HEAD", path).status_code == 200
    assert registry.get(path, headers={"If-None-Match": f'"{image.digest}"'}).status_code == 304
    assert registry.get(f"/v2/{REPOSITORY}/manifests/none").status_code == 404
    assert registry.pull_blob(REPOSITORY, image.blob_digests[0])
    for where in everything(image, "v1"):
        assert last_of(registry, where) == (1, 0), where


def test_a_refused_push_is_no_push(registry: Registry) -> None:
    image = registry.push_image(REPOSITORY, "v1")
    assert registry.put_manifest(REPOSITORY, "v2", Image().manifest).status_code == 404
    assert last_of(registry, f"{PATH}/daily") == (1, 0)
    assert last_of(registry, f"{PATH}/manifests/{image.digest}/daily") == (1, 0)


def test_a_push_with_several_tags_is_one_push_and_one_of_each_tag(registry: Registry) -> None:
    image = registry.push_image(REPOSITORY)
    response = registry.put_manifest(REPOSITORY, f"{image.digest}?tag=a&tag=b", image.manifest)
    assert response.status_code == 201
    assert last_of(registry, f"{PATH}/daily") == (2, 0)
    for tag in "ab":
        assert last_of(registry, f"{PATH}/tags/{tag}/daily") == (1, 0)


def test_an_index_that_is_pulled_with_its_children_is_one_pull(registry: Registry) -> None:
    images = [registry.push_image(REPOSITORY) for _ in range(2)]
    index = index_of(*(image.manifest for image in images))
    assert registry.put_manifest(REPOSITORY, "multi", index).status_code == 201
    assert registry.get(f"/v2/{REPOSITORY}/manifests/multi").status_code == 200
    for image in images:
        assert registry.get(f"/v2/{REPOSITORY}/manifests/{image.digest}").status_code == 200
    assert last_of(registry, f"{PATH}/daily") == (3, 1)
    assert last_of(registry, f"{PATH}/tags/multi/daily") == (1, 1)
    assert last_of(registry, f"{PATH}/manifests/{images[0].digest}/daily") == (1, 1)


def test_no_pull_writes(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1")
    assert registry.statements("GET", f"/v2/{REPOSITORY}/manifests/v1") == ["manifests_get_by_tag"]


def test_days_are_filled_up_and_bytes_carried_on(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1")
    database = registry.services.database
    query(database, "DELETE FROM repository_days")
    query(
        database,
        "INSERT INTO repository_days (repository_id, day, pushes, pulls, bytes)"
        " SELECT id, day, 1, 2, bytes FROM repositories, (VALUES"
        " (date '2026-01-01', 100), (date '2026-01-03', NULL), (date '2026-01-05', 300)) AS noted (day, bytes)",
    )
    found = days_of(registry, f"{PATH}/daily", **{"from": "2026-01-02", "to": "2026-01-06"})
    assert [list(day.values()) for day in found] == [
        ["2026-01-02", 0, 0, 100],
        ["2026-01-03", 1, 2, 100],
        ["2026-01-04", 0, 0, 100],
        ["2026-01-05", 1, 2, 300],
        ["2026-01-06", 0, 0, 300],
    ]


def test_a_gc_run_notes_the_bytes_of_the_day(registry: Registry) -> None:
    image = registry.push_image(REPOSITORY, "v1")
    size = len(image.manifest) + sum(map(len, image.blobs))
    for path in (f"{PATH}/daily", "/api/v1/namespaces/team/daily", "/api/v1/usage/daily"):
        assert days_of(registry, path)[-1]["bytes"] is None
    run(registry.services)
    for path in (f"{PATH}/daily", "/api/v1/namespaces/team/daily", "/api/v1/usage/daily"):
        assert [day["bytes"] for day in days_of(registry, path)[-2:]] == [None, size], path


def test_a_repository_that_nobody_touches_has_the_bytes_it_had(registry: Registry) -> None:
    image = registry.push_image(REPOSITORY, "v1")
    run(registry.services)
    query(registry.services.database, "UPDATE repository_usage SET untagged_as_of = now() - interval '500 days'")
    query(registry.services.database, "DELETE FROM repository_days")
    size = len(image.manifest) + sum(map(len, image.blobs))
    assert {day["bytes"] for day in days_of(registry, f"{PATH}/daily")} == {size}


def test_a_month_is_shown_if_nothing_else_is_asked(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1")
    assert len(days_of(registry, f"{PATH}/daily")) == 30
    from_then = (datetime.now(UTC).date() - timedelta(days=9)).isoformat()
    assert [day["day"] for day in days_of(registry, f"{PATH}/daily", **{"from": from_then})][::9] == [
        from_then,
        today(),
    ]
    assert days_of(registry, f"{PATH}/daily", to="2026-03-01")[0]["day"] == "2026-01-31"
    assert len(days_of(registry, f"{PATH}/daily", **{"from": "2025-01-01", "to": "2026-02-04"})) == 400


@pytest.mark.parametrize(
    "span",
    [
        {"from": "yesterday"},
        {"from": "2026-02-30"},
        {"to": "2026-1-1"},
        {"to": ""},
        {"from": "\u0662\u0660\u0662\u0666-01-01"},
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"from": "2025-01-01", "to": "2026-02-05"},
        {"from": "0001-01-01"},
        {"from": "2026-01-01T00:00"},
    ],
)
def test_a_span_that_is_none_is_refused(registry: Registry, span: dict[str, str]) -> None:
    response = registry.get("/api/v1/usage/daily", query_string=span)
    assert (response.status_code, registry.error_code(response)) == (400, "INVALID_PARAMETER")
    assert "must be a day" in response.get_json()["errors"][0]["message"]


@pytest.mark.parametrize("edge", [{"from": "9999-12-31"}, {"to": "0001-01-01"}, {"to": "9999-12-31"}])
def test_any_day_may_be_asked_for(registry: Registry, edge: dict[str, str]) -> None:
    assert days_of(registry, "/api/v1/usage/daily", **edge)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/repositories/team/none/-/daily", "NAME_UNKNOWN"),
        ("/api/v1/repositories/team/none/-/tags/v1/daily", "NAME_UNKNOWN"),
        (f"{PATH}/tags/none/daily", "MANIFEST_UNKNOWN"),
        (f"{PATH}/manifests/{Image().digest}/daily", "MANIFEST_UNKNOWN"),
        ("/api/v1/namespaces/none/daily", "NOT_FOUND"),
        ("/api/v1/namespaces/NONE/daily", "NOT_FOUND"),
    ],
)
def test_what_is_not_there_has_no_days(registry: Registry, path: str, code: str) -> None:
    registry.push_image(REPOSITORY, "v1")
    response = registry.get(path)
    assert (response.status_code, registry.error_code(response)) == (404, code)


def test_days_that_are_long_past_are_taken_away(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1")
    assert registry.get(f"/v2/{REPOSITORY}/manifests/v1").status_code == 200
    registry.services.pulls_and_pushes.add()
    database = registry.services.database
    tables = ("tag_days", "manifest_days", "repository_days", "namespace_days", "registry_days")
    for table in tables:
        query(database, f"UPDATE {table} SET day = current_date - CAST(:kept AS int)", kept=KEPT_DAYS)  # noqa: S608
    run(registry.services)
    for table in tables:
        assert value(database, f"SELECT count(*) FROM {table} WHERE day < current_date - 1") == 1  # noqa: S608
        query(database, f"UPDATE {table} SET day = day - 1 WHERE day < current_date - 1")  # noqa: S608
    assert run(registry.services)["days"] == 5
    for table in tables:
        assert value(database, f"SELECT count(*) FROM {table} WHERE day < current_date - 1") == 0  # noqa: S608


def test_a_recount_finds_nothing_wrong_until_something_is(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1")
    response = registry.request("POST", "/api/v1/usage/recount", json={})
    assert response.get_json() == {"repositories": 1, "namespaces": 1, "complete": True, "differences": []}
    query(registry.services.database, "UPDATE repository_usage SET tags = 5")
    differences = registry.request("POST", "/api/v1/usage/recount", json={}).get_json()["differences"]
    assert differences[0] == {
        "scope": "repository",
        "name": REPOSITORY,
        "figure": "tags",
        "kept": 5,
        "counted": 1,
    }
    assert {difference["scope"] for difference in differences} == {"repository", "namespace", "registry"}
