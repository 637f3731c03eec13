"""What holds for all of GitLab's API (the probe, slashes, methods, errors), and what GitLab looks for under `/v2/`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
import requests

from functions.api.gitlab.repositories import moment
from functions.registry.oci.digest import Digest
from tests.background.building import register
from tests.forgotten import forget_services
from tests.gitlab.conftest import REALM
from tests.gitlab.rails import Rails, access, token
from tests.security.people import Guarded
from tests.support import Image, Registry

VERSION: Final = "4.39.0-gitlab"
HEADERS: Final = {
    "Gitlab-Container-Registry-Version": VERSION,
    "Gitlab-Container-Registry-Features": "tag_delete",
    "Gitlab-Container-Registry-Database-Enabled": "true",
}
PATHS: Final = {
    "/gitlab/v1/": "GET",
    "/gitlab/v1/statistics/": "GET",
    "/gitlab/v1/background-migrations/": "GET",
    "/gitlab/v1/background-migrations/1/": "GET",
    "/gitlab/v1/repositories/team/app/": "GET, PATCH",
    "/gitlab/v1/repositories/team/app/tags/list/": "GET",
    "/gitlab/v1/repositories/team/app/tags/detail/v1/": "GET",
    "/gitlab/v1/repository-paths/team/app/repositories/list/": "GET",
}


def test_the_probe_is_answered_in_every_mode(registry: Registry) -> None:
    response = registry.get("/gitlab/v1/")
    assert (response.status_code, response.data) == (200, b"{}\n")
    assert response.headers["Gitlab-Container-Registry-Version"] == VERSION
    assert registry.statements("GET", "/gitlab/v1/") == []


def test_the_probe_with_and_without_one_of_our_tokens(guarded: Guarded) -> None:
    assert guarded.get("/gitlab/v1/").status_code == 401
    ours = guarded.as_bearer(guarded.token("ci", guarded.robot("ci")))
    assert guarded.get("/gitlab/v1/", headers=ours).status_code == 200


def test_the_probe_with_and_without_one_of_gitlabs(external: Registry) -> None:
    refused = external.get("/gitlab/v1/")
    assert (refused.status_code, external.error_code(refused)) == (401, "UNAUTHORIZED")
    assert refused.headers["WWW-Authenticate"] == f'Bearer realm="{REALM}",service="container_registry"'
    assert Rails(external, token()).ask("GET", "/gitlab/v1/").status_code == 200
    worse = Rails(external, token(iss="another")).ask("GET", "/gitlab/v1/")
    assert (worse.status_code, 'error="invalid_token"' in worse.headers["WWW-Authenticate"]) == (401, True)


def test_what_gitlab_finds_a_registry_by_is_never_too_much(external: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 429 would be taken for a registry without the API."""
    monkeypatch.setenv("SLIPWAY_REQUESTS_PER_MINUTE", "1")
    forget_services()
    rails = Rails(external, token(access("statistics", "*"), access("team/app", "*")))
    listed = [rails.ask("GET", "/v2/team/app/tags/list").status_code for _ in range(3)]
    assert listed[-1] == 429
    for method, path in [
        ("GET", "/gitlab/v1/"),
        ("GET", "/gitlab/v1/statistics/"),
        ("GET", "/v2/"),
        ("OPTIONS", "/v2/name/manifests/tag"),
    ]:
        assert rails.ask(method, path).status_code == 200, path


