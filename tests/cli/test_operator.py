"""The command line for operators: the same stores, without an administrator and without a token."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from functions.registry.auth.secrets import Peppers
from functions.registry.metadata.access import audit, credentials, grants, principals, rules
from functions.registry.metadata.access.audit import Filter
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.metadata.lists import namespaces
from functions.registry.oci.name import RepositoryName
from slipway_cli.operator import __main__ as admin
from tests.conftest import ROOT
from tests.metadata.build import push_image

PEPPER = "a pepper"
GITHUB = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True)
class Line:
    environment: dict[str, str]
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> str:
        """What it says, if it does what it was told."""
        status = admin.main(list(arguments), self.environment)
        said = self.capsys.readouterr()
        assert (status, said.err) == (0, "")
        return said.out

    def refused(self, *arguments: str) -> str:
        """What it says instead."""
        status = admin.main(list(arguments), self.environment)
        said = self.capsys.readouterr()
        assert (status, said.out) == (1, "")
        return said.err

    def rows(self, *arguments: str) -> list[list[str]]:
        """Of a table, without its head."""
        return [line.split() for line in self.run(*arguments).splitlines()[1:]]


@pytest.fixture
def line(database_url: str, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line({"SLIPWAY_DATABASE": database_url, "SLIPWAY_PEPPER": PEPPER}, capsys)


def test_users_and_robots_come_and_go(line: Line, database: Database) -> None:
    assert "secrets add alice" in line.run("users", "add", "alice", "--admin")
    line.run("robots", "add", "ci", "--namespace", "team")
    assert line.rows("users", "list") == [["alice", "-", "yes", "no"]]
    assert line.rows("robots", "list") == [["ci", "team", "no", "no"]]
    line.run("robots", "disable", "ci")
    assert line.rows("robots", "list") == [["ci", "team", "no", "yes"]]
    line.run("robots", "enable", "ci")
    line.run("robots", "remove", "ci")
    assert line.rows("robots", "list") == []
    assert [entry.event.action for entry in audit.list_page(database, 10)] == [
        "principal.remove", "principal.enable", "principal.disable", "principal.add", "principal.add",
    ]  # fmt: skip


def test_the_last_administrator_is_not_taken_away(line: Line) -> None:
    line.run("users", "add", "alice", "--admin")
    for command in ("disable", "remove"):
        assert "make another one first" in line.refused("users", command, "alice")
    line.run("users", "add", "bob", "--admin")
    line.run("users", "disable", "alice")
    assert "make another one first" in line.refused("users", "remove", "bob")
    line.run("users", "remove", "alice")


def test_lists_may_be_of_a_namespace(line: Line) -> None:
    for name, namespace in (("ci", "team"), ("other-ci", "other")):
        line.run("robots", "add", name, "--namespace", namespace)
        line.run("secrets", "add", name, "runner")
        line.run("grants", "add", name, f"{namespace}/**", "admin")
        line.run("rules", "add", f"{namespace} releases", "immutable", f"{namespace}/*")
    assert line.rows("robots", "list", "--namespace", "team") == [["ci", "team", "no", "no"]]
    assert [row[1] for row in line.rows("grants", "list", "--namespace", "team")] == ["ci"]
    assert line.rows("grants", "list", "--namespace", "team", "--principal", "other-ci") == []
    assert [row[1] for row in line.rows("rules", "list", "--namespace", "team")] == ["team"]
    assert [row[3] for row in line.rows("audit", "list", "--namespace", "team")] == [
        "rule.add", "grant.add", "secret.add", "principal.add",
    ]  # fmt: skip


def test_lists_go_on_beyond_a_page(line: Line, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.registry.oci.page.Page.__init__.__defaults__", (2, ""))
    monkeypatch.setattr("slipway_cli.operator.rules._PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        principals.create_robot(database, name)
        grants.add(database, None, name, "reader")
    assert [row[0] for row in line.rows("robots", "list")] == ["a", "b", "c", "d", "e"]
    assert [row[2] for row in line.rows("grants", "list")] == ["a", "b", "c", "d", "e"]


def test_a_password_is_read_from_the_input(line: Line, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    line.run("users", "add", "alice")
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    line.run("users", "password", "alice")
    stored = credentials.find_password(database, "alice")
    assert stored
    assert stored.hash
    line.run("users", "password", "alice", "--remove")
    stored = credentials.find_password(database, "alice")
    assert stored
    assert stored.hash is None
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert "at least 12 characters" in line.refused("users", "password", "alice")


def test_a_secret_is_all_that_is_said_so_that_a_script_can_take_it(line: Line, database: Database) -> None:
    line.run("robots", "add", "ci")
    secret = line.run("secrets", "add", "ci", "laptop", "--days", "7").strip()
    [[secret_id, name, *_]] = line.rows("secrets", "list", "ci")
    stored = credentials.find_secret(database, secret_id)
    assert stored
    assert name == "laptop"
    assert stored.expires_at
    assert Peppers(PEPPER).knows(secret, stored.hash)
    line.run("secrets", "remove", "ci", secret_id)
    assert "`secrets list ci`" in line.refused("secrets", "remove", "ci", secret_id)


def test_a_robot_trusts_a_job(line: Line) -> None:
    line.run("robots", "add", "ci")
    line.run("trusted-publishers", "add", "ci", GITHUB, "repository_id=42", "ref=refs/heads/main")
    [[trusted_publisher_id, issuer, *claims]] = line.rows("trusted-publishers", "list", "ci")
    assert (issuer, set(claims)) == (GITHUB, {"repository_id=42", "ref=refs/heads/main"})
    assert "repository_id" in line.refused("trusted-publishers", "add", "ci", GITHUB, "ref=main")
    assert "SLIPWAY_OIDC_ISSUERS" in line.refused("trusted-publishers", "add", "ci", "https://evil.example", "sub=1")
    line.run("trusted-publishers", "remove", "ci", trusted_publisher_id)
    assert "`trusted-publishers list ci`" in line.refused("trusted-publishers", "remove", "ci", trusted_publisher_id)


def test_grants_are_given_and_taken(line: Line, database: Database) -> None:
    line.run("robots", "add", "ci")
    line.run("grants", "add", "ci", "team/**", "writer")
    line.run("grants", "add", "anyone", "public/*", "reader")
    listed = line.rows("grants", "list")
    assert [row[1:] for row in listed] == [["anyone", "public/*", "reader"], ["ci", "team/**", "writer"]]
    assert [row[1] for row in line.rows("grants", "list", "--principal", "ci")] == ["ci"]
    line.run("grants", "remove", listed[1][0])
    assert [grant.principal for grant in grants.list_page(database, 10)] == [None]
    assert "`grants list`" in line.refused("grants", "remove", listed[1][0])
    assert "anyone may be reader" in line.refused("grants", "add", "anyone", "public/*", "writer")
    assert "a pattern of repositories" in line.refused("grants", "add", "ci", "Team/*", "writer")


def test_rules_hold_and_end(line: Line, database: Database) -> None:
    line.run("rules", "add", "releases", "immutable", "team/*", "--tags", "v*", "--role", "admin", "--position", "5")
    [[rule_id, *rest]] = line.rows("rules", "list")
    assert rest == ["releases", "5", "immutable", "team/*", "v*", "admin"]
    assert "a rule releases already" in line.refused("rules", "add", "releases", "exempt", "team/**")
    assert "all tags" in line.refused("rules", "add", "x", "delete_protected", "**", "--tags", "v*")
    line.run("rules", "remove", rule_id)
    assert rules.list_all(database) == []
    assert "`rules list`" in line.refused("rules", "remove", rule_id)


def test_the_trail_tells_who_and_what(line: Line) -> None:
    line.run("robots", "add", "ci")
    line.run("grants", "add", "ci", "team/*", "reader")
    rows = line.rows("audit", "list")
    assert [row[3] for row in rows] == ["grant.add", "principal.add"]
    assert {row[5] for row in rows} == {"operator"}
    assert len(line.rows("audit", "list", "--action", "grant.add", "--principal", "operator")) == 1
    assert line.rows("audit", "list", "--outcome", "denied") == []
    assert [row[0] for row in line.rows("audit", "list", "--before", rows[0][0])] == [rows[1][0]]
    assert len(line.rows("audit", "list", "--count", "1")) == 1


def test_a_change_holds_without_the_trail(line: Line, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MetadataUnavailable("gone")

    monkeypatch.setattr(audit, "write", fail)
    assert admin.main(["robots", "add", "ci"], line.environment) == 0
    assert "the audit trail does not tell of it" in line.capsys.readouterr().err
    assert principals.get(database, "ci")


def test_what_is_refused_says_what_to_do(line: Line) -> None:
    assert "`robots add nobody`" in line.refused("secrets", "add", "nobody", "x")
    line.run("robots", "add", "ci")
    assert "there is a user or a robot called ci" in line.refused("users", "add", "ci")
    assert "use `robots`" in line.refused("users", "disable", "ci")
    assert "name is refused" in line.refused("robots", "add", "CI")
    assert "namespace takes" in line.refused("robots", "add", "x", "--namespace", "a/b")
    without = Line({**line.environment, "SLIPWAY_PEPPER": ""}, line.capsys)
    assert "SLIPWAY_PEPPER" in without.refused("secrets", "add", "ci", "x")
    gone = Line({"SLIPWAY_DATABASE": "postgresql://nobody@127.0.0.1:1/none"}, line.capsys)
    assert "is the database up" in gone.refused("rules", "list")


def test_it_needs_to_know_the_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.main(["rules", "list"], {}) == 2
    assert "SLIPWAY_DATABASE is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["grants", "add", "ci", "a", "owner"],
        ["grants", "remove", "x"],
        ["grants", "remove", "9" * 30],
        ["secrets", "add", "ci", "x", "--days", "0"],
        ["trusted-publishers", "add", "ci", GITHUB, "repository_id"],
        ["rules", "add", "x", "locked", "a"],
        ["audit", "list", "--count", "1001"],
        ["users"],
        [],
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_anything_is_asked(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        admin.main(arguments, {})
    assert ended.value.code == 2


SUBJECTS = ("users", "robots", "secrets", "trusted-publishers", "grants", "rules", "audit")


@pytest.mark.parametrize("arguments", [[], *([subject] for subject in SUBJECTS), *([s, "list"] for s in SUBJECTS)])
def test_help_is_everywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        admin.main([*arguments, "--help"], {})
    assert ended.value.code == 0
    assert "usage: python -m slipway_cli.operator" in capsys.readouterr().out


def test_it_runs_as_a_program(line: Line) -> None:
    command = [sys.executable, "-m", "slipway_cli.operator", "robots", "add", "ci"]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **line.environment}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert line.rows("robots", "list") == [["ci", "-", "no", "no"]]


def test_quotas_are_set_shown_and_taken_away(line: Line, database: Database) -> None:
    push_image(database, RepositoryName("team/app"), "v1")
    line.run("quotas", "set", "team", "--bytes", "3GiB", "--repositories", "5")
    line.run("quotas", "set", "other", "--bytes", "1000")
    used = namespaces.namespace(database, "team")
    assert used is not None
    assert line.rows("quotas", "list") == [
        ["other", "1000", "0", "-", "0"],
        ["team", str(3 * 2**30), str(used["bytes"]), "5", "1"],
    ]
    line.run("quotas", "set", "team", "--repositories", "7")
    assert line.rows("quotas", "list")[1] == ["team", "-", str(used["bytes"]), "7", "1"]
    line.run("quotas", "remove", "team")
    assert "`quotas list`" in line.refused("quotas", "remove", "team")
    assert "--bytes" in line.refused("quotas", "set", "team")
    entries = [entry.event for entry in audit.list_page(database, 10, Filter(resource="team"))]
    assert [(event.action, event.namespace) for event in entries] == [
        ("quota.remove", "team"), ("quota.set", "team"), ("quota.set", "team"),
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [("Team", "--bytes", "1"), ("a/b", "--bytes", "1"), ("a", "--bytes", "1TB")])
def test_a_quota_that_makes_no_sense_is_refused(
    line: Line, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit):
        line.run("quotas", "set", *arguments)
    assert "takes" in capsys.readouterr().err
