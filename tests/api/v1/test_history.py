"""History and undo over HTTP: what tags named, what comes back, and who is told what."""

from __future__ import annotations

from typing import Any

import pytest

from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import pass_time, push_image, set_grace, value
from tests.security.people import Guarded
from tests.support import Image, Registry

APP = "/api/v1/repositories/team/app"
MANY = "/v2/team/app/manifests"


@pytest.fixture
def undo(registry: Registry) -> Registry:
    set_grace(registry.services.database, undo=168)
    return registry


def told(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.get_json()


def restore(registry: Registry, status: int = 200, **document: Any) -> Any:
    return told(registry.request("POST", f"{APP}/-/restore", json=document), status)


def history(registry: Registry, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(registry.get(f"{APP}/-/history", query_string=query))["history"]
    return found


def test_a_deleted_tag_is_undone_by_one_request(undo: Registry) -> None:
    image = undo.push_image("team/app", "v1")
    undo.request("DELETE", f"{MANY}/v1")
    assert undo.get(f"{MANY}/v1").status_code == 404
    [row] = history(undo, tag="v1")
    assert (row["digest"], row["change"], row["cause"], row["actor"]) == (
        str(image.digest),
        "deleted",
        "client",
        "open",
    )
    assert row["restorable"]
    planned = restore(undo, tag="v1", dry_run=True)
    assert planned == {"digest": str(image.digest), "tags": ["v1"], "previous": None, "dry_run": True}
    assert undo.get(f"{MANY}/v1").status_code == 404
    assert restore(undo, tag="v1") == {**planned, "dry_run": False}
    assert undo.get(f"{MANY}/v1").data == image.manifest


def test_a_manifest_deleted_by_digest_is_undone_by_one_request(undo: Registry) -> None:
    """Skopeo deletes so: by what the tag names."""
    image = undo.push_image("team/app", "v1")
    undo.request("DELETE", f"{MANY}/{image.digest}")
    assert undo.get(f"{MANY}/{image.digest}").status_code == 404
    assert restore(undo, tag="v1")["digest"] == str(image.digest)
    assert undo.get(f"{MANY}/v1").data == image.manifest
    undo.request("DELETE", f"{MANY}/{image.digest}")
    assert restore(undo, digest=str(image.digest))["tags"] == ["v1"]
    for blob in image.blobs:
        assert undo.get(f"/v2/team/app/blobs/{Digest.of(blob)}").status_code == 307


def test_a_repository_is_undone_by_one_request(undo: Registry) -> None:
    image = undo.push_image("team/app", "v1")
    gone = told(undo.request("DELETE", APP))
    assert gone["restorable_until"]
    assert undo.get(f"{MANY}/v1").status_code == 404
    assert undo.get(APP).status_code == 404
    assert undo.get("/v2/_catalog").get_json()["repositories"] == []
    assert undo.get("/api/v1/repositories").get_json()["repositories"] == []
    assert undo.get("/api/v1/search?q=app").get_json()["results"] == []
    for ranking in ("largest", "most-active"):
        assert undo.get(f"/api/v1/rankings/{ranking}").get_json()["repositories"] == []
    [listed] = told(undo.get("/api/v1/deleted/repositories"))["repositories"]
    assert (listed["name"], listed["tags"], listed["deleted_by"]) == ("team/app", 1, "open")
    assert told(undo.request("POST", f"{APP}/-/restore-repository", json={})) == {
        "name": "team/app",
        "tags": 1,
        "manifests": 1,
    }
    assert undo.get(f"{MANY}/v1").data == image.manifest
    assert undo.request("POST", f"{APP}/-/restore-repository", json={}).status_code == 404


def test_a_name_that_is_taken_is_told_and_another_will_do(undo: Registry) -> None:
    undo.push_image("team/app", "v1")
    told(undo.request("DELETE", APP))
    undo.push_image("team/app", "v2")
    taken = undo.request("POST", f"{APP}/-/restore-repository", json={})
    assert (taken.status_code, undo.error_code(taken)) == (409, "NAME_CONFLICT")
    assert told(undo.request("POST", f"{APP}/-/restore-repository", json={"as": "else/where"}))["name"] == "else/where"
    assert undo.get("/v2/else/where/manifests/v1").status_code == 200


def test_tags_as_they_were(undo: Registry) -> None:
    first = undo.push_image("team/app", "v1")
    undo.push_image("team/app", "lost")
    moment = value(undo.services.database, "SELECT clock_timestamp()").isoformat()
    undo.push_image("team/app", "v1")
    undo.push_image("team/app", "made")
    undo.request("DELETE", f"{MANY}/lost")
    done = restore(undo, at=moment, exact=True)
    assert [(each["tag"], each["outcome"]) for each in done["tags"]] == [
        ("lost", "restored"),
        ("made", "deleted"),
        ("v1", "restored"),
    ]
    assert done["last"] is None
    assert undo.get(f"{MANY}/v1").data == first.manifest
    assert undo.get(f"{MANY}/made").status_code == 404
    assert restore(undo, at=moment, exact=True)["tags"] == []


def test_what_a_tag_named_then(undo: Registry) -> None:
    image = undo.push_image("team/app", "v1")
    moment = value(undo.services.database, "SELECT clock_timestamp()").isoformat()
    undo.push_image("team/app", "v1")
    named = told(undo.get(f"{APP}/-/tags/v1", query_string={"at": moment}))
    assert (named["name"], named["digest"]) == ("v1", str(image.digest))
    assert undo.get(f"{APP}/-/tags/v1?at=2020-01-01").status_code == 404
    assert undo.get("/api/v1/repositories/not/there/-/tags/v1?at=2020-01-01").status_code == 404


def test_what_is_gone_says_why(undo: Registry) -> None:
    undo.push_image("team/app", "v1")
    assert "nothing is known" in restore(undo, 409, tag="v1")["errors"][0]["message"]
    undo.push_image("team/app", "v2")
    undo.request("DELETE", f"{MANY}/v1")
    pass_time(undo.services.database, 170)
    set_grace(undo.services.database, undo=0)
    image = Image()
    unknown = undo.request("POST", "/api/v1/repositories/not/there/-/restore", json={"tag": "v1"})
    assert (unknown.status_code, undo.error_code(unknown)) == (404, "NAME_UNKNOWN")
    assert restore(undo, 409, digest=str(image.digest))["errors"][0]["code"] == "NOT_RESTORABLE"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"as": "v1"},
        {"tag": "v1", "at": "2026-01-31"},
        {"at": "yesterday"},
        {"at": "2026-01-31", "as": "v2"},
        {"tag": "-"},
        {"digest": "sha256:x"},
        {"tag": "v1", "exact": True},
        {"digest": f"sha256:{'0' * 64}", "as": "v2"},
        {"tag": "v1", "more": 1},
    ],
)
def test_a_body_that_says_nothing_or_too_much_is_refused(undo: Registry, document: dict[str, Any]) -> None:
    undo.push_image("team/app", "v1")
    assert restore(undo, 400, **document)["errors"][0]["code"] == "INVALID_PARAMETER"


