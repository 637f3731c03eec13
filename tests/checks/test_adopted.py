"""A registry that was moved in is checked as any other, and of its older layout no file is touched."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from functions.gc.run import run as collect
from functions.registry.blobs.objects import StoredObjects
from functions.registry.metadata.imports.ending import sealing
from tests.checks.vandal import Vandal
from tests.imports import importing
from tests.imports.truth import NAMES, ROOT, unpack
from tests.support import Registry


@pytest.fixture(params=NAMES)
def adopted(
    request: pytest.FixtureRequest, registry: Registry, storage_address: str, bucket_name: str, tmp_path: Path
) -> int:
    """A source that is open, and all of it here; its id."""
    importing.upload(storage_address, bucket_name, importing.files(unpack(request.param, tmp_path).folder))
    source = importing.add(registry.services)
    importing.run(registry.services)
    return source.id


def layout_of(registry: Registry) -> dict[str, int]:
    """The generation of each of its files."""
    store, found, after = StoredObjects(registry.services.settings.bucket, 10), dict[str, int](), ""
    while True:
        page = store.page(ROOT, after)
        found |= {each.name: each.generation for each in page.objects}
        if page.is_last:
            return found
        after = page.objects[-1].name


def test_a_registry_that_is_moved_in_has_no_finding_and_keeps_its_files(
    registry: Registry, vandal: Vandal, adopted: int
) -> None:
    assert vandal.query("SELECT id, state FROM import_sources") == [[adopted, "open"]]
    assert_left_alone(registry, vandal)


@pytest.mark.parametrize("adopted", NAMES[:1], indirect=True)
def test_neither_has_one_whose_import_was_sealed(registry: Registry, vandal: Vandal, adopted: int) -> None:
    sealing.wish(registry.services.database, adopted)
    importing.run(registry.services)
    assert vandal.query("SELECT state FROM import_sources") == [["sealed"]]
    assert_left_alone(registry, vandal)


def assert_left_alone(registry: Registry, vandal: Vandal) -> None:
    before = layout_of(registry)
    # What no row names there, for the older registry may name it.
    vandal.put(f"{ROOT}blobs/sha256/00/{'0' * 64}/data", b"a blob that was never linked")
    ended = vandal.check(repair=True, delete_unknown=True, yes=True)
    assert ended.state == "done"
    assert vandal.found() == set()
    assert not {"marked", "queued", "written", "reviewed"} & ended.counts.keys()
    collect(registry.services)
    after = layout_of(registry)
    assert {name: after.get(name) for name in before} == before


def test_what_is_planted_there_is_found_and_nothing_else(registry: Registry, vandal: Vandal, adopted: int) -> None:
    registry.push_image("new/app", "v1")
    vandal.check()
    rows = vandal.query("SELECT object_name, size FROM blobs WHERE starts_with(object_name, :root)", root=ROOT)
    names = [name for name, size in rows if size > 1]
    random.Random(adopted).shuffle(names)  # noqa: S311  # a test's chance
    planted = set()
    for number, name in enumerate(names[:12]):
        kind, damage = (("missing", vandal.take), ("size", vandal.cut), ("checksum", vandal.swap))[number % 3]
        damage(name)
        planted.add((kind, name))
    planted.add(("unknown", vandal.litter()))
    before = layout_of(registry)
    vandal.check(repair=True, delete_unknown=True, yes=True)
    assert vandal.found() | {one for one in planted if one[0] == "unknown"} == planted
    assert vandal.query("SELECT count(*) FROM deletions WHERE starts_with(object_name, :root)", root=ROOT) == [[0]]
    assert layout_of(registry) == before