def test_the_headers_that_tell_gitlab_whom_it_talks_to(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    response = registry.get("/v2/")
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert response.get_json() == {}
    monkeypatch.setenv("SLIPWAY_GITLAB_VERSION", "4.40.1")
    forget_services()
    assert registry.get("/v2/").headers["Gitlab-Container-Registry-Version"] == "4.40.1"


def test_those_headers_come_after_signing_in(external: Registry) -> None:
    assert not set(HEADERS) & set(external.get("/v2/").headers.keys())
    assert set(HEADERS) <= set(Rails(external, token()).ask("GET", "/v2/").headers.keys())


def test_a_tag_can_be_deleted_as_gitlab_finds_out(external: Registry) -> None:
    response = Rails(external, token()).ask("OPTIONS", "/v2/name/manifests/tag")
    assert (response.status_code, response.data) == (200, b"")
    assert "DELETE" in response.headers["Allow"].split(", ")
    assert external.request("OPTIONS", "/v2/name/manifests/tag").status_code == 200


@pytest.mark.parametrize(("path", "allowed"), PATHS.items())
def test_methods_that_are_not_offered(registry: Registry, path: str, allowed: str) -> None:
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        response = registry.request(method, path)
        assert (response.status_code, response.headers["Allow"]) == (405, allowed), method
    options = registry.request("OPTIONS", path)
    assert (options.status_code, options.headers["Allow"], options.data) == (200, allowed, b"")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_without_its_slash_is_sent_there_with_its_query(registry: Registry, path: str) -> None:
    response = registry.get(f"{path.rstrip('/')}?n=5&last=a%2Fb")
    assert (response.status_code, response.headers["Location"]) == (301, f"{path}?n=5&last=a%2Fb")
    assert registry.get(path.rstrip("/")).headers["Location"] == path


def test_a_path_that_is_none_and_a_name_that_is_none(registry: Registry) -> None:
    for path, status, code in [
        ("/gitlab/v1/repositories/", 404, "UNSUPPORTED"),
        ("/gitlab/v1/nothing/", 404, "UNSUPPORTED"),
        ("/gitlab/v2/", 404, "UNSUPPORTED"),
        ("/gitlab/v1/repositories/Team/", 400, "NAME_INVALID"),
    ]:
        response = registry.get(path)
        assert (response.status_code, registry.error_code(response)) == (status, code), path


def test_a_body_is_json_and_ends_in_a_newline(tagged: Registry) -> None:
    for path in ("/gitlab/v1/", "/gitlab/v1/statistics/", "/gitlab/v1/repositories/team/app/tags/list/"):
        response = tagged.get(path)
        assert (response.mimetype, response.data[-1:]) == ("application/json", b"\n")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678912, UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 0, UTC), "2026-01-02T03:04:05.000Z"),
        (datetime.fromisoformat("2026-01-02T01:04:05.5+02:00"), "2026-01-01T23:04:05.500Z"),
    ],
)
def test_times_have_three_decimals_and_a_z(at: datetime, expected: str) -> None:
    assert moment(at) == expected


def test_an_error_has_its_detail_only_if_there_is_one(registry: Registry) -> None:
    [error] = registry.get("/gitlab/v1/repositories/team/app/").get_json()["errors"]
    assert error == {
        "code": "NAME_UNKNOWN", "message": "repository name not known to registry", "detail": {"name": "team/app"},
    }  # fmt: skip
    [error] = registry.request("PATCH", "/gitlab/v1/repositories/team/app/", data=b"x").get_json()["errors"]
    assert error == {"code": "INVALID_JSON_BODY", "message": "invalid json body"}


def test_statistics(registry: Registry) -> None:
    assert registry.get("/gitlab/v1/statistics/").get_json() == {
        "release": {"ext_features": "tag_delete", "version": f"v{VERSION}"},
        "database": {"enabled": True},
    }


def test_migrations_that_run_in_the_background(registry: Registry) -> None:
    path = "/gitlab/v1/background-migrations/"
    register(registry.services.database)
    first, second = registry.get(path).get_json()["migrations"]
    assert (first["name"], first["status"], first["progress"]) == ("tag_subjects", "finished", 100)
    assert second == {
        "id": second["id"],
        "name": "other",
        "status": "active",
        "job_signature_name": "other",
        "target_table": "tags",
        "target_column": "repository_id",
        "batch_size": 1000,
        "min_value": 0,
        "max_value": 9,
        "batching_strategy": "keyset",
        "total_tuple_count": 200,
        "progress": 25,
    }
    assert registry.get(f"{path}{second['id']}/").get_json() == {"migration": second}
    assert registry.statements("GET", path) == ["background_list"]


def test_migrations_are_paused_resumed_and_run_again(registry: Registry) -> None:
    register(registry.services.database)
    register(registry.services.database, name="'bad'", state="'failed'")

    def ask(path: str) -> str:
        response = registry.request("POST", f"/gitlab/v1/{path}")
        document = response.get_json()
        assert (response.status_code, document["success"], set(document)) == (200, True, {"success", "message"})
        return str(document["message"])

    def states() -> dict[str, str]:
        listed = registry.get("/gitlab/v1/background-migrations/").get_json()["migrations"]
        return {each["name"]: each["status"] for each in listed}

    assert ask("background-migrations/pause/") == "1 background migrations are paused"
    assert states() == {"tag_subjects": "finished", "other": "paused", "bad": "failed"}
    assert ask("background-migrations/resume/") == "1 background migrations are active"
    assert states()["other"] == "active"
    listed = registry.get("/gitlab/v1/background-migrations/").get_json()["migrations"]
    ids = {each["name"]: each["id"] for each in listed}
    assert ask(f"restart/{ids['bad']}/") == "background migration bad runs again"
    assert states()["bad"] == "active"
    assert "has not failed" in ask(f"restart/{ids['bad']}/")


