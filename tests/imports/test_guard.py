"""What keeps the older registry's collection, and a second Slipway, from the blobs that are shared."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from functions.migrate.imports.guard import BucketTaken, Guard
from functions.registry.blobs.objects import StoredObjects
from functions.registry.imports import names
from functions.registry.imports.folder import Folder
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.vocabulary import Source
from functions.registry.wiring import Services
from tests.clients.programs import Program
from tests.imports.importing import add, files, run, states, upload
from tests.imports.old import OldRegistry
from tests.imports.truth import ROOT, Layout, unpack
from tests.metadata.build import query, value
from tests.support import Image, Registry

IN_USE: Final = "docker/registry/lockfiles/database-in-use"
MARK: Final = "docker/registry/slipway.json"
_COLLECTING: Final = {
    "docker-registry": Program("docker-registry", "apt-get install docker-registry"),
    "distribution 3": Program(
        "build/gobin/registry", "go install github.com/distribution/distribution/v3/cmd/registry"
    ),
}


@pytest.fixture
def source(services: Services) -> Source:
    return sources.add(services.database, NewSource("layout", "gs://old", ROOT))


@pytest.fixture
def place(services: Services) -> StoredObjects:
    return StoredObjects(services.settings.bucket, 10)


@pytest.fixture
def guard(services: Services, source: Source, place: StoredObjects) -> Guard:
    return Guard(services.database, place, services.bucket, ROOT, source.mark)


def names_in(place: StoredObjects) -> set[str]:
    return {stored.name for stored in place.page("").objects}


def test_it_is_put_up_once_and_taken_down_whole(guard: Guard, place: StoredObjects) -> None:
    assert not guard.is_up()
    guard.put_up(leads=False)
    assert guard.is_up()
    written = {stored.name: stored.generation for stored in place.page("").objects}
    assert len(written) == 6
    guard.put_up(leads=False)
    assert {stored.name: stored.generation for stored in place.page("").objects} == written
    guard.take_down()
    assert names_in(place) == set()
    assert not guard.is_up()


def test_gitlab_s_registry_is_told_only_while_this_one_decides(guard: Guard, place: StoredObjects) -> None:
    guard.put_up(leads=False)
    assert IN_USE not in names_in(place)
    guard.put_up(leads=True)
    assert IN_USE in names_in(place)
    guard.put_up(leads=True)
    guard.put_up(leads=False)
    assert IN_USE not in names_in(place)


def test_what_was_taken_away_is_put_up_again(guard: Guard, services: Services) -> None:
    guard.put_up(leads=False)
    services.bucket.remove(ROOT + names.current_link_name(names.GUARD, "guard"))
    assert not guard.is_up()
    guard.put_up(leads=False)
    assert guard.is_up()


def test_a_second_slipway_on_the_bucket_is_refused(guard: Guard, place: StoredObjects, services: Services) -> None:
    guard.put_up(leads=True)
    query(services.database, "UPDATE import_sources SET mark = gen_random_uuid()")
    second = Guard(services.database, place, services.bucket, ROOT, uuid4())
    before = names_in(place)
    with pytest.raises(BucketTaken):
        second.put_up(leads=False)
    second.take_down()
    assert names_in(place) >= {IN_USE, MARK}
    assert before >= {IN_USE, MARK}


def test_the_same_registry_may_move_it_in_again(guard: Guard, source: Source, services: Services) -> None:
    guard.put_up(leads=True)
    query(services.database, "UPDATE import_sources SET state = 'sealed'")
    again = sources.add(services.database, NewSource("layout", "gs://old", ROOT))
    Guard(services.database, StoredObjects(services.settings.bucket, 10), services.bucket, ROOT, again.mark).put_up(
        leads=False
    )
    assert source.mark != again.mark


def test_a_layout_whose_metadata_lies_in_a_database_is_refused(services: Services, storage_address: str) -> None:
    """It is stale: the import is paused before anything of it was listed, and the reason says what can be done."""
    upload(storage_address, services.settings.bucket, {IN_USE: b""})
    OldRegistry(storage_address, services.settings.bucket).push("team/app", Image(), "v1")
    add(services)
    run(services)
    assert value(services.database, "SELECT state FROM import_sources") == "paused"
    assert "over its API" in value(services.database, "SELECT reason FROM import_sources")
    assert states(services) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"mark": 1}', b'{"mark": "x"}', b"\xff", b"null"])
def test_a_mark_that_can_t_be_read_is_another_s(guard: Guard, services: Services, content: bytes) -> None:
    services.bucket.create(MARK, content)
    with pytest.raises(BucketTaken):
        guard.put_up(leads=False)


def test_an_import_puts_it_up_and_shows_nothing_of_it(
    registry: Registry, services: Services, storage_address: str, place: StoredObjects
) -> None:
    OldRegistry(storage_address, services.settings.bucket).push("team/app", Image(), "v1")
    add(services)
    run(services)
    assert MARK in names_in(place)
    assert states(services) == {"team/app": "imported"}
    assert value(services.database, "SELECT count(*) FROM import_problems") == 0
    assert registry.get("/v2/_catalog").get_json() == {"repositories": ["team/app"]}
    assert registry.get(f"/v2/{names.GUARD}/manifests/guard").status_code == 404


class FolderBucket:
    """A folder of files, written as a bucket is."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, name: str, content: bytes) -> bool:
        path = self._root / name
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return True

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


@pytest.mark.clients
@pytest.mark.parametrize("options", [[], ["--delete-untagged"]])
@pytest.mark.parametrize("name", ["docker-registry", "distribution 3"])
def test_the_older_registry_s_collection_deletes_nothing_while_it_is_up(
    services: Services, source: Source, tmp_path: Path, name: str, options: list[str]
) -> None:
    program = _COLLECTING[name].find()
    if program is None:
        pytest.skip(f"{name} is not installed: {_COLLECTING[name].install}")
    layout = unpack("debian-2.8.2", tmp_path / "layout")
    guard = Guard(services.database, Folder(layout.folder), FolderBucket(layout.folder), ROOT, source.mark)  # type: ignore[arg-type]  # the two methods that it calls
    guard.put_up(leads=True)
    before = files(layout.folder)
    ended = collect(program, layout, tmp_path, options)
    assert ended.returncode != 0
    assert "failed to mark" in ended.stdout + ended.stderr
    assert files(layout.folder) == before
    guard.take_down()
    ended = collect(program, layout, tmp_path, options)
    assert ended.returncode == 0
    assert len(files(layout.folder)) < len(before)


def collect(program: Path, layout: Layout, folder: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    settings = folder / "config.yml"
    settings.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {layout.folder}\n  delete:\n    enabled: true\n"
    )
    return subprocess.run(
        [program, "garbage-collect", *options, str(settings)], capture_output=True, text=True, timeout=60, check=False
    )
