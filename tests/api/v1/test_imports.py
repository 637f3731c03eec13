"""Imports over the API: named, started, watched, led, paused, changed and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from functions.migrate.work import run
from tests.imports.old import OldRegistry
from tests.imports.remote.other_registry import Other, serve
from tests.statements import of_tests
from tests.support import Image, Registry

_SEAL = of_tests("tests_seal_imports", int, "UPDATE import_sources SET state = 'sealed', sealed_at = now()")
_OPTIONS = of_tests("tests_import_options", dict, "SELECT options FROM import_sources")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_PRIVATE_SOURCES": "127.0.0.1"}


@pytest.fixture
def other() -> Iterator[Other]:
    with serve() as running:
        yield running


def post(registry: Registry, path: str, **document: Any) -> TestResponse:
    return registry.request("POST", f"/api/v1/imports{path}", json=document)


def added(registry: Registry, **document: Any) -> int:
    response = post(registry, "", **document)
    assert response.status_code == 201, response.text
    document = response.get_json()
    assert response.headers["Location"] == f"/api/v1/imports/{document['id']}"
    number: int = document["id"]
    return number


def shown(registry: Registry, number: int) -> dict[str, Any]:
    document: dict[str, Any] = registry.get(f"/api/v1/imports/{number}").get_json()
    return document


def test_from_its_address_to_its_last_repository(registry: Registry, other: Other) -> None:
    for name in ("a/b", "a/c", "d"):
        other.hold_image(name, "v1")
    other.manifests["Odd_Name"] = {}
    number = added(registry, address=other.address, rate=None, workers=2)
    assert shown(registry, number)["state"] == "added"

    assert post(registry, f"/{number}/start").get_json()["state"] == "opening"
    run(registry.services)

    document = shown(registry, number)
    assert document["state"] == "open"
    assert document["repositories"] == {"imported": 3, "refused": 1}
    assert document["problems"] == {"name": 1}
    assert document["counts"]["tags_changed"] == document["tags"] == document["imported_tags"] == 3
    assert (document["mode"], document["failing"], document["options"]) == ("follow", [], {"rate": None, "renames": {}})
    assert registry.get("/v2/a/b/manifests/v1").status_code == 200

    page = registry.get(f"/api/v1/imports/{number}/repositories?n=2")
    assert [each["path"] for each in page.get_json()["repositories"]] == ["Odd_Name", "a/b"]
    rest = registry.get(page.headers["Link"].split(">")[0][1:]).get_json()["repositories"]
    assert [each["path"] for each in rest] == ["a/c", "d"]
    refused = registry.get(f"/api/v1/imports/{number}/repositories?state=refused").get_json()["repositories"]
    assert [each["path"] for each in refused] == ["Odd_Name"]
    page = registry.get(f"/api/v1/imports/{number}/repositories?state=imported&n=1")
    rest = registry.get(page.headers["Link"].split(">")[0][1:]).get_json()["repositories"]
    assert [each["path"] for each in rest] == ["a/c"]
    for query in ("", "?reason=name"):
        [problem] = registry.get(f"/api/v1/imports/{number}/problems{query}").get_json()["problems"]
        assert (problem["repository"], problem["kind"], problem["reason"]) == ("Odd_Name", "repository", "name")
    assert registry.get(f"/api/v1/imports/{number}/problems?reason=conflict").get_json() == {"problems": []}
    assert [each["id"] for each in registry.get("/api/v1/imports").get_json()["imports"]] == [number]


def test_starting_again_brings_what_came_since(registry: Registry, other: Other) -> None:
    other.hold_image("a/b", "v1")
    number = added(registry, address=other.address)
    post(registry, f"/{number}/start")
    run(registry.services)
    moved = other.hold_image("a/b", "v1")
    other.hold_image("new/one", "v1")
    post(registry, f"/{number}/start", repositories="none/*")
    run(registry.services)
    assert registry.get("/v2/a/b/manifests/v1").data != moved.manifest
    post(registry, f"/{number}/start")
    run(registry.services)
    assert registry.get("/v2/a/b/manifests/v1").data == moved.manifest
    assert registry.get("/v2/new/one/manifests/v1").status_code == 200


def test_who_decides(registry: Registry, other: Other) -> None:
    other.hold_image("a/b", "v1")
    other.hold_image("c/d", "v1")
    number = added(registry, address=other.address)
    post(registry, f"/{number}/start")
    run(registry.services)
    document = post(registry, f"/{number}/lead", repositories="a/*").get_json()
    assert (document["mode"], document["modes"]) == ("follow", [{"repositories": "a/*", "mode": "lead"}])
    assert registry.request("DELETE", "/v2/a/b/manifests/v1").status_code == 202
    assert registry.request("DELETE", "/v2/c/d/manifests/v1").status_code == 405
    assert post(registry, f"/{number}/lead").get_json()["mode"] == "lead"
    assert registry.request("DELETE", "/v2/c/d/manifests/v1").status_code == 202
    assert post(registry, f"/{number}/follow").get_json()["mode"] == "follow"


def test_pausing(registry: Registry, other: Other) -> None:
    other.hold_image("a/b", "v1")
    number = added(registry, address=other.address)
    post(registry, f"/{number}/start")
    document = post(registry, f"/{number}/pause").get_json()
    assert (document["state"], document["reason"]) == ("paused", "somebody paused it")
    assert run(registry.services) == 0
    assert post(registry, f"/{number}/resume").get_json()["state"] == "opening"
    run(registry.services)
    assert shown(registry, number)["repositories"] == {"imported": 1}


def test_what_failed_is_tried_again(registry: Registry, other: Other) -> None:
    image = other.hold_image("a/b", "v1")
    other.odd[f"/manifests/{image.digest}"] = lambda handler: handler._answer(404, b"{}")
    number = added(registry, address=other.address)
    post(registry, f"/{number}/start")
    run(registry.services)
    assert shown(registry, number)["problems"] == {"manifest_missing": 1}
    other.odd.clear()
    post(registry, f"/{number}/retry")
    run(registry.services)
    assert registry.get("/v2/a/b/manifests/v1").data == image.manifest
    assert shown(registry, number)["problems"] == {}


def test_a_secret_is_taken_and_never_shown(registry: Registry, other: Other) -> None:
    other.username, other.secret = "reader", "s3cret"
    other.hold_image("a/b", "v1")
    number = added(registry, address=other.address)
    post(registry, f"/{number}/start")
    run(registry.services)
    assert shown(registry, number)["state"] == "paused"
    changed = registry.request(
        "PATCH", f"/api/v1/imports/{number}", json={"username": "reader", "secret": "s3cret", "workers": 3}
    )
    assert (changed.status_code, changed.get_json()["workers"]) == (200, 3)
    assert "s3cret" not in changed.text
    assert "s3cret" not in str(registry.services.database.one_or_none(_OPTIONS()))
    post(registry, f"/{number}/resume")
    run(registry.services)
    assert shown(registry, number)["repositories"] == {"imported": 1}


def test_one_that_is_under_way_is_not_forgotten(registry: Registry, other: Other) -> None:
    number = added(registry, address=other.address)
    assert post(registry, "", address=other.address).status_code == 409
    post(registry, f"/{number}/start")
    assert registry.request("DELETE", f"/api/v1/imports/{number}").status_code == 409
    registry.services.database.count(_SEAL())
    assert post(registry, f"/{number}/start").status_code == 409
    assert registry.request("PATCH", f"/api/v1/imports/{number}", json={"workers": 1}).status_code == 404
    assert registry.request("DELETE", f"/api/v1/imports/{number}").status_code == 204
    assert registry.get(f"/api/v1/imports/{number}").status_code == 404


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "address is missing"),
        ({"address": ""}, "address"),
        ({"address": "example.com"}, "gs://"),
        ({"address": "https://user:secret@example.com"}, "nothing more"),
        ({"address": "https://example.com/some/path"}, "nothing more"),
        ({"address": "ftp://example.com"}, "gs://"),
        ({"address": "https://example.com:99999999"}, "can't be read"),
        ({"address": "https://example.com", "workers": 0}, "workers"),
        ({"address": "https://example.com", "untagged": "burn"}, "untagged"),
        ({"address": "https://example.com", "username": "u"}, "together"),
        ({"address": "https://example.com", "renames": {"a": "B"}}, "renames"),
        ({"address": "https://example.com", "repositories": []}, "repositories"),
        ({"address": "https://example.com", "rate": -1}, "rate"),
        ({"address": "https://example.com", "what": 1}, "unknown field"),
    ],
)
def test_bad_input_is_refused(registry: Registry, document: dict[str, Any], complaint: str) -> None:
    response = post(registry, "", **document)
    assert response.status_code == 400
    assert complaint in response.text


@pytest.mark.parametrize(
    ("address", "bucket", "prefix"),
    [
        ("gs://{bucket}", "gs://{bucket}", "docker/registry/v2/"),
        ("gs://{bucket}/some/where/", "gs://{bucket}/some/where", "some/where/docker/registry/v2/"),
        ("gs://{bucket}/docker/registry/v2", "gs://{bucket}", "docker/registry/v2/"),
        ("gs://another-bucket/x", "gs://another-bucket/x", None),
        ("/some/folder/", "/some/folder", None),
        ("/some/folder/docker/registry/v2/", "/some/folder", None),
        ("https://Example.com/v2/", "https://example.com", None),
        ("https://[2001:db8::1]:5000", "https://[2001:db8::1]:5000", None),
    ],
)
def test_addresses(registry: Registry, address: str, bucket: str, prefix: str | None) -> None:
    from functions.registry.imports import addresses  # noqa: PLC0415

    own = registry.services.settings.bucket
    parsed = addresses.parse(address.format(bucket=own), own)
    assert (parsed.text, parsed.prefix) == (bucket.format(bucket=own), prefix)


@pytest.mark.parametrize("path", ["/x", "/99999999999999999999", "/1/explode", "/1/repositories", "/1/start"])
def test_what_is_not_there(registry: Registry, path: str) -> None:
    answers = {registry.get(f"/api/v1/imports{path}").status_code, post(registry, path).status_code}
    assert answers <= {200, 404, 405}


@pytest.mark.parametrize("path", ["/1/repositories?state=odd", "/1/problems?reason=odd", "/1/problems?last=x"])
def test_odd_queries(registry: Registry, path: str) -> None:
    assert registry.get(f"/api/v1/imports{path}").status_code == 400


def test_what_is_asked_of_the_database(registry: Registry, other: Other) -> None:
    number = added(registry, address=other.address)
    reads = {
        "": ["imports_list_sources"],
        f"/{number}": ["imports_overview"],
        f"/{number}/repositories": ["imports_show_repositories"],
        f"/{number}/repositories?state=listed": ["imports_show_repositories_in_state"],
        f"/{number}/problems": ["imports_show_problems"],
        f"/{number}/problems?reason=name": ["imports_show_problems_of_reason"],
    }
    for path, statements in reads.items():
        assert registry.statements("GET", f"/api/v1/imports{path}") == statements


_AGO = of_tests("tests_import_listed_ago", int, "UPDATE import_sources SET listed_at = now() - interval '1 hour'")


@pytest.mark.parametrize("is_layout", [True, False])
def test_what_is_looked_for_again_by_itself(
    registry: Registry, other: Other, storage_address: str, bucket_name: str, *, is_layout: bool
) -> None:
    old = OldRegistry(storage_address, bucket_name)
    hold = (
        (lambda name, image: old.push(name, image, "v1"))
        if is_layout
        else (lambda name, image: other.hold_image(name, "v1", image=image))
    )
    hold("a/b", Image())
    number = added(registry, address=f"gs://{bucket_name}" if is_layout else other.address, every_seconds=600)
    post(registry, f"/{number}/start")
    run(registry.services)
    moved = Image()
    hold("a/b", moved)
    hold("new/one", moved)
    run(registry.services)
    assert registry.get("/v2/new/one/manifests/v1").status_code == 404 or is_layout
    registry.services.database.count(_AGO())
    if not is_layout:
        registry.services.database.count(_DUE())
    run(registry.services)
    assert shown(registry, number)["repositories"]["imported"] == 2
    assert registry.get("/v2/a/b/manifests/v1").data == moved.manifest
    assert registry.get("/v2/new/one/manifests/v1").data == moved.manifest


_DUE = of_tests("tests_imports_due_now", int, "UPDATE import_repositories SET due_at = now()")
