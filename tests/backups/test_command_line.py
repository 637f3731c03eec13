"""`slipway operator restore-backup`, as whoever has the database types it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing

import pytest

from functions.migrate.backups import layout
from functions.registry.config import Settings
from functions.registry.metadata.db import Database
from local.access import make_access_secrets
from slipway_cli.main import run
from tests.backups.conftest import Backups
from tests.metadata.build import query, value
from tests.support import Registry

Line = Callable[..., tuple[int, str]]


@pytest.fixture
def said(elsewhere: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Line:
    """Runs it against the other deployment; gives the exit code and what was said."""

    def line(*words: str) -> tuple[int, str]:
        monkeypatch.setenv("SLIPWAY_DATABASE", elsewhere.database)
        monkeypatch.setenv("SLIPWAY_BUCKET", elsewhere.bucket)
        capsys.readouterr()
        code = run(["operator", "restore-backup", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return line


def test_it_says_what_it_would_do_and_does_it_once(
    said: Line,
    backups: Backups,
    registry: Registry,
    elsewhere: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.push_image("a/b", "v1")
    first, second = backups.make(), backups.make()
    code, told = said(backups.destination, "--dry-run")
    assert (code, f"would restore {second.name}" in told) == (0, True), told
    for name, secret in make_access_secrets().items():
        monkeypatch.setenv(name, secret)
    code, told = said(backups.destination, "--backup", first.name, "--yes")
    assert (code, f"restored {first.name}: 1 tags, 3 objects copied" in told) == (0, True), told
    assert re.search(rf"slipway backup drilled {first.id} --tags 1 --lost LOST --seconds \d+\n", told), told
    with closing(Database(elsewhere.database, size=1)) as database:
        assert value(database, "SELECT count(*) FROM tags") == 1
        assert query(database, "SELECT name FROM principals") == [["admin"]], "of the new deployment"
    code, told = said(backups.destination, "--yes")
    assert (code, "the database has namespaces" in told) == (1, True), told


@pytest.mark.parametrize("destination", ["folder"], indirect=True)
def test_it_says_what_is_wrong(said: Line, backups: Backups) -> None:
    assert "no sealed backup" in said(backups.destination, "--yes")[1]
    made = backups.make()
    assert "not there" in said(backups.destination, "--backup", "20200101T000000Z-000000", "--yes")[1]
    assert "is neither" in said("s3://elsewhere", "--yes")[1]
    code, told = said(backups.destination)
    assert (code, "--yes if that is meant" in told) == (1, True), told
    backups.store.delete([layout.rows_name(made.name, "tags")])
    code, told = said(backups.destination, "--yes")
    assert (code, "tags.gz is not there" in told) == (1, True), told
