"""Pulls that a process has counted: added when it is told to stop, kept while the database is away, lost by a kill."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

import pytest
import requests

from functions.registry.events import pulls_and_pushes
from functions.registry.events.pulls_and_pushes import PullsAndPushes
from functions.registry.metadata.db import Database
from functions.registry.oci.name import RepositoryName, Tag
from local.processes import Children
from tests.faults.conftest import Server, serve
from tests.metadata.build import APP, push_image, query, value, wait_until
from tests.support import Image

PULLS: Final = 7
_LONG: Final = 3600.0


@pytest.fixture
def image(database: Database) -> Image:
    return push_image(database, APP, "v1")


def pull(server: Server, times: int = PULLS) -> None:
    for _ in range(times):
        assert requests.get(f"{server.url}/v2/{APP}/manifests/v1", timeout=10).status_code == 200


def pulls(database: Database) -> int:
    found: int = value(database, "SELECT pulls FROM tags WHERE name = 'v1'")
    return found


@pytest.mark.usefixtures("image")
def test_a_process_that_is_told_to_stop_adds_what_it_has_counted(
    database: Database, environment: dict[str, str], tmp_path: Path, children: Children
) -> None:
    server = serve(environment, tmp_path, children, SLIPWAY_PULLS_AND_PUSHES_INTERVAL_SECONDS="3600")
    pull(server)
    assert pulls(database) == 0
    server.child.ask_to_stop()
    server.child.wait()
    assert pulls(database) == PULLS
    assert value(database, "SELECT pulls FROM repository_usage") == PULLS


@pytest.mark.usefixtures("image")
def test_what_a_process_had_counted_when_it_was_killed_is_lost(
    database: Database, environment: dict[str, str], tmp_path: Path, children: Children
) -> None:
    server = serve(environment, tmp_path, children, SLIPWAY_PULLS_AND_PUSHES_INTERVAL_SECONDS="3600")
    pull(server)
    assert server.child.process is not None
    os.killpg(server.child.process.pid, signal.SIGKILL)
    server.child.wait()
    assert pulls(database) == 0


@pytest.mark.usefixtures("image")
def test_counts_are_added_by_and_by_once_requests_come(
    database: Database, environment: dict[str, str], tmp_path: Path, children: Children
) -> None:
    server = serve(environment, tmp_path, children, SLIPWAY_PULLS_AND_PUSHES_INTERVAL_SECONDS="1")
    pull(server)
    time.sleep(1.1)
    assert requests.get(f"{server.url}/v2/", timeout=10).status_code == 200
    wait_until(lambda: pulls(database) == PULLS)


def test_counts_are_kept_while_they_can_not_be_added(
    database: Database, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    counting = PullsAndPushes(database, _LONG)
    counting.pulled(APP, Tag("v1"), image.digest)
    query(database, "ALTER TABLE tag_days RENAME TO elsewhere")
    try:
        assert not counting.add()
        counting.pulled(APP, Tag("v1"), image.digest)
        assert not counting.add()
    finally:
        query(database, "ALTER TABLE elsewhere RENAME TO tag_days")
    assert capsys.readouterr().out.count("could not be added") == 2
    assert pulls(database) == 0
    counting.pulled(APP, Tag("v1"), image.digest)
    assert counting.add()
    assert counting.add(), "there is nothing left"
    assert pulls(database) == value(database, "SELECT pulls FROM tag_days") == 3


def test_counts_that_nobody_takes_do_not_grow_without_end(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls_and_pushes, "_TOO_MANY_KEYS", 3)
    counting = PullsAndPushes(Database("postgresql://nobody@/none?host=/nowhere", 1), _LONG)
    for number in range(5):
        counting.pulled(APP, Tag(f"t{number}"), image.digest)
        assert not counting.add()
    assert {tag for _, tag, _ in counting._counts} == {"t0", "t1", "t2"}
    counting.pulled(APP, Tag("t0"), image.digest)
    assert counting._counts[APP, Tag("t0"), image.digest].pulls == 2, "what is counted already goes on"


@pytest.mark.usefixtures("image")
def test_very_many_kinds_of_pulls_are_added_before_their_time(
    database: Database, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls_and_pushes, "MOST_KEYS", 3)
    monkeypatch.setattr(pulls_and_pushes, "_TOGETHER", 2)
    counting = PullsAndPushes(database, _LONG)
    for number in range(3):
        counting.add_if_due()
        counting.pulled(RepositoryName("team/app"), Tag(f"v{number}"), image.digest)
    assert pulls(database) == 0
    counting.add_if_due()
    wait_until(lambda: value(database, "SELECT pulls FROM repository_usage") == 3)
    assert pulls(database) == 1
