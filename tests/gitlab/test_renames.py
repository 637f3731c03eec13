"""GitLab's API: a project's repositories get another name, all at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.name import RepositoryName
from tests.gitlab.rails import Rails, access, token
from tests.metadata.build import push_image, query
from tests.security.people import Guarded
from tests.support import Image, Registry

APP: Final = "group/sub/app"
PATH: Final = f"/gitlab/v1/repositories/{APP}/"


def stock(registry: Registry, *names: str) -> None:
    for name in names:
        push_image(registry.services.database, RepositoryName(name), "v1", image=Image(layers=()))


def mover(registry: Registry, *more: dict[str, Any], path: str = APP, **meta: Any) -> Rails:
    """Asks with the token that GitLab makes for a rename; with `more`, for a move."""
    claim = meta or {"project_path": path, "project_id": 1, "root_namespace_id": 2}
    return Rails(registry, token(access(path, "pull", "push", **claim), access(f"{path}/*", "pull"), *more))


def patch(rails: Rails, path: str = PATH, dry_run: str | None = "false", **body: Any) -> TestResponse:
    return rails.ask("PATCH", path, query_string={} if dry_run is None else {"dry_run": dry_run}, json=body)


def names(registry: Registry) -> list[str]:
    rails = Rails(registry, token(access("catalog", "*")))
    found: list[str] = rails.json("/v2/_catalog")["repositories"]
    return found


@pytest.fixture
def grouped(external: Registry) -> Registry:
    stock(external, APP, f"{APP}/web", f"{APP}/{APP}", "group/sub/application", "group/other")
    return external


REST: Final = ["group/other", "group/sub/application"]


def test_a_project_is_renamed_with_all_below_it(grouped: Registry) -> None:
    rails = mover(grouped)
    tried = patch(rails, dry_run="true", name="new")
    assert (tried.status_code, tried.mimetype) == (202, "application/json")
    assert 30 < (datetime.fromisoformat(tried.get_json()["ttl"]) - datetime.now(UTC)).total_seconds() <= 60
    assert APP in names(grouped), "a dry run changes nothing"
    moved = patch(rails, name="new")
    assert (moved.status_code, moved.data) == (204, b"")
    expected = ["group/sub/new", f"group/sub/new/{APP}", "group/sub/new/web"]
    assert names(grouped) == sorted([*REST, *expected]), "the leading part alone"
    pull = Rails(grouped, token(access("group/sub/new/web", "pull")))
    assert pull.ask("GET", "/v2/group/sub/new/web/manifests/v1").status_code == 200


def test_a_project_is_moved_to_another_group(grouped: Registry) -> None:
    assert patch(mover(grouped), namespace="group/far").status_code == 401
    challenge = patch(mover(grouped), namespace="group/far").headers["WWW-Authenticate"]
    assert 'scope="repository:group/far/*:push",error="insufficient_scope"' in challenge
    rails = mover(grouped, access("group/far/*", "push"))
    assert patch(rails, dry_run=None, namespace="group/far").status_code == 204
    assert names(grouped) == sorted([*REST, "group/far/app", f"group/far/app/{APP}", "group/far/app/web"])


def test_the_name_itself_need_not_be_there(external: Registry) -> None:
    stock(external, f"{APP}/web")
    assert patch(mover(external), name="new").status_code == 204
    assert names(external) == ["group/sub/new/web"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "a", "namespace": "group/b"}, 400, "INVALID_BODY_PARAMETER"),
        ({"namespace": "elsewhere"}, 400, "INVALID_BODY_PARAMETER"),
        ({"namespace": "group2/sub"}, 400, "INVALID_BODY_PARAMETER"),
        ({}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"name": ""}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"name": "New"}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"name": "a/b"}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"name": 5}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"name": "x" * 300}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"namespace": "group//b"}, 400, "INVALID_BODY_PARAMETER_TYPE"),
        ({"namespace": "group/" + "x" * 249}, 400, "NAME_INVALID"),
        ({"name": "application"}, 409, "RENAME_CONFLICT"),
        ({"name": "app"}, 409, "RENAME_CONFLICT"),
        ({"name": "taken"}, 409, "RENAME_CONFLICT"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_rename_that_is_refused(
    grouped: Registry, body: dict[str, Any], status: int, code: str, dry_run: str
) -> None:
    stock(grouped, "group/sub/taken/below")
    before = names(grouped)
    groups = [access(f"{body['namespace']}/*", "push")] if isinstance(body.get("namespace"), str) else []
    response = patch(mover(grouped, *groups), dry_run=dry_run, **body)
    assert (response.status_code, grouped.error_code(response)) == (status, code)
    assert names(grouped) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"name"', b"\xff", b"[" * 70_000])
def test_a_body_that_is_no_object(grouped: Registry, body: bytes) -> None:
    response = mover(grouped).ask("PATCH", f"{PATH}?dry_run=false", data=body, content_type="application/json")
    assert (response.status_code, grouped.error_code(response)) == (400, "INVALID_JSON_BODY")


@pytest.mark.parametrize("value", ["", "1", "True", "yes"])
def test_a_dry_run_is_true_or_false(grouped: Registry, value: str) -> None:
    response = patch(mover(grouped), dry_run=value, name="new")
    assert (response.status_code, grouped.error_code(response)) == (400, "INVALID_QUERY_PARAMETER_TYPE")


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        ({"project_id": 1}, "UNKNOWN_PROJECT_PATH_CLAIM"),
        ({"project_path": ""}, "UNKNOWN_PROJECT_PATH_CLAIM"),
        ({"project_path": 5}, "UNKNOWN_PROJECT_PATH_CLAIM"),
        ({"project_path": "group/sub"}, "MISMATCH_PROJECT_PATH_CLAIM"),
        ({"project_path": f"{APP}/web"}, "MISMATCH_PROJECT_PATH_CLAIM"),
    ],
)
def test_the_token_names_the_project(grouped: Registry, meta: dict[str, Any], code: str) -> None:
    response = patch(mover(grouped, **meta), name="new")
    assert (response.status_code, grouped.error_code(response)) == (400, code)


@pytest.mark.parametrize("path", ["nobody/app", "group/none"])
def test_nothing_to_rename(grouped: Registry, path: str) -> None:
    response = patch(mover(grouped, path=path), f"/gitlab/v1/repositories/{path}/", name="new")
    assert (response.status_code, grouped.error_code(response)) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize(
    "granted",
    [
        [],
        [access(APP, "pull", project_path=APP), access(f"{APP}/*", "pull")],
        [access(APP, "push", project_path=APP), access(f"{APP}/*", "pull")],
        [access(APP, "pull", "push", project_path=APP)],
    ],
)
def test_a_rename_takes_these_scopes(grouped: Registry, granted: list[dict[str, Any]]) -> None:
    response = patch(Rails(grouped, token(*granted)), name="new")
    assert response.status_code == 401
    asked = f'scope="repository:{APP}:pull,push repository:{APP}/*:pull"'
    assert asked in response.headers["WWW-Authenticate"]


def test_more_than_two_thousand_repositories_move_as_well(external: Registry) -> None:
    """GitLab's registry refuses them: it reserves each name in a store of its own."""
    database = external.services.database
    stock(external, APP)
    with database._pool.connection(may_block=False) as connection:
        connection.simple(
            "INSERT INTO repositories (namespace_id, name) SELECT namespace_id, name || '/r' || n"
            " FROM repositories, generate_series(1, 2001) AS n"
        )
    assert patch(mover(external), name="new").status_code == 204


