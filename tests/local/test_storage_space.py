"""What the fake store no longer needs leaves the disk by itself, without another request."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.storage import files, sessions, upkeep
from local.storage.testing import serve
from tests.contract.storage_support import QUANTUM, Upload, own_api


@pytest.fixture(autouse=True)
def _fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL_SECONDS", 0.05)


def within_seconds(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def stored(folder: Path) -> int:
    """Bytes of contents and parts."""
    return sum(path.stat().st_size for path in (*folder.glob("contents/*"), *folder.glob("parts/*")))


def test_a_deleted_object_gives_its_space_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PARKED_SECONDS", 0.5)
    with serve(tmp_path) as endpoint, own_api(endpoint) as api:
        api.upload("kept", b"kept")
        api.upload("replaced", b"first")
        api.upload("replaced", b"then")
        api.upload("deleted", b"x" * QUANTUM)
        api.call("DELETE", api.object_path("deleted"))
        assert within_seconds(lambda: stored(tmp_path) == len(b"keptthen"))
        assert api.call("GET", api.media_path("kept")).content == b"kept"
        assert api.call("GET", api.media_path("replaced")).content == b"then"


def test_what_was_just_deleted_can_still_be_read_by_who_looked_it_up(tmp_path: Path) -> None:
    with serve(tmp_path) as endpoint, own_api(endpoint) as api:
        api.upload("deleted", b"x" * QUANTUM)
        api.call("DELETE", api.object_path("deleted"))
        time.sleep(0.5)
        assert stored(tmp_path) == QUANTUM


def test_an_abandoned_upload_gives_its_space_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(tmp_path) as endpoint, own_api(endpoint) as api:
        abandoned = api.session("abandoned")
        abandoned.put_from(0, b"x" * QUANTUM)
        time.sleep(0.3)
        assert abandoned.stored() == f"bytes=0-{QUANTUM - 1}"
        monkeypatch.setattr(sessions, "SESSION_SECONDS", 0.1)
        assert within_seconds(lambda: stored(tmp_path) == 0)
        monkeypatch.undo()
        assert abandoned.query().status_code == 404
        later = Upload(api, api.session("later").location)
        assert later.put(b"later").status_code == 200


def test_the_clock_goes_on_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PARKED_SECONDS", 0.2)
    with serve(tmp_path) as endpoint, own_api(endpoint) as api:
        api.upload("deleted", b"x")
        [content] = (tmp_path / "contents").iterdir()
        # In its place a folder, which can't be unlinked.
        content.unlink()
        content.mkdir()
        api.call("DELETE", api.object_path("deleted"))
        api.upload("second", b"second")
        api.call("DELETE", api.object_path("second"))
        assert within_seconds(lambda: stored(tmp_path) <= content.stat().st_size)
