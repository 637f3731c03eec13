"""What tags named in the older registry is their history here: told, asked for by a time, and put back."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.registry.metadata.content import tags
from functions.registry.metadata.history import bindings, restoring
from functions.registry.metadata.history.restoring import Wanted
from functions.registry.metadata.lists.keyset import Walk
from functions.registry.oci.name import RepositoryName, Tag
from tests.imports.importing import add, run
from tests.imports.old import OldRegistry
from tests.imports.truth import ROOT, unpack
from tests.metadata.build import query
from tests.support import Image, Registry

APP = RepositoryName("team/app")
V1 = Tag("v1")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Folders may be read."""
    return {**environment, "SLIPWAY_IMPORT_FOLDERS": "accept"}


@pytest.fixture
def old(registry: Registry, storage_address: str) -> OldRegistry:
    return OldRegistry(storage_address, registry.services.settings.bucket)


def named(registry: Registry, repository: RepositoryName = APP, tag: Tag = V1) -> list[str]:
    """What the tag named before, the last first."""
    found = bindings.page(registry.services.database, repository, tag, Walk(descending=True, size=100))
    assert found is not None
    return [item["digest"] for item in found.items]


def test_former_names_come_along_and_can_be_put_back(registry: Registry, old: OldRegistry) -> None:
    first, second, third = Image(), Image(), Image()
    for image in (first, second, third):
        old.push(APP, image, V1)
    add(registry.services)
    run(registry.services)
    assert named(registry) == [str(second.digest), str(first.digest)]
    causes = query(registry.services.database, "SELECT DISTINCT cause, actor, is_move FROM tag_history")
    assert causes == [["import", "import", True]]
    done = restoring.restore(registry.services.database, Wanted(APP, V1))
    assert (done.digest, done.previous) == (second.digest, third.digest)
    assert registry.get(f"/v2/{APP}/manifests/{V1}").data == second.manifest


def test_of_what_was_named_several_times_the_last_time_is_known(registry: Registry, old: OldRegistry) -> None:
    first, second = Image(), Image()
    old.push(APP, first, V1)
    old.push(APP, second, V1)
    old.tag(APP, V1, first.digest)
    add(registry.services)
    run(registry.services)
    assert named(registry) == [str(second.digest)]


def test_a_tag_that_has_a_history_here_keeps_its_own(registry: Registry, old: OldRegistry) -> None:
    old.push(APP, Image(), V1)
    old.push(APP, Image(), V1)
    add(registry.services)
    mine = registry.push_image(APP, V1)
    registry.push_image(APP, V1)
    run(registry.services)
    assert named(registry) == [str(mine.digest)]
    assert tags.delete(registry.services.database, APP, V1)
    run(registry.services)
    assert len(named(registry)) == 2


def test_a_second_look_adds_nothing(registry: Registry, old: OldRegistry) -> None:
    old.push(APP, Image(), V1)
    old.push(APP, Image(), V1)
    add(registry.services)
    run(registry.services)
    before = named(registry)
    old.push(APP, Image(), "v2")
    query(registry.services.database, "UPDATE import_repositories SET due_at = now() - interval '1 second'")
    run(registry.services)
    assert named(registry) == before


def _make_recent(folder: Path) -> None:
    """The layouts are of years ago, and history is kept for one."""
    links = list(folder.rglob("link"))
    later = time.time() - max(link.stat().st_mtime for link in links)
    for link in links:
        moment = link.stat().st_mtime + later
        os.utime(link, (moment, moment))


@pytest.mark.parametrize("layout", ["debian-2.8.2", "distribution-3.1.2"])
def test_a_real_layout_tells_the_history_of_every_tag(registry: Registry, tmp_path: Path, layout: str) -> None:
    """It is told by the times of its links: the last time at which a tag named each of its digests."""
    folder = unpack(layout, tmp_path).folder
    _make_recent(folder)
    add(registry.services, str(folder))
    run(registry.services)
    checked = 0
    for current in folder.glob(f"{ROOT}repositories/**/_manifests/tags/*/current/link"):
        tag = current.parent.parent
        repository = str(tag.relative_to(folder / ROOT / "repositories")).partition("/_manifests/")[0]
        ended = sorted(
            (link.stat().st_mtime, f"{link.parent.parent.name}:{link.parent.name}")
            for link in tag.glob("index/*/*/link")
            if link.parent.name not in current.read_text() and link.stat().st_mtime < current.stat().st_mtime
        )
        found = named(registry, RepositoryName(repository), Tag(tag.name))
        assert found == [digest for _, digest in reversed(ended)], (repository, tag.name)
        checked += bool(ended)
    assert checked
    [[since, until]] = query(registry.services.database, "SELECT min(since), bool_and(since < until) FROM tag_history")
    assert since < datetime.now(UTC)
    assert until