def test_our_own_tokens_take_an_administrator(guarded: Guarded) -> None:
    stock(guarded, APP)
    for name, is_admin, status in [("mere", False, 403), ("boss", True, 204)]:
        secret = guarded.robot(name, is_admin=True) if is_admin else guarded.robot(name, (f"{APP}/**", "admin"))
        headers = guarded.as_bearer(guarded.token(name, secret, f"repository:{APP}:pull,push"))
        response = guarded.request("PATCH", PATH, json={"name": "new"}, headers=headers)
        assert response.status_code == status, response.text
    assert guarded.request("PATCH", PATH, json={"name": "new"}).status_code == 401


def test_a_quota_does_not_stand_in_the_way_of_a_rename(grouped: Registry) -> None:
    quotas.put(grouped.services.database, Quota("group", 1, None))
    assert patch(mover(grouped), name="new").status_code == 204


def test_a_move_is_in_the_trail(grouped: Registry) -> None:
    patch(mover(grouped), dry_run="true", name="new")
    patch(mover(grouped), name="new")
    columns = "action, outcome, principal, resource, details, namespace"
    assert query(grouped.services.database, f"SELECT {columns} FROM audit") == [  # noqa: S608  # named above
        ["repository.move", "success", "external:root", APP, {"to": "group/sub/new"}, "group"],
    ]
