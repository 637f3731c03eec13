"""docs/migrate.md does what it says: each of its recipes is run as it is written, from the first line to the last."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from functions.migrate.work import run
from functions.registry.metadata.db import MetadataUnavailable
from tests.cli.conftest import bare, guarded_environment, home, server
from tests.cli.stand import Stand
from tests.conftest import ROOT as SOURCES
from tests.imports.importing import files, upload
from tests.imports.old import OldRegistry
from tests.imports.remote.other_registry import Other, serve
from tests.imports.truth import ROOT, unpack
from tests.security.conftest import access_secrets
from tests.statements import of_tests
from tests.support import Image

__all__ = ["access_secrets", "bare", "guarded_environment", "home", "server"]

PAGE: Final = (SOURCES / "docs" / "migrate.md").read_text()
_LAST: Final = of_tests("tests_last_import", int, "SELECT max(id) FROM import_sources")
_SOURCE: Final = of_tests(
    "tests_last_source", dict, "SELECT row_to_json(import_sources) FROM import_sources ORDER BY id DESC LIMIT 1"
)


def lines(heading: str) -> list[str]:
    """The commands under a heading, in order."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = [
        line.strip()[2:]
        for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL)
        for line in block.splitlines()
        if line.strip()
    ]
    assert found
    return found


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_PRIVATE_SOURCES": "127.0.0.1"}


@pytest.fixture
def registry_stand(bare: Stand) -> Stand:
    bare.stock()
    return bare


@contextmanager
def worked_at(stand: Stand) -> Iterator[None]:
    """Works as the function `work` does all the time."""
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(0.1):
            try:
                run(stand.registry.services, 20)
            except MetadataUnavailable:
                continue

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def follow(stand: Stand, heading: str, names: dict[str, str]) -> dict[str, Any]:
    """Runs each line; gives the source as it is in the end."""
    with worked_at(stand):
        for line in lines(heading):
            stand.names |= names
            ended = stand.line(line)
            assert ended.code == 0, (line, ended)
            stand.names["1"] = str(stand.registry.services.database.one_or_none(_LAST()))
        for _ in range(100):
            found = stand.registry.services.database.one_or_none(_SOURCE()) or {}
            if found.get("options", {}).get("wish") is None or found["state"] == "sealed":
                break
            threading.Event().wait(0.1)
    return found


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    registry = OldRegistry(storage_address, bucket_name)
    for repository in ("team-a/app", "team-b/app", "others/one"):
        registry.push(repository, Image(), "v1", "latest")
    return registry


@pytest.mark.parametrize(
    ("heading", "state"),
    [("Small: one step", "sealed"), ("Medium: first one, then the other", "open"), ("Large: team by team", "open")],
)
def test_a_layout_in_a_bucket(registry_stand: Stand, old: OldRegistry, heading: str, state: str) -> None:
    found = follow(registry_stand, heading, {"gs://company-registry": f"gs://{old.bucket}"})
    assert (found["state"], found["reason"]) == (state, None)
    database = registry_stand.registry.services.database
    assert database.one_or_none(_TAGS()) == 6


def test_gitlab_without_its_database(
    registry_stand: Stand, storage_address: str, bucket_name: str, tmp_path: Path
) -> None:
    """A layout of CNCF Distribution 2.8.2 under the names that GitLab gives: group, project, image."""
    layout = unpack("debian-2.8.2", tmp_path / "old")
    at = f"{ROOT}repositories/"
    objects = {
        f"{at}group/project/{name.removeprefix(at)}" if name.startswith(at) else name: content
        for name, content in files(layout.folder).items()
    }
    upload(storage_address, bucket_name, objects)
    found = follow(registry_stand, "GitLab, self-managed", {"gs://gitlab-registry": f"gs://{bucket_name}"})
    assert (found["state"], found["reason"]) == ("sealed", None)
    tags = sum(len(truth["tags"]) for truth in layout.repositories.values())
    assert registry_stand.registry.services.database.one_or_none(_TAGS_OF_PROJECT()) == tags > 200


_TAGS_OF_PROJECT: Final = of_tests(
    "tests_tags_of_project",
    int,
    """
    SELECT count(*) FROM tags JOIN repositories ON repositories.id = tags.repository_id
     WHERE repositories.name LIKE 'group/project/%'
    """,
)
_TAGS: Final = of_tests(
    "tests_tags_of_teams",
    int,
    """
    SELECT count(*) FROM tags JOIN repositories ON repositories.id = tags.repository_id
     WHERE repositories.name IN ('team-a/app', 'team-b/app', 'others/one')
    """,
)


@pytest.fixture
def other() -> Iterator[Other]:
    with serve() as running:
        yield running


def test_another_vendors_registry(registry_stand: Stand, other: Other) -> None:
    other.username, other.secret = "reader", (registry_stand.home / "secret.txt").read_text().strip()
    for repository in ("team-a/app", "team-b/app", "others/one"):
        image = other.hold_image(repository, "v1")
        other.hold_image(repository, "latest", image=image)
    found = follow(registry_stand, "Another vendor's registry", {"https://old.example.com": other.address})
    assert (found["state"], found["reason"]) == ("sealed", None)
    assert registry_stand.registry.services.database.one_or_none(_TAGS()) == 6
