"""A backup that is waited for: how the command ends is how the backup ended."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from slipway_cli.commands import backups
from slipway_cli.failures import Failed


def _wait_for(monkeypatch: pytest.MonkeyPatch, ended: dict[str, Any]) -> None:
    client = mock.Mock()
    client.send.return_value = {"id": 1}
    client.get.return_value = {"id": 1, "error": None, "missing": 0, **ended}
    monkeypatch.setattr(backups, "connect", lambda: client)
    for shown in ("show_one", "_watch"):
        monkeypatch.setattr(backups, shown, lambda *_: None)
    backups._ask(mock.Mock(), True, {"kind": "backup"})


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ({"state": "failed", "error": "the bucket is away"}, "it failed: the bucket is away"),
        ({"state": "sealed", "missing": 2}, "2 objects are missing"),
    ],
)
def test_one_that_failed_or_lacks_objects_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, ended: dict[str, Any], told: str
) -> None:
    with pytest.raises(Failed, match=told):
        _wait_for(monkeypatch, ended)


def test_one_that_is_sealed_and_whole_ends_it_well(monkeypatch: pytest.MonkeyPatch) -> None:
    _wait_for(monkeypatch, {"state": "sealed"})
