"""Background migrations, for who has the database: in the foreground, and held up."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.migrate.background.jobs import JOBS
from functions.registry.metadata.access import audit
from functions.registry.metadata.db import Database
from slipway_cli.main import run
from tests.background.building import failing, migration, old_tags, pending


@pytest.fixture(autouse=True)
def _database(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_DATABASE", database_url)


def test_one_is_finished_in_the_foreground(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    total = old_tags(database_url)
    command = ["operator", "migrations", "finish", "tag_subjects"]
    assert run([*command, "--dry-run"]) == 0
    assert f"would go through {total} rows of tags" in capsys.readouterr().err
    assert run(["operator", "migrations", "pause", "tag_subjects"]) == 0
    assert run([*command, "--yes"]) == 0
    assert "finished" in capsys.readouterr().err
    assert pending(database) == 0
    assert migration(database, "state, rows_done") == ("finished", total)
    assert [entry.event.action for entry in audit.list_page(database, 10)] == [
        "background-migration.finish",
        "background-migration.pause",
    ]
    assert run(["operator", "migrations", "pause", "tag_subjects"]) == 1
    assert run(["operator", "migrations", "finish", "none", "--yes"]) == 3


def test_rows_that_fail_are_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old_tags(database_url)
    bad = failing(lambda names: "v77" in names, lambda: ValueError("bad"))["tag_subjects"]
    monkeypatch.setitem(JOBS, "tag_subjects", bad)
    assert run(["operator", "migrations", "finish", "tag_subjects", "--yes"]) == 1
    assert "10 rows could not be done" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setenv("SLIPWAY_DATABASE", database_url)
    assert run(["operator", "migrations", "retry", "tag_subjects"]) == 0
    assert run(["operator", "migrations", "finish", "tag_subjects", "--yes"]) == 0
    assert run(["operator", "migrate", "status"]) == 0
