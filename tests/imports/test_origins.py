"""Where a layout lies: in this registry's bucket, in another one, in a folder; and stores that refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
import requests

from functions.registry.imports import names, throttle
from functions.registry.metadata.imports import sources
from functions.registry.oci.digest import Digest
from functions.registry.wiring import Services
from tests.imports.importing import add, files, problems, requests_counted, run, states, upload
from tests.imports.old import OldRegistry
from tests.imports.truth import ROOT, Layout, unpack
from tests.metadata.build import query, value
from tests.support import Image, Registry

APP = "team/app"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Folders may be read."""
    return {**environment, "SLIPWAY_IMPORT_FOLDERS": "accept"}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return unpack("broken-2.8.2", tmp_path_factory.mktemp("broken"))


def make_bucket(storage_address: str, name: str) -> str:
    answer = requests.post(f"{storage_address}/storage/v1/b?project=test", json={"name": name}, timeout=10)
    assert answer.status_code in (200, 409)
    return name


def plan(storage_address: str, **fault: object) -> None:
    requests.post(f"{storage_address}/_faults", json=fault, timeout=10).raise_for_status()


@pytest.fixture
def faults(storage_address: str) -> Iterator[str]:
    """Where they are planned; none is left over."""
    yield storage_address
    requests.delete(f"{storage_address}/_faults", timeout=10).raise_for_status()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits little before it asks again."""
    monkeypatch.setattr(throttle, "_FIRST_WAIT_SECONDS", 0.001)


def imported_from(registry: Registry, address: str) -> None:
    add(registry.services, address)
    run(registry.services)


def check(registry: Registry, layout: Layout) -> None:
    """All that was served there, and whose bytes have their digest, is served here; all that is wrong is told."""
    for name, truth in layout.repositories.items():
        for reference, answer in {**truth["tags"], **truth["manifests"]}.items():
            if answer["status"] == 200 and answer["sha256"] == answer.get("digest", reference).partition(":")[2]:
                response = registry.get(f"/v2/{name}/manifests/{reference}")
                assert response.status_code == 200, (name, reference)
                assert hashlib.sha256(response.data).hexdigest() == answer["sha256"]
        for digest, state in truth["layers"].items():
            if state == 200 and truth["manifests"]:
                assert registry.get(f"/v2/{name}/blobs/{digest}").status_code == 307
    assert len(problems(registry.services)) == len(layout.expected) + 1


def test_another_bucket_is_copied_within_the_store(registry: Registry, storage_address: str, broken: Layout) -> None:
    bucket = make_bucket(storage_address, "an-older-one")
    upload(storage_address, bucket, {f"below/{name}": content for name, content in files(broken.folder).items()})
    imported_from(registry, f"gs://{bucket}/below")
    check(registry, broken)
    database = registry.services.database
    assert value(database, "SELECT bool_and(object_name LIKE 'imported/%') FROM blobs") is True
    assert value(database, "SELECT count(*) FROM deletions") == 0


def test_a_folder_is_uploaded_and_keeps_its_times(registry: Registry, broken: Layout) -> None:
    imported_from(registry, str(broken.folder))
    check(registry, broken)
    found = query(
        registry.services.database,
        """
        SELECT repositories.name, tags.name, tags.updated_at, manifests.pushed_at
          FROM tags JOIN manifests ON manifests.id = tags.manifest_id
          JOIN repositories ON repositories.id = tags.repository_id
        """,
    )
    assert len(found) == 18
    for repository, tag, updated_at, pushed_at in found:
        truth = broken.repositories[repository]
        if truth["tags"][tag]["status"] == 200:
            assert updated_at == datetime.fromtimestamp(truth["tags"][tag]["updated"], UTC)
            pushed = truth["manifests"][truth["tags"][tag]["digest"]]["pushed"]
            assert pushed_at == datetime.fromtimestamp(pushed, UTC)
    # Nothing looks as if it was made or pushed today.
    assert value(registry.services.database, "SELECT max(created_at) < '2022-01-01' FROM repositories") is True
    assert value(registry.services.database, "SELECT max(pushed_at) < '2022-01-01' FROM repository_usage") is True
    assert value(registry.services.database, "SELECT count(*) FROM deletions") == 0


def test_a_name_that_is_no_text_is_told(registry: Registry, tmp_path: Path) -> None:
    payload = Image().manifest
    for repository in ("fine", "caf\udce9", "x" * 200 + "/" + "y" * 200):
        for name, content in (
            (names.blob_name(Digest.of(payload)), payload),
            (names.revision_link_name(repository, Digest.of(payload)), str(Digest.of(payload)).encode()),
        ):
            path = tmp_path / ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (tmp_path / ROOT / "repositories" / "\udcff\udcfe").touch()
    imported_from(registry, str(tmp_path))
    assert states(registry.services) == {
        "fine": "imported",
        "caf\\xe9": "refused",
        "x" * 200 + "/" + "y" * 200: "refused",
    }
    assert ("", "object", "repositories/\\xff\\xfe", "stray") in problems(registry.services)


def test_a_folder_is_refused_where_none_may_be_read(registry: Registry, tmp_path: Path) -> None:
    services = registry.services
    refusing = replace(services.settings, import_folders="refuse")
    source = add(services, str(tmp_path))
    with mock.patch.object(Services, "settings", refusing):
        run(services)
    found = sources.get(services.database, source.id)
    assert found is not None
    assert found.state == "paused"
    assert "SLIPWAY_IMPORT_FOLDERS" in (found.reason or "")


def test_a_folder_that_is_not_there_pauses_the_import(registry: Registry, tmp_path: Path) -> None:
    source = add(registry.services, str(tmp_path / "mistyped"))
    run(registry.services)
    found = sources.get(registry.services.database, source.id)
    assert found is not None
    assert (found.state, found.reason) == ("paused", f"there is no folder {tmp_path / 'mistyped'}")


def test_a_right_that_is_taken_away_pauses_the_import(
    registry: Registry, storage_address: str, bucket_name: str, faults: str
) -> None:
    old = OldRegistry(storage_address, bucket_name)
    images = {f"team/app-{number}": Image() for number in range(4)}
    for repository, image in images.items():
        old.push(repository, image, "v1")
    source = add(registry.services)
    plan(faults, match="GET /download/", action="status", status=403, skip=2, count=1000)
    run(registry.services)
    database = registry.services.database
    found = sources.get(database, source.id)
    assert found is not None
    assert (found.state, (found.reason or "")[:3]) == ("paused", "403")
    requests.delete(f"{faults}/_faults", timeout=10)
    sources.resume(database, source.id)
    run(registry.services)
    assert set(states(registry.services).values()) == {"imported"}
    assert all(registry.get(f"/v2/{name}/manifests/v1").status_code == 200 for name in images)


@pytest.mark.usefixtures("hurried")
def test_a_store_that_refuses_every_tenth_request_gets_little_more(
    registry: Registry, storage_address: str, bucket_name: str, faults: str
) -> None:
    old = OldRegistry(storage_address, bucket_name)
    images = {f"team/app-{number}": Image() for number in range(20)}
    for repository, image in images.items():
        old.push(repository, image, "v1")
    for number in range(0, 50, 10):
        plan(faults, match="^GET /(download/)?storage", action="status", status=(429, 503)[number // 10 % 2], skip=9)
    add(registry.services)
    with requests_counted() as asked:
        run(registry.services)
    assert set(states(registry.services).values()) == {"imported"}
    assert all(registry.get(f"/v2/{name}/manifests/v1").status_code == 200 for name in images)
    # Two listings of the whole, one of each repository, and each manifest once.
    assert len(asked) <= 1.3 * (2 + 20 + 20)
