"""A database or a store that is away: 503 with Retry-After, nothing lost, and back to work when it is back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests
from werkzeug.test import Client

from functions.registry.oci.digest import Digest
from local.guard import choose_port
from local.postgres import Postgres
from local.processes import Children
from tests.conftest import administer
from tests.forgotten import forget_services
from tests.support import Image, Registry


@pytest.fixture
def unreachable(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment to break."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/a/b/manifests/v1"),
        ("HEAD", "/v2/a/b/manifests/v1"),
        ("POST", "/v2/a/b/blobs/uploads/"),
        ("PUT", "/v2/a/b/manifests/v1"),
    ],
)
def test_without_a_database(
    api_function: Client, unreachable: dict[str, str], monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    assert unreachable
    monkeypatch.setenv("SLIPWAY_DATABASE", f"postgresql://postgres@127.0.0.1:{choose_port(0)}/none")
    forget_services()
    response = api_function.open(path, method=method, data=Image(layers=()).manifest if method == "PUT" else None)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    if method != "HEAD":
        assert response.get_json()["errors"][0]["code"] == "UNKNOWN"
    forget_services()


def test_connections_that_the_server_closed_are_replaced(registry: Registry, postgres: Postgres) -> None:
    image = registry.push_image("a/b", "v1")
    administer(
        postgres, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'slipway_shared'"
    )
    assert registry.get("/v2/a/b/manifests/v1").data == image.manifest


def fail(registry: Registry, storage_address: str, **fault: object) -> None:
    planned = {"match": f"/upload/.*{registry.services.settings.bucket}", "count": 1, "action": "status", **fault}
    requests.post(f"{storage_address}/_faults", json=planned, timeout=10).raise_for_status()


def test_a_store_that_stays_down_leaves_the_upload_where_it_stood(registry: Registry, storage_address: str) -> None:
    content = os.urandom(1000)
    location = registry.start_upload("a/b")
    registry.request("PATCH", location, data=content[:400])
    fail(registry, storage_address, match="(POST|PUT) /upload/", count=100, status=503)
    try:
        response = registry.request("PATCH", location, data=content[400:])
    finally:
        requests.delete(f"{storage_address}/_faults", timeout=10)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert registry.get(location).headers["Range"] == "0-399"
    assert registry.request("PATCH", location, data=content[400:]).status_code == 202
    digest = Digest.of(content)
    assert registry.request("PUT", f"{location}?digest={digest}").status_code == 201
    assert registry.pull_blob("a/b", digest) == content


@pytest.mark.parametrize("action", ["status", "break", "cut", "lose_answer"])
def test_a_store_that_fails_once_is_not_noticed(registry: Registry, storage_address: str, action: str) -> None:
    content = os.urandom(1 << 20)
    fail(registry, storage_address, match="(POST|PUT) /upload/", action=action, status=503)
    digest = registry.push_blob("a/b", content)
    assert registry.pull_blob("a/b", digest) == content


def test_a_worker_killed_in_mid_upload_loses_nothing_that_was_confirmed(
    environment: dict[str, str], tmp_path: Path, children: Children
) -> None:
    from tests.faults.conftest import serve  # noqa: PLC0415  # beside the one test that needs two servers

    content = os.urandom(2 << 20)
    first = serve(environment, tmp_path, children)
    path = first.start_upload()
    requests.patch(first.url + path, data=content[: 1 << 20], timeout=30).raise_for_status()
    with first.connect() as connection:
        request = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 20}\r\n\r\n"
        connection.sendall(request.encode() + content[1 << 20 : (1 << 20) + 5000])
        assert first.child.process is not None
        os.killpg(first.child.process.pid, 9)
        first.child.process.wait()
    second = serve(environment, tmp_path, children)
    assert second.uploaded(path) == 1 << 20
    digest = Digest.of(content)
    closing = requests.put(f"{second.url}{path}?digest={digest}", data=content[1 << 20 :], timeout=30)
    assert closing.status_code == 201
    assert requests.get(f"{second.url}/v2/a/b/blobs/{digest}", timeout=30).content == content