def test_who_did_it_is_shown_to_who_did_it_and_to_administrators(guarded: Guarded) -> None:
    set_grace(guarded.services.database, undo=168)
    scope = "repository:team/app:pull,push,delete"
    headers = {}
    for name, role in (("keeper", "maintainer"), ("reader", "reader"), ("boss", "admin")):
        secret = guarded.robot(name, ("team/*", role))
        headers[name] = guarded.as_bearer(guarded.token(name, secret, scope))
    push_image(guarded.services.database, RepositoryName("team/app"), "v1")
    gone = guarded.request("DELETE", f"{MANY}/v1", headers=headers["keeper"])
    assert gone.status_code == 202
    shown = {
        name: told(guarded.get(f"{APP}/-/history", headers=each))["history"][0]["actor"]
        for name, each in headers.items()
    }
    assert shown == {"keeper": "robot:keeper", "reader": None, "boss": "robot:keeper"}


def test_a_namespace_has_its_own_window(undo: Registry) -> None:
    undo.push_image("team/app", "v1")
    assert told(undo.request("PATCH", "/api/v1/namespaces/team", json={"undo_seconds": 0}))["undo_seconds"] == 0
    assert told(undo.get("/api/v1/namespaces/team"))["undo_seconds"] == 0
    assert told(undo.request("DELETE", APP))["restorable_until"] is None
    assert undo.request("PATCH", "/api/v1/namespaces/none", json={"undo_seconds": 0}).status_code == 404
