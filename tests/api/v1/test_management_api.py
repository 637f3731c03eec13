"""Repositories changed, moved and deleted, and quotas, over the api: what is told, what is refused, and the trail."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from functions.registry.oci.digest import Digest
from tests.gc.conftest import collect, rows
from tests.security.people import Guarded, basic
from tests.support import Image, Registry

REPOSITORY = "/api/v1/repositories/team/app"
QUOTA = "/api/v1/namespaces/team/quota"


def told(response: TestResponse, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["Cache-Control"] == "no-store"
    return response.get_json()


def refused(registry: Registry, response: TestResponse) -> tuple[int, str, str]:
    code = registry.error_code(response)
    return response.status_code, code, response.get_json()["errors"][0]["message"]


def tags_of(registry: Registry, name: str) -> list[str]:
    found: list[str] = registry.get(f"/v2/{name}/tags/list").get_json()["tags"]
    return found


# ---- settings


def test_settings_change_one_by_one_or_together(registry: Registry) -> None:
    registry.push_image("team/app", "v1")

    def change(**settings: object) -> Any:
        return told(registry.request("PATCH", REPOSITORY, json=settings))

    settings = {"name": "team/app", "keep_untagged": True, "grace_seconds": None, "undo_seconds": None}
    assert change(keep_untagged=True) == settings
    assert change(grace_seconds=90) == {**settings, "grace_seconds": 90}
    assert change(undo_seconds=3600) == {**settings, "grace_seconds": 90, "undo_seconds": 3600}
    assert change(undo_seconds=None)["undo_seconds"] is None
    assert change(keep_untagged=False)["grace_seconds"] == 90
    assert change(grace_seconds=0)["grace_seconds"] == 0
    assert change(keep_untagged=True, grace_seconds=None)["grace_seconds"] is None
    assert rows(registry, "repositories WHERE keep_untagged AND grace IS NULL") == 1


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"keep_untagged": 1},
        {"keep_untagged": None},
        {"grace_seconds": -1},
        {"grace_seconds": 31536001},
        {"name": 1},
    ],
)
def test_settings_that_are_none_are_refused(registry: Registry, settings: dict[str, object]) -> None:
    registry.push_image("team/app", "v1")
    assert refused(registry, registry.request("PATCH", REPOSITORY, json=settings))[:2] == (400, "INVALID_PARAMETER")


def test_what_is_not_there_is_neither_changed_nor_moved_nor_deleted(registry: Registry) -> None:
    for method, path, document in (
        ("PATCH", REPOSITORY, {"keep_untagged": True}),
        ("POST", f"{REPOSITORY}/-/move", {"to": "a/b"}),
        ("POST", f"{REPOSITORY}/-/delete-tags", {"tags": ["v1"]}),
        ("DELETE", REPOSITORY, None),
    ):
        response = registry.request(method, path, json=document)
        assert refused(registry, response)[:2] == (404, "NAME_UNKNOWN")


# ---- moves


def test_a_repository_that_moved_is_pulled_by_its_new_name(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    registry.push_image("team/app/below", "v1")
    location = registry.start_upload("team/app")
    where = f"{REPOSITORY}/-/move"
    would = told(registry.request("POST", where, json={"to": "group/app", "with_below": True, "dry_run": True}))
    assert would == {"name": "group/app", "repositories": 2, "dry_run": True}
    assert tags_of(registry, "team/app") == ["v1"]
    done = told(registry.request("POST", where, json={"to": "group/app", "with_below": True}))
    assert done == {"name": "group/app", "repositories": 2, "dry_run": False}
    assert registry.get("/v2/_catalog").get_json()["repositories"] == ["group/app", "group/app/below"]
    assert registry.get("/v2/group/app/manifests/v1").data == image.manifest
    assert registry.pull_blob("group/app", image.blob_digests[1]) == image.layers[0]
    assert registry.error_code(registry.get("/v2/team/app/manifests/v1")) == "NAME_UNKNOWN"
    late = registry.request("PUT", f"{location}?digest={Digest.of(b'late')}", data=b"late")
    assert (late.status_code, registry.error_code(late)) == (404, "BLOB_UPLOAD_UNKNOWN")
    moved = location.replace("/team/app/", "/group/app/")
    assert registry.request("PUT", f"{moved}?digest={Digest.of(b'late')}", data=b"late").status_code == 201


def test_a_move_to_a_name_that_is_taken_tells_whose(registry: Registry) -> None:
    for name in ("team/app", "team/app/x", "group/app/y"):
        registry.push_image(name, "v1")
    response = registry.request("POST", f"{REPOSITORY}/-/move", json={"to": "group/app", "with_below": True})
    assert refused(registry, response)[:2] == (409, "NAME_CONFLICT")
    assert response.get_json()["errors"][0]["detail"] == {"name": "group/app/y"}


@pytest.mark.parametrize(
    "document",
    [{}, {"to": "Upper"}, {"to": 1}, {"to": "a/-/b"}, {"to": "a", "with_below": "yes"}, {"to": "a", "more": 1}, []],
)
def test_a_move_that_makes_no_sense_is_refused(registry: Registry, document: object) -> None:
    registry.push_image("team/app", "v1")
    response = registry.request("POST", f"{REPOSITORY}/-/move", json=document)
    assert refused(registry, response)[:2] == (400, "INVALID_PARAMETER")


# ---- deletions


def test_a_repository_is_deleted_and_garbage_collection_takes_its_bytes(hasty: Registry) -> None:
    shared = Image()
    hasty.push_image("team/app", "v1", shared)
    gone = hasty.push_image("team/app", "v2")
    hasty.push_image("team/other", "v1", shared)
    hasty.start_upload("team/app")
    removed = told(hasty.request("DELETE", REPOSITORY))
    assert removed == {
        "name": "team/app",
        "tags": 2,
        "manifests": 2,
        "blobs": 6,
        "uploads": 1,
        "restorable_until": None,
    }
    assert hasty.get("/v2/team/app/tags/list").status_code == 404
    collect(hasty)
    assert rows(hasty, "blobs") == len(shared.blobs)
    assert hasty.pull_blob("team/other", shared.blob_digests[1]) == shared.layers[0]
    assert hasty.get(f"/v2/team/other/blobs/{gone.blob_digests[1]}").status_code == 404


def test_a_rule_keeps_a_repository(guarded: Guarded) -> None:
    root = {"Authorization": basic("root", guarded.robot("root", is_admin=True))}
    secret = guarded.robot("keeper", ("team/app", "maintainer"))
    keeper = {"Authorization": basic("keeper", secret)}
    push(guarded, guarded.as_bearer(guarded.token("keeper", secret, "repository:team/app:pull,push")))
    rule = {"name": "archive", "kind": "delete_protected", "repositories": "team/*", "role": "admin"}
    assert guarded.request("POST", "/api/v1/rules", headers=root, json=rule).status_code == 201
    response = guarded.request("DELETE", REPOSITORY, headers=keeper)
    assert refused(guarded, response)[:2] == (403, "DENIED")
    assert "archive" in response.text
    kept = told(guarded.request("POST", f"{REPOSITORY}/-/delete-tags", headers=keeper, json={"tags": ["v1"]}))
    assert kept["tags"][0]["outcome"] == "refused"
    assert "archive" in kept["tags"][0]["reason"]
    assert guarded.request("DELETE", REPOSITORY, headers=root).status_code == 200


def push(guarded: Guarded, headers: dict[str, str], tag: str = "v1") -> None:
    image = Image(layers=())
    digest = image.blob_digests[0]
    started = guarded.request(
        "POST", f"/v2/team/app/blobs/uploads/?digest={digest}", headers=headers, data=image.config
    )
    assert started.status_code == 201, started.text
    put = guarded.put_manifest("team/app", tag, image.manifest, headers=headers)
    assert put.status_code == 201, put.text


def test_many_tags_are_deleted_and_each_is_told_of(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    for tag in ("v2", "v3"):
        registry.put_manifest("team/app", tag, image.manifest)
    where = f"{REPOSITORY}/-/delete-tags"
    expected = [{"name": "none", "outcome": "unknown"}, *({"name": f"v{n}", "outcome": "deleted"} for n in (1, 2))]
    document = {"tags": ["v1", "none", "v2"]}
    would = told(registry.request("POST", where, json={**document, "dry_run": True}))
    assert would == {"tags": expected, "dry_run": True}
    assert tags_of(registry, "team/app") == ["v1", "v2", "v3"]
    assert told(registry.request("POST", where, json=document)) == {"tags": expected, "dry_run": False}
    assert tags_of(registry, "team/app") == ["v3"]
    assert registry.statements("POST", where, json=document) == ["set_rank", "removal_delete_tags"]


@pytest.mark.parametrize(
    "names", [None, [], "v1", ["-bad"], [1], ["v"] * 1001], ids=["missing", "none", "a text", "bad", "number", "many"]
)
def test_a_list_of_tags_that_is_none_is_refused(registry: Registry, names: object) -> None:
    registry.push_image("team/app", "v1")
    document = {} if names is None else {"tags": names}
    response = registry.request("POST", f"{REPOSITORY}/-/delete-tags", json=document)
    assert refused(registry, response)[:2] == (400, "INVALID_PARAMETER")
    assert tags_of(registry, "team/app") == ["v1"]


# ---- quotas


def test_a_quota_is_set_and_told_with_what_is_used(registry: Registry) -> None:
    assert registry.error_code(registry.get(QUOTA)) == "NOT_FOUND"
    image = registry.push_image("team/app", "v1")
    used = len(image.manifest) + sum(map(len, image.blobs))
    set_ = told(registry.request("PUT", QUOTA, json={"bytes": 10**6}))
    assert set_ == {
        "namespace": "team", "bytes": 10**6, "repositories": None, "used_bytes": used, "used_repositories": 1,
    }  # fmt: skip
    assert told(registry.get(QUOTA)) == set_
    assert told(registry.request("PUT", QUOTA, json={"bytes": None, "repositories": 3}))["bytes"] is None
    for namespace in ("a", "b"):
        registry.request("PUT", f"/api/v1/namespaces/{namespace}/quota", json={"repositories": 1})
    page = registry.get("/api/v1/quotas?n=2")
    assert [each["namespace"] for each in told(page)["quotas"]] == ["a", "b"]
    link = page.headers["Link"].partition(">")[0].removeprefix("<")
    assert [each["namespace"] for each in told(registry.get(link))["quotas"]] == ["team"]
    assert "Link" not in registry.get(link).headers
    assert registry.request("DELETE", QUOTA).status_code == 204
    assert registry.request("DELETE", QUOTA).status_code == 404


@pytest.mark.parametrize(
    ("namespace", "document"),
    [
        ("team", {}),
        ("team", {"bytes": None}),
        ("team", {"bytes": -1}),
        ("team", {"bytes": 2**63}),
        ("team", {"bytes": "1"}),
        ("team", {"repositories": True}),
        ("Team", {"bytes": 1}),
        ("-", {"bytes": 1}),
    ],
)
def test_a_quota_that_makes_no_sense_is_refused(
    registry: Registry, namespace: str, document: dict[str, object]
) -> None:
    response = registry.request("PUT", f"/api/v1/namespaces/{namespace}/quota", json=document)
    assert refused(registry, response)[:2] == (400, "INVALID_PARAMETER")


def test_whatever_would_go_over_is_denied_with_the_numbers(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    digest = registry.push_blob("far/away", b"w" * 50)
    other = registry.push_image("far/more", "v1")
    used = told(registry.request("PUT", QUOTA, json={"bytes": 10**9}))["used_bytes"]
    told(registry.request("PUT", QUOTA, json={"bytes": used + 10}))
    manifest = Image(image.config, image.layers, {"annotations": {"a": "b"}}).manifest
    announced = registry.request("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'v' * 11)}", data=b"v" * 11)
    location = registry.start_upload("team/app")
    ended = registry.request("PUT", f"{location}?digest={Digest.of(b'u' * 12)}", data=b"u" * 12)
    for response, needed in (
        (registry.put_manifest("team/app", "v2", manifest), len(manifest)),
        (announced, 11),
        (registry.request("POST", f"/v2/team/app/blobs/uploads/?mount={digest}&from=far/away"), 50),
        (registry.request("POST", "/api/v1/repositories/far/more/-/move", json={"to": "team/more"}), None),
    ):
        status, code, message = refused(registry, response)
        assert (status, code) == (403, "DENIED")
        assert f"is {used + 10} bytes: " in message
        if needed:
            assert f"{used} are in use, and {needed} more are needed" in message
    assert refused(registry, ended) == (
        403,
        "DENIED",
        "the quota of the namespace has 10 bytes left: more have come already",
    )
    told(registry.request("PUT", QUOTA, json={"bytes": used}))
    blind = registry.request("POST", "/v2/team/app/blobs/uploads/")
    assert refused(registry, blind)[:2] == (403, "DENIED")
    assert registry.get("/v2/far/more/manifests/v1").data == other.manifest
    assert registry.get("/v2/team/app/manifests/v1").data == image.manifest


def test_a_push_near_the_limit_is_warned(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    used = told(registry.request("PUT", QUOTA, json={"bytes": 10**9}))["used_bytes"]
    assert "Warning" not in registry.put_manifest("team/app", "v2", image.manifest).headers
    told(registry.request("PUT", QUOTA, json={"bytes": used + used // 20}))
    warned = registry.put_manifest("team/app", "v3", image.manifest).headers["Warning"]
    assert warned == f'299 - "namespace team has {used} of {used + used // 20} bytes in use"'


# ---- the trail


def test_each_change_leaves_its_mark(guarded: Guarded) -> None:
    secret = guarded.robot("root", is_admin=True)
    root = {"Authorization": basic("root", secret)}

    def ask(method: str, path: str, document: object = None) -> TestResponse:
        return guarded.request(method, path, headers=root, json=document)

    bearer = guarded.as_bearer(guarded.token("root", secret, "repository:team/app:pull,push"))
    for tag in ("v1", "v2"):
        push(guarded, bearer, tag)
    assert ask("PATCH", REPOSITORY, {"keep_untagged": True}).status_code == 200
    assert ask("POST", f"{REPOSITORY}/-/delete-tags", {"tags": ["v1", "none"]}).status_code == 200
    assert ask("POST", f"{REPOSITORY}/-/delete-tags", {"tags": ["v2"], "dry_run": True}).status_code == 200
    assert ask("PUT", QUOTA, {"bytes": 10**9}).status_code == 200
    assert ask("DELETE", QUOTA).status_code == 204
    assert ask("POST", f"{REPOSITORY}/-/move", {"to": "group/app", "dry_run": True}).status_code == 200
    assert ask("POST", f"{REPOSITORY}/-/move", {"to": "group/app"}).status_code == 200
    assert ask("DELETE", "/api/v1/repositories/group/app").status_code == 200
    entries = guarded.get("/api/v1/audit", headers=root).get_json()["entries"]
    shown = [
        (entry["action"], entry["resource"], entry["namespace"])
        for entry in reversed(entries)
        if entry["action"].startswith(("repository", "tags", "quota"))
    ]
    assert shown == [
        ("repository.change", "team/app", "team"),
        ("tags.delete", "team/app", "team"),
        ("quota.set", "team", "team"),
        ("quota.remove", "team", "team"),
        ("repository.move", "team/app", None),
        ("repository.delete", "group/app", "group"),
    ]
    details = {entry["action"]: entry["details"] for entry in entries}
    assert details["tags.delete"] == {"tags": ["v1"]}
    assert details["repository.move"] == {"to": "group/app", "with_below": False, "repositories": 1}
    assert details["repository.delete"]["tags"] == 1
    assert details["quota.set"] == {"bytes": 10**9, "repositories": None}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_the_namespace_holds_needs_no_room_however_it_comes(registry: Registry, algorithm: str) -> None:
    content = b"x" * 60_000
    digest = registry.push_blob("team/app", content, algorithm)
    told(registry.request("PUT", QUOTA, json={"bytes": 60_500}))
    for repository in ("team/app", "team/other"):
        location = registry.start_upload(repository)
        put = registry.request("PUT", f"{location.partition('?')[0]}?digest={digest}", data=content)
        post = registry.request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data=content)
        assert (put.status_code, post.status_code) == (201, 201)
    another = registry.start_upload("team/app")
    assert refused(registry, registry.request("PATCH", another, data=content))[:2] == (403, "DENIED")
    wrong = registry.start_upload("team/app")
    claimed = registry.request("PUT", f"{wrong.partition('?')[0]}?digest={digest}", data=b"y" * 60_000)
    assert (claimed.status_code, registry.error_code(claimed)) == (400, "DIGEST_INVALID")
