"""`slipway import` tells how far an import is, what is in its way, and whether all came through as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from functions.migrate.work import run
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from tests.cli.stand import Stand
from tests.imports.old import OldRegistry
from tests.imports.remote.other_registry import Other, serve
from tests.imports.truth import ROOT
from tests.metadata.build import query
from tests.statements import of_tests
from tests.support import Image

_LAST = of_tests("tests_last_import_number", int, "SELECT max(id) FROM import_sources")


@pytest.fixture
def guarded_environment(guarded_environment: dict[str, str]) -> dict[str, str]:
    return {**guarded_environment, "SLIPWAY_PRIVATE_SOURCES": "127.0.0.1"}


@pytest.fixture
def here(bare: Stand) -> Stand:
    bare.stock()
    return bare


@pytest.fixture
def other() -> Iterator[Other]:
    with serve() as running:
        yield running


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


def number(stand: Stand) -> str:
    return str(stand.registry.services.database.one_or_none(_LAST()))


def moved_in(stand: Stand, address: str) -> str:
    """Named, started, and worked at until there is nothing left to do."""
    assert stand("import", "add", address).code == 0
    assert stand("import", "lead", number(stand)).code == 0
    assert stand("import", "start", number(stand)).code == 0
    while run(stand.registry.services):
        pass
    return number(stand)


def both(other: Other, old: OldRegistry, repository: str, *tags: str, image: Image | None = None) -> Image:
    """The same in the bucket and in the registry that serves it."""
    image = other.hold_image(repository, *tags, image=image)
    old.push(repository, image, *tags)
    return image


def test_what_comes_through_both_is_the_same(here: Stand, other: Other, old: OldRegistry) -> None:
    both(other, old, "team/first", "v1", "latest")
    both(other, old, "team/second", "v1")
    import_id = moved_in(here, f"gs://{old.bucket}")
    ended = here("import", "verify", import_id, "--through-old", other.address)
    assert ended.code == 0, ended
    assert dict(re.findall(r"^(checked|differences) +(\d+)$", ended.out, re.MULTILINE)) == {
        "checked": "9",
        "differences": "0",
    }


def test_what_does_not_come_through_is_told(here: Stand, other: Other, old: OldRegistry) -> None:
    image = both(other, old, "team/first", "v1", "same")
    import_id = moved_in(here, f"gs://{old.bucket}")
    other.hold_image("team/first", "v1")
    other.hold_image("team/first", "new")
    other.blobs["team/first"].pop(image.blob_digests[1])
    ended = here("import", "verify", import_id, "--through-old", other.address, "-o", "json")
    assert ended.code == 1
    told = json.loads(ended.out)["differences"]
    assert "team/first manifest v1: other bytes" in told
    assert "team/first manifest new: not here" in told
    assert f"team/first blob {image.blob_digests[1]}: here, and not there" in told
    other.odd["manifests/same"] = lambda handler: handler.failing()
    ended = here("import", "verify", import_id, "--through-old", other.address)
    assert "not compared: 1" in ended.err
    assert here("import", "verify", import_id, "--through-old", other.address, "--rehash", "5").code == 2


def test_a_folder_that_is_not_there_is_told_by_doctor(here: Stand, tmp_path: Path) -> None:
    here.monkeypatch.setenv("SLIPWAY_IMPORT_FOLDERS", "accept")
    import_id = moved_in(here, str(tmp_path / "mistyped"))
    ended = here("import", "doctor", import_id)
    assert ended.code == 1
    assert "paused" in ended.err
    assert f"slipway import resume {import_id}" in ended.err


def test_a_layout_that_is_stale_is_told_by_doctor_and_forgotten(here: Stand, old: OldRegistry) -> None:
    """GitLab's registry keeps its metadata in a database: what lies in the bucket is from before."""
    old.push("team/app", Image(), "v1")
    beside(old, "lockfiles/database-in-use")
    import_id = moved_in(here, f"gs://{old.bucket}")
    ended = here("import", "doctor", import_id)
    assert ended.code == 1
    assert "slipway import add https://HOST" in ended.err
    # Nothing of it is served meanwhile.
    token = here.registry.as_bearer(here._token("team/app"))
    assert here.registry.get("/v2/team/app/manifests/v1", headers=token).status_code == 404
    assert here("import", "rm", import_id, "--yes").code == 0
    assert here("import", "status", import_id).code == 3


def beside(old: OldRegistry, name: str) -> None:
    answer = requests.post(
        f"{old.address}/upload/storage/v1/b/{old.bucket}/o",
        params={"uploadType": "media", "name": ROOT.removesuffix("v2/") + name},
        data=b"",
        timeout=10,
    )
    assert answer.status_code == 200


def test_status_shows_how_far_it_is_until_all_is_here(here: Stand, old: OldRegistry) -> None:
    for repository in ("team/first", "team/second"):
        old.push(repository, Image(), "v1", "v2")
    import_id = moved_in(here, f"gs://{old.bucket}")
    ended = here("import", "status", import_id, "--watch")
    assert ended.code == 0
    (line,) = ended.err.splitlines()
    assert re.fullmatch(r"open  \[#{24}\]  4/4 tags  2/2 repositories  [\d.]+ objects/s", line), line


def test_status_shows_rate_remaining_time_problems_and_the_worst(here: Stand, old: OldRegistry) -> None:
    old.push("team/first", Image(), "v1")
    old.push("team/second", Image(), "v1")
    old.write("repositories/team/first/stray", b"")
    import_id = moved_in(here, f"gs://{old.bucket}")
    query(
        here.registry.services.database,
        """
        UPDATE import_repositories SET state = 'importing', error = 'it is cursed', attempts = 7
         WHERE path = 'team/second'
        """,
    )
    query(here.registry.services.database, "UPDATE import_sources SET state = 'paused', reason = 'somebody paused it'")
    ended = here("import", "status", import_id, "--watch")
    (line,) = ended.err.splitlines()
    said = r"paused  \[#{12}\.{12}\]  1/2 tags  1/2 repositories  [\d.]+ objects/s  \d+ \w+( \d+ min)? left"
    assert re.fullmatch(said + r"  1 problems  worst: team/second", line), line


@pytest.mark.parametrize(
    ("fault", "code"), [("none", 0), ("stray", 0), ("refused", 2), ("missing", 1), ("refused missing", 1)]
)
def test_a_report_ends_as_it_says(here: Stand, old: OldRegistry, fault: str, code: int) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    if "stray" in fault:
        old.write("repositories/team/app/stray", b"")
    if "refused" in fault:
        old.push("Bad_Name", Image(), "v1")
    if "missing" in fault:
        old.remove(f"blobs/sha256/{image.blob_digests[1].hex[:2]}/{image.blob_digests[1].hex}/data")
    import_id = moved_in(here, f"gs://{old.bucket}")
    assert here("import", "report", import_id).code == code
    assert here("import", "report", import_id, "-o", "csv").code == code


def test_an_import_that_was_only_named_waits_for_its_start(here: Stand) -> None:
    sources.add(here.registry.services.database, NewSource("registry", "https://yet-another.example.com"))
    ended = here("import", "doctor", number(here))
    assert (ended.code, "slipway import start" in ended.err) == (1, True)