def test_what_changes_migrations_is_posted(registry: Registry) -> None:
    for path in ("background-migrations/pause/", "background-migrations/resume/", "restart/1/"):
        unslashed = registry.request("POST", f"/gitlab/v1/{path.rstrip('/')}")
        assert (unslashed.status_code, unslashed.headers["Location"]) == (301, f"/gitlab/v1/{path}")
        get = registry.get(f"/gitlab/v1/{path}")
        assert (get.status_code, get.headers["Allow"]) == (405, "POST"), path


@pytest.mark.parametrize(
    ("id_", "status", "code"),
    [
        ("0", 404, "BBM_ID_NOT_FOUND"),
        ("999", 404, "BBM_ID_NOT_FOUND"),
        ("one", 400, "BBM_ID_INVALID"),
        ("-1", 400, "BBM_ID_INVALID"),
        ("1.5", 400, "BBM_ID_INVALID"),
        ("9" * 30, 400, "BBM_ID_INVALID"),
    ],
)
def test_a_migration_that_is_none(registry: Registry, id_: str, status: int, code: str) -> None:
    for method, path in (("GET", f"/gitlab/v1/background-migrations/{id_}/"), ("POST", f"/gitlab/v1/restart/{id_}/")):
        response = registry.request(method, path)
        assert (response.status_code, registry.error_code(response)) == (status, code)


def test_a_list_of_tags_has_as_many_as_ten_thousand(registry: Registry) -> None:
    image = Image(layers=())
    registry.push_image("team/app", image=image)
    for start in range(0, 1200, 100):
        tags = "&".join(f"tag=t{number:05}" for number in range(start, start + 100))
        assert registry.put_manifest("team/app", f"{image.digest}?{tags}", image.manifest).status_code == 201
    response = registry.get("/v2/team/app/tags/list?n=10000")
    assert len(response.get_json()["tags"]) == 1200
    assert "Link" not in response.headers
    assert len(registry.get("/v2/team/app/tags/list").get_json()["tags"]) == 1000


@pytest.mark.parametrize(
    ("proxies", "headers", "expected"),
    [
        ("0", {}, "http://registry.example"),
        ("0", {"X-Forwarded-Proto": "https"}, "http://registry.example"),
        ("1", {"X-Forwarded-Proto": "https"}, "https://registry.example"),
        ("1", {"X-Forwarded-Proto": "http, https"}, "https://registry.example"),
        ("1", {"X-Forwarded-Proto": "gopher"}, "http://registry.example"),
        ("0", {"Host": "registry.example:5000"}, "http://registry.example:5000"),
        ("0", {"Host": "a b"}, ""),
    ],
)
def test_an_upload_goes_on_at_an_address_with_a_query(
    external: Registry, monkeypatch: pytest.MonkeyPatch, proxies: str, headers: dict[str, str], expected: str
) -> None:
    """One of GitLab's two ways to upload takes it as it is, and adds `&digest=`."""
    monkeypatch.setenv("SLIPWAY_TRUSTED_PROXIES", proxies)
    forget_services()
    rails = Rails(external, token(access("team/app", "*")))
    started = rails.ask("POST", "/v2/team/app/blobs/uploads/", headers={"Host": "registry.example", **headers})
    location = started.headers["Location"]
    path = f"/v2/team/app/blobs/uploads/{started.headers['Docker-Upload-UUID']}"
    assert location == f"{expected}{path}?_state="
    put = rails.ask("PUT", f"{location.removeprefix(expected)}&digest={Digest.of(b'x')}", data=b"x")
    assert put.status_code == 201


@pytest.mark.parametrize("added", ["&digest=", "?digest="])
@pytest.mark.parametrize("method", ["POST", "GET", "PATCH"])
def test_others_are_given_a_path_with_a_query(registry: Registry, method: str, added: str) -> None:
    """Whichever way a client adds to it."""
    location = registry.start_upload("team/app")
    if method != "POST":
        location = registry.request(method, location, data=b"").headers["Location"]
    assert location.startswith("/v2/team/app/blobs/uploads/")
    assert location.endswith("?_state=")
    assert registry.request("PUT", f"{location}{added}{Digest.of(b'x')}", data=b"x").status_code == 201


def test_a_chunk_out_of_order_is_sent_to_the_same_address(registry: Registry) -> None:
    location = registry.start_upload("team/app")
    refused = registry.request("PATCH", location, data=b"x", headers={"Content-Range": "5-5"})
    assert (refused.status_code, refused.headers["Location"]) == (416, location)


def test_a_signed_url_opens_without_the_token(external: Registry) -> None:
    rails = Rails(external, token(access("team/app", "*")))
    path = f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'config')}"
    assert rails.ask("POST", path, data=b"config").status_code == 201
    found = rails.ask("GET", f"/v2/team/app/blobs/{Digest.of(b'config')}")
    assert requests.get(found.headers["Location"], timeout=10).content == b"config"
