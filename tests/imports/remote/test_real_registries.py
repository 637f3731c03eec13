"""Copies from registries that other people wrote, and from another one of ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from werkzeug.serving import make_server

from functions.migrate.work import run
from functions.registry.auth.source_credentials import Credentials
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.clients.server import admin_secret, start_registry
from tests.imports import debian
from tests.imports.demo import push, put
from tests.imports.importing import problems, states
from tests.support import Image, Registry, descriptor, index_of


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_PRIVATE_SOURCES": "127.0.0.1 localhost"}


def copied(registry: Registry, address: str, **options: object) -> int:
    source = sources.add(registry.services.database, NewSource("registry", f"http://{address}", options=options))
    sources.open_up(registry.services.database, source.id)
    while run(registry.services):
        pass
    return source.id


def again(registry: Registry, source: int) -> None:
    answer = registry.request("POST", f"/api/v1/imports/{source}/start", json={})
    assert answer.status_code == 200
    while run(registry.services):
        pass


def equal(registry: Registry, address: str, repository: str, *references: object) -> None:
    """Manifests, and the blobs of images, as the other one answers them."""
    for reference in references:
        theirs = debian.manifest(address, repository, reference)
        ours = registry.get(f"/v2/{repository}/manifests/{reference}")
        assert theirs.status_code == ours.status_code == 200, (repository, reference, ours.text)
        assert ours.data == theirs.content
        assert ours.content_type == theirs.headers["Content-Type"]
        document = theirs.json()
        for part in [document["config"], *document["layers"]] if "config" in document else ():
            digest = Digest.parse(part["digest"])
            assert Digest.of(registry.pull_blob(repository, digest)) == digest


def filled(address: str) -> dict[str, list[object]]:
    """Images, an index, an artifact with a subject and a fallback tag; what there is by repository."""
    images = [Image(layers=(os.urandom(200_000), os.urandom(100))) for _ in range(3)]
    for number, image in enumerate(images):
        push(address, "team/app", image, f"v{number}", "latest")
    index = index_of(images[0].manifest, images[1].manifest)
    answer = requests.put(
        f"http://{address}/v2/team/app/manifests/both",
        data=index,
        headers={"Content-Type": "application/vnd.oci.image.index.v1+json"},
        timeout=20,
    )
    answer.raise_for_status()
    signature = Image(more={"subject": descriptor(images[2].manifest, OCI_MANIFEST)})
    push(address, "team/app", signature, str(images[2].digest).replace(":", "-"))
    for number in range(5):
        push(address, f"many/r{number}", images[0], "v1")
    tags: list[object] = ["v0", "v1", "v2", "latest", "both", str(images[2].digest).replace(":", "-"), signature.digest]
    return {"team/app": tags, **{f"many/r{number}": ["v1"] for number in range(5)}}


def test_debians_registry(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with debian.serve(tmp_path / "old") as address:
        held = filled(address)
        source = copied(registry, address, page_size=3)
        assert problems(registry.services) == set()
        assert states(registry.services) == dict.fromkeys(held, "imported")
        for repository, references in held.items():
            equal(registry, address, repository, *references)
        before = registry.get(f"/api/v1/imports/{source}").get_json()["counts"]
        again(registry, source)
        assert registry.get(f"/api/v1/imports/{source}").get_json()["counts"] == before
        moved = Image()
        push(address, "team/app", moved, "v0")
        push(address, "new/one", moved, "v0")
        again(registry, source)
        equal(registry, address, "team/app", "v0")
        equal(registry, address, "new/one", "v0")


@contextmanager
def watched(address: str) -> Iterator[tuple[str, list[str]]]:
    """In front of a registry: its address, and the requests as they come."""
    asked: list[str] = []

    def application(environ: dict, start_response: object) -> list[bytes]:  # type: ignore[type-arg]
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else "")
        asked.append(f"{environ['REQUEST_METHOD']} {path}")
        sent = {
            name: environ[key] for name, key in (("Accept", "HTTP_ACCEPT"), ("Range", "HTTP_RANGE")) if key in environ
        }
        answer = requests.request(environ["REQUEST_METHOD"], f"http://{address}{path}", headers=sent, timeout=20)
        kept = ("Content-Type", "Docker-Content-Digest", "Link", "Content-Range", "Content-Length")
        headers = [(name, answer.headers[name]) for name in kept if name in answer.headers]
        start_response(f"{answer.status_code} {answer.reason}", headers)  # type: ignore[operator]
        return [answer.content]

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_second_pass_over_debians_registry_reads_no_manifest_and_no_blob(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with debian.serve(tmp_path / "old") as address, watched(address) as (front, asked):
        filled(address)
        source = copied(registry, front)
        asked.clear()
        again(registry, source)
        assert [line for line in asked if line.startswith("GET") and ("/manifests/" in line or "/blobs/" in line)] == []
        assert [line for line in asked if line.startswith("HEAD")]


@pytest.fixture
def another(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Another Slipway, and its administrator's secret: started before this one's settings are in the environment."""
    with start_registry("redirect", tmp_path / "data", {"SLIPWAY_ACCESS": "token"}) as other:
        yield other.address, admin_secret(tmp_path / "data")


@pytest.mark.clients
def test_another_slipway_with_tokens(another: tuple[str, str], registry: Registry) -> None:
    address, secret = another
    image, tag = Image(), "v1"
    signature = Image(more={"subject": descriptor(image.manifest, OCI_MANIFEST)})
    scope = "repository:team/app:pull,push"
    answer = requests.get(f"http://{address}/token?service=slipway&scope={scope}", auth=("admin", secret), timeout=20)
    token = answer.json()["token"]
    for each, name in ((image, tag), (signature, str(signature.digest))):
        push(address, "team/app", each, name, token=token)
    put(address, "team/app", "latest", image, token=token)

    copied(registry, address, credentials=Credentials("admin", secret).sealed(registry.services.settings.pepper))

    assert problems(registry.services) == set()
    assert registry.get("/v2/team/app/manifests/v1").data == image.manifest
    assert registry.get("/v2/team/app/manifests/latest").data == image.manifest
    listed = registry.get(f"/v2/team/app/referrers/{image.digest}").get_json()["manifests"]
    assert [entry["digest"] for entry in listed] == [str(signature.digest)]
    for blob in image.blobs:
        assert registry.pull_blob("team/app", Digest.of(blob)) == blob
