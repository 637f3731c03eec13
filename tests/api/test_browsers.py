"""What browsers are told, with every answer of every route, in every mode: content is no page, and who may read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest import mock

import pytest
import requests
from werkzeug.test import Client, TestResponse

from functions.api.web.browsers import EXPOSED, PROTECTION
from functions.registry.metadata.content import blobs
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.wiring import Services
from local.guard import choose_port
from local.processes import Children
from tests.api.description import OPERATIONS, Operation
from tests.api.test_description import PARTS
from tests.faults.conftest import serve
from tests.forgotten import forget_services, made_services
from tests.support import Image, Registry

ORIGIN: Final = "https://images.example.com"
OTHERS: Final = (
    "https://other.example.com",
    "https://images.example.com.evil.example",
    "http://images.example.com",
    "https://images.example.com:444",
    "HTTPS://IMAGES.EXAMPLE.COM",
    "null",
    "",
)
CREDENTIALS: Final = "Access-Control-Allow-Credentials"
ALLOWED: Final = "Access-Control-Allow-Origin"
MODES: Final[dict[str, dict[str, str]]] = {
    "open": {},
    "streaming": {"SLIPWAY_BLOB_DELIVERY": "streaming"},
    "token": {"SLIPWAY_ACCESS": "token", "SLIPWAY_TOKEN_REALM": "https://registry.example/token"},
    "external": {
        "SLIPWAY_ACCESS": "external",
        "SLIPWAY_TOKEN_REALM": "https://gitlab.example/jwt/auth",
        "SLIPWAY_PEPPER": "a pepper",
        "SLIPWAY_EXTERNAL_ISSUER": "omnibus-gitlab-issuer",
        "SLIPWAY_EXTERNAL_JWKS_URL": "https://gitlab.example/oauth/discovery/keys",
    },
}

Opener = Callable[..., Registry]


@pytest.fixture
def opened(
    api_function: Client,
    services: Services,
    access_secrets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Opener:
    """Opens a registry with settings of its own. `services` has set the environment up."""
    assert services.settings.cors_origins == frozenset()

    def open_with(origins: str = f"{ORIGIN} http://localhost:8080", **chosen: str) -> Registry:
        for name, value in {**access_secrets, **chosen, "SLIPWAY_CORS_ORIGINS": origins}.items():
            monkeypatch.setenv(name, value)
        return Registry(api_function, made_services())

    return open_with


def check_protected(response: TestResponse) -> None:
    for name, value in PROTECTION.items():
        assert response.headers.getlist(name) == [value], (response.status, name)
    mimetype = response.mimetype or ""
    is_data = not mimetype or mimetype == "application/json" or mimetype.endswith("+json")
    expected = None if is_data else "attachment"
    assert response.headers.get("Content-Disposition") == expected, (response.status, mimetype)


def check_shared(response: TestResponse) -> None:
    assert response.headers.getlist(ALLOWED) == [ORIGIN]
    assert response.headers["Access-Control-Expose-Headers"] == EXPOSED
    assert "Origin" in response.headers["Vary"]
    assert CREDENTIALS not in response.headers


def ask(registry: Registry, operation: Operation) -> TestResponse:
    path = operation.path.format(**PARTS)
    return registry.request(operation.method, path, headers={"Origin": ORIGIN}, data=b"")


# ---- every route


@pytest.mark.parametrize("mode", MODES)
def test_every_answer_of_every_route_protects_and_is_shared(opened: Opener, mode: str) -> None:
    registry = opened(**MODES[mode])
    statuses = set()
    for operation in OPERATIONS:
        response = ask(registry, operation)
        check_protected(response)
        check_shared(response)
        statuses.add(response.status_code)
    # The walk met answers of every kind that can be had so.
    assert {"open": {200, 202, 400, 404}, "streaming": {200, 202, 400, 404}}.get(mode, {200, 401}) <= statuses


@pytest.mark.parametrize("mode", MODES)
def test_a_browser_may_ask_every_path_beforehand_without_a_token(opened: Opener, mode: str) -> None:
    registry = opened(**MODES[mode])
    for operation in OPERATIONS:
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": operation.method}
        path = operation.path.format(**PARTS)
        headers = {**asked, "Access-Control-Request-Headers": "authorization"}
        response = registry.request("OPTIONS", path, headers=headers)
        assert (response.status_code, response.data) == (200, b"")
        check_protected(response)
        check_shared(response)
        assert operation.method in response.headers["Access-Control-Allow-Methods"].split(", ")
        taken = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert {"authorization", "content-type", "range", "content-range"} <= set(taken)
        assert registry.statements("OPTIONS", path, headers=headers) == []


@pytest.mark.parametrize("mode", ["open", "token", "external"])
def test_a_page_of_another_origin_is_told_nothing(opened: Opener, mode: str) -> None:
    registry = opened(**MODES[mode])
    for origin in OTHERS:
        for method in ("GET", "OPTIONS"):
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            response = registry.request(method, "/v2/", headers=asked)
            assert not [name for name in response.headers.keys() if name.startswith("Access-Control-")], origin  # noqa: SIM118
            assert "Origin" in response.headers["Vary"]


def test_without_the_setting_nothing_is_shared(registry: Registry) -> None:
    for method in ("GET", "OPTIONS"):
        response = registry.request(method, "/v2/", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"})
        assert not [name for name in response.headers.keys() if name.startswith("Access-Control-")]  # noqa: SIM118
        assert "Vary" not in response.headers
        check_protected(response)


# ---- answers that no route gives by itself


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/robots.txt", 404),
        ("GET", "/favicon.ico", 404),
        ("GET", "/v2//_catalog", 404),
        ("GET", "/v2/%0a", 404),
        ("POST", "/v2/", 405),
        ("TRACE", "/v2/", 405),
        ("OPTIONS", "/nothing", 404),
        ("GET", "/v2/UPPER/manifests/v1", 400),
        ("GET", "/v2/a/b/tags/list?n=x", 400),
        ("GET", "/gitlab/v1", 301),
    ],
)
def test_what_is_refused_before_a_route_runs(opened: Opener, method: str, path: str, status: int) -> None:
    response = opened().request(method, path, headers={"Origin": ORIGIN})
    assert response.status_code == status
    check_protected(response)
    check_shared(response)


def test_a_fault_of_ours(opened: Opener) -> None:
    registry = opened()
    with mock.patch.object(blobs, "confirm", side_effect=RuntimeError):
        response = registry.request("HEAD", f"/v2/a/b/blobs/{Digest.of(b'')}", headers={"Origin": ORIGIN})
    assert response.status_code == 500
    check_protected(response)
    check_shared(response)


def test_a_database_that_is_away(opened: Opener) -> None:
    registry = opened(SLIPWAY_DATABASE=f"postgresql://postgres@127.0.0.1:{choose_port(0)}/none")
    response = registry.get("/v2/_catalog", headers={"Origin": ORIGIN})
    assert response.status_code == 503
    check_protected(response)
    check_shared(response)


def test_a_registry_whose_settings_are_wrong_protects_all_the_same(
    api_function: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services
    monkeypatch.setenv("SLIPWAY_BLOB_DELIVERY", "by pigeon")
    forget_services()
    response = api_function.get("/v2/")
    monkeypatch.setenv("SLIPWAY_BLOB_DELIVERY", "redirect")
    assert response.status_code == 500
    check_protected(response)


def test_a_body_that_is_too_large_is_answered_alike_on_a_real_socket(
    environment: dict[str, str], tmp_path: Path
) -> None:
    children = Children()
    limits = {"SLIPWAY_CORS_ORIGINS": ORIGIN, "SLIPWAY_REQUEST_LIMIT_BYTES": str(1 << 20)}
    try:
        server = serve(environment, tmp_path, children, **limits)
        url = f"{server.url}/v2/a/b/blobs/uploads/?digest={Digest.of(bytes(2 << 20))}"
        answer = requests.post(url, data=bytes(2 << 20), headers={"Origin": ORIGIN}, timeout=10)
    finally:
        children.stop()
    assert answer.status_code == 413
    assert answer.headers[ALLOWED] == ORIGIN
    assert PROTECTION.items() <= answer.headers.items()


def test_what_the_server_beneath_refuses_protects_as_well(environment: dict[str, str], tmp_path: Path) -> None:
    children = Children()
    try:
        server = serve(environment, tmp_path, children)
        with server.connect() as connection:
            connection.sendall(b"GET /v2/<script> HTTP/9.9\r\n\r\n")
            head = connection.makefile("rb").read().partition(b"\r\n\r\n")[0].decode().splitlines()
    finally:
        children.stop()
    assert head[0].startswith("HTTP/1.1 4")
    assert {f"{name}: {value}" for name, value in PROTECTION.items()} <= set(head)


# ---- contents


@pytest.mark.parametrize("mode", ["open", "streaming"])
def test_a_blob_is_a_file_to_save_wherever_it_comes_from(opened: Opener, mode: str) -> None:
    registry = opened(**MODES[mode])
    digest = registry.push_blob("a/b", b"<script>alert(document.domain)</script>")
    response = registry.get(f"/v2/a/b/blobs/{digest}", headers={"Origin": ORIGIN})
    check_protected(response)
    check_shared(response)
    if mode == "open":
        answer = requests.get(response.headers["Location"], timeout=10)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment"
    else:
        assert response.headers["Content-Disposition"] == "attachment"


def test_a_manifest_is_shown_as_the_data_it_is(opened: Opener) -> None:
    registry = opened()
    image = registry.push_image("a/b", "v1", Image())
    response = registry.get("/v2/a/b/manifests/v1", headers={"Origin": ORIGIN})
    assert response.data == image.manifest
    check_protected(response)
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize(
    "stored",
    [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "application/xml",
        "application/pdf",
        "image/png",
        "text/plain",
        "text/x+json",
        "application/javascript",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "video/mp4",
    ],
)
def test_what_was_stored_under_a_type_that_a_browser_shows_is_a_file_to_save(opened: Opener, stored: str) -> None:
    """However it came there: an older version may have taken it."""
    registry = opened()
    image = registry.push_image("a/b", "v1")
    connection = Connection(registry.services.settings.database)
    connection.simple(f"UPDATE manifests SET media_type = '{stored}'")  # noqa: S608  # one of the list above
    connection.close()
    response = registry.get("/v2/a/b/manifests/v1")
    assert (response.status_code, response.data) == (200, image.manifest)
    assert response.headers["Content-Disposition"] == "attachment"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
