"""The door with the database: what it does, and that all of it is in the trail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.registry.auth.secrets import Peppers
from functions.registry.metadata.access import audit, credentials, principals
from functions.registry.metadata.db import Database, MetadataUnavailable
from local.postgres import Postgres
from slipway_cli.main import run
from slipway_cli.operator import operator
from slipway_cli.tree import Command
from tests.background.building import register
from tests.cli.test_examples import commands
from tests.conftest import administer
from tests.gc.conftest import collect, execute, rows
from tests.support import Registry

PEPPER = "a pepper"


@dataclass(frozen=True)
class Line:
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What it says, to programs and to people."""
        self.capsys.readouterr()
        ended = run(["operator", *arguments])
        said = self.capsys.readouterr()
        assert ended == code, said
        return said.out, said.err


@pytest.fixture
def line(home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Line:
    assert home.is_dir()
    monkeypatch.setenv("SLIPWAY_DATABASE", database_url)
    monkeypatch.setenv("SLIPWAY_PEPPER", PEPPER)
    return Line(capsys)


def test_the_first_administrator_gets_a_secret_that_signs_in(line: Line, database: Database) -> None:
    out, err = line("add-administrator", "root")
    made = principals.get(database, "root")
    assert made is not None
    assert made.is_admin
    [secret] = credentials.list_secrets(database, made.id)
    stored = credentials.find_secret(database, secret.id)
    assert stored is not None
    assert Peppers(PEPPER).knows(out.strip(), stored.hash)
    assert out.strip() not in err
    assert [entry.event.action for entry in audit.list_page(database, 10)] == ["secret.add", "principal.add"]
    assert "a user or a robot called root" in line("add-administrator", "root", code=1)[1]
    assert "name is refused" in line("add-administrator", "Root", code=1)[1]


def test_who_is_locked_out_comes_in_again(line: Line, database: Database) -> None:
    for name in ("alice", "bob"):
        principals.create_user(database, name, is_admin=True)
    alice = principals.get(database, "alice")
    assert alice is not None
    principals.disable(database, alice.id)
    assert "nothing was done" in line("unlock", "alice", "--dry-run")[1]
    assert "--yes" in line("unlock", "alice", code=1)[1]
    out, _ = line("unlock", "alice", "--yes")
    assert out.startswith("slp_")
    found = principals.get(database, "alice")
    assert found is not None
    assert not found.disabled
    assert "nobody" in line("unlock", "nobody", "--yes", code=3)[1]


def test_a_secret_takes_the_pepper(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PEPPER", "")
    assert "SLIPWAY_PEPPER" in line("add-administrator", "root", code=1)[1]


def test_a_change_holds_without_the_trail(line: Line, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MetadataUnavailable("gone")

    monkeypatch.setattr(audit, "write", fail)
    assert "the audit trail does not tell of it" in line("add-administrator", "root")[1]
    assert principals.get(database, "root")


def test_a_schema_is_looked_at_and_moved(line: Line, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    administer(postgres, "DROP DATABASE IF EXISTS unmigrated")
    administer(postgres, "CREATE DATABASE unmigrated")
    monkeypatch.setenv("SLIPWAY_DATABASE", postgres.url("unmigrated"))
    out, _ = line("migrate", "status", "-o", "csv")
    states = [row.split(",") for row in out.splitlines()[1:]]
    assert {(kind, state) for _, kind, state in states} >= {("pre", "pending")}
    assert "would apply" in line("migrate", "pre", "--dry-run")[1]
    assert line("migrate", "status", "-o", "csv")[0] == out
    assert "applied: " in line("migrate", "pre", "--yes")[1]
    line("migrate", "post", "--yes")
    assert "pending" not in line("migrate", "status", "-o", "csv")[0]
    assert "nothing of pre is pending" in line("migrate", "pre", "--yes")[1]


def test_a_recount_tells_what_is_wrong(line: Line, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    assert line("recount")[1] == "1 repositories and 1 namespaces counted\n"
    execute(registry, "UPDATE repository_usage SET tags = 5")
    said = line("recount", code=1)[1]
    assert "repository a/b: tags is 5, and should be 1" in said
    assert "3 figures are wrong" in said


def test_a_grace_holds_from_the_next_event_on(line: Line, registry: Registry) -> None:
    registry.push_blob("a/b", b"before")
    line("grace", "upload", "0s", "--dry-run")
    line("grace", "upload", "0s")
    registry.push_blob("a/b", b"after")
    collect(registry)
    assert rows(registry, "repository_blobs") == 1
    assert line("grace", "push", "400d", code=1)[1].startswith("slipway: ")
    assert "90s, 30m, 24h, 7d" in line("grace", "push", "a while", code=2)[1]


def test_it_needs_to_know_the_database(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_DATABASE")
    assert "SLIPWAY_DATABASE is not set" in line("recount", code=1)[1]
    monkeypatch.setenv("SLIPWAY_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    assert "is the database up" in line("recount", code=5)[1]
    assert "is it up" in line("migrate", "status", code=5)[1]


@pytest.mark.parametrize("path", [path for path, _ in commands(operator, "slipway operator")])
def test_every_command_has_an_example(line: Line, path: str) -> None:
    command = dict(commands(operator, "slipway operator"))[path]
    assert isinstance(command, Command)
    assert command.help
    assert command.examples
    assert "Example" in line(*path.split()[2:], "--help")[0]


def test_the_examples_do_what_they_say(line: Line, database: Database) -> None:
    """But those of `rotate`, which asks Google Cloud: tests/terraform/test_rotation.py has its steps; and those of
    `restore-backup`, which need one: tests/backups has it.
    """
    principals.create_user(database, "admin", is_admin=True)
    register(database, name="'split_names'")
    register(database, name="'failed_names'", state="'failed'")
    for path, command in commands(operator, "slipway operator"):
        assert isinstance(command, Command)
        for example in command.examples:
            if not path.endswith((" rotate", " restore-backup")):
                line(*example.split()[2:])
