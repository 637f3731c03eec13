"""What somebody means by what they write: names in other forms, patterns without stars, tags with their image."""

from __future__ import annotations

import json

import pytest

from tests.cli.stand import Stand


@pytest.mark.parametrize("name", ["ci", "robot:ci"])
def test_somebody_is_named_as_the_trail_does_or_by_the_name_alone(stand: Stand, name: str) -> None:
    assert stand("robot", "show", name).code == 0
    assert stand("secret", "list", name, "-o", "json").json[0]["name"] == "runner"
    assert stand("grant", "list", "--principal", name, "-o", "json").json[0]["principal"] == "ci"
    assert stand("explain", name, "push", "team/app").code == 0
    assert stand("grant", "add", name, "others/app", "reader", "-o", "json").json["principal"] == "ci"
    assert stand("trusted-publisher", "list", name).code == 0
    assert stand("robot", "disable", name, "--yes").code == 0
    assert stand("user", "show", name).code == 3


def test_the_trail_of_somebody(stand: Stand) -> None:
    stand("user", "add", "bob")
    by_label = stand("audit", "--principal", "user:admin", "--action", "principal.add", "-o", "json").json
    assert by_label
    assert stand("audit", "--principal", "admin", "--action", "principal.add", "-o", "json").json == by_label
    ended = stand("audit", "--principal", "admim")
    assert (ended.code, "did you mean admin?" in ended.err) == (3, True), ended
    # Nobody has done anything yet, but may be followed.
    assert stand("audit", "--principal", "bob").code == 0


def test_what_was_deleted_is_shown_with_the_way_back(stand: Stand) -> None:
    digest = stand("show", "team/app:old", "-o", "json").json["digest"]
    stand("tag", "rm", "team/app:old", "--yes")
    ended = stand("show", "team/app:old")
    assert (ended.code, "it was deleted: slipway restore team/app:old" in ended.err) == (3, True), ended
    assert "slipway restore" not in stand("show", "team/app:never").err
    stand("manifest", "rm", f"team/app@{digest}", "--yes")
    assert f"slipway restore team/app@{digest}" in stand("show", f"team/app@{digest}").err
    stand("repository", "rm", "team/app", "--yes")
    assert "it was deleted: slipway restore team/app" in stand("show", "team/app").err


def test_the_trail_of_a_tag(stand: Stand) -> None:
    stand("tag", "rm", "team/app:old", "--yes")
    stand("tag", "rm", "team/app:older", "--yes")
    found = stand("audit", "--resource", "team/app:old", "-o", "json").json
    assert (found[0]["action"], found[0]["details"]["tags"]) == ("tags.delete", ["old"])
    assert all(entry["details"].get("reference") == "old" for entry in found[1:])
    assert len(stand("audit", "--resource", "team/app", "-o", "json").json) > 1
    ended = stand("audit", "--action", "tag.delete")
    assert (ended.code, "there is no tag.delete among the latest entries: these are" in ended.err) == (0, True)
    assert "tags.delete" in ended.err


def test_the_trail_of_somebody_who_is_gone(stand: Stand) -> None:
    stand("user", "add", "root", "--admin")
    stand.sign_in("root", json.loads(stand("secret", "add", "root", "key", "-o", "json").out)["secret"])
    stand("robot", "add", "builder")
    stand.sign_in_as_admin()
    assert stand("user", "rm", "root", "--yes").code == 0
    found = stand("audit", "--principal", "root", "-o", "json").json
    assert {entry["principal"] for entry in found} == {"user:root"}


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("grant add ci octo writer", "slipway grant add ci 'octo/**' writer"),
        ("rule add keep delete_protected octo", "slipway rule add NAME delete_protected 'octo/**'"),
    ],
)
def test_a_bare_name_is_one_repository_and_that_is_said(stand: Stand, line: str, whole: str) -> None:
    ended = stand(*line.split(), "-o", "json")
    assert (ended.code, ended.json["repositories"]) == (0, "octo")
    assert "octo is the repository of that name alone" in ended.err
    assert whole in ended.err
    assert "that name alone" not in stand(*line.replace("octo", "octo/app").split()).err
    assert "that name alone" not in stand(*line.replace("octo", "octo*").split()).err


@pytest.mark.parametrize(
    "words", ["team/app:old older", "team/app:old team/app:older", "team/app old team/app:older", "team/app old older"]
)
def test_tags_are_named_alone_or_with_their_repository(stand: Stand, words: str) -> None:
    assert stand("tag", "rm", *words.split(), "--yes").code == 0
    assert stand("ls", "team/app", "-o", "name").out.split() == ["v1", "v2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("team/app", "which tags?"),
        ("team/app:v1 team/old:1", "one repository at a time"),
        (f"team/app@sha256:{'0' * 64}", "`slipway manifest rm team/app@sha256:"),
    ],
)
def test_tags_that_can_not_be_meant(stand: Stand, words: str, said: str) -> None:
    ended = stand("tag", "rm", *words.split(), "--yes")
    assert (ended.code, said in ended.err) == (2, True), ended


def test_a_claim_that_no_identity_has(stand: Stand) -> None:
    ended = stand("trusted-publisher", "add", "ci", "github", "repository_id=7", "reff=refs/heads/main")
    assert (ended.code, "did you mean ref?" in ended.err) == (1, True), ended
    for wrong in ("octo/app", "repository=octo/app"):
        assert (
            "repository_id=$(gh api repos/OWNER/NAME --jq .id)"
            in stand("trusted-publisher", "add", "ci", "github", wrong).err
        )
    ended = stand("trusted-publisher", "rm", "ci", stand.names["PUBLISHER-ID"], "--dry-run")
    assert "https://token.actions.githubusercontent.com repository_id=42; nothing was done" in ended.err


def test_a_dry_run_asks_what_would_become(stand: Stand) -> None:
    number, new = stand.names["IMPORT-ID"], stand.names["NEW-IMPORT-ID"]
    ended = stand("import", "seal", number, "--dry-run")
    assert (ended.code, "1 repositories and 0 tags become this registry's own" in ended.err) == (0, True), ended
    ended = stand("import", "seal", new, "--dry-run")
    assert (ended.code, "it is added" in ended.err) == (1, True), ended
    ended = stand("import", "export", number, "--dry-run")
    here = stand("ls", "-o", "name").out.split()
    of_team = [name for name in here if name.startswith("team/")]
    assert f"1 repositories that came from there, and {len(here)} that were made here" in ended.err
    ended = stand("import", "export", new, "--dry-run")
    assert (ended.code, "only what came from a bucket" in ended.err) == (1, True), ended
    ended = stand("import", "export", number, "team/*", "--dry-run")
    assert f"0 repositories that came from there, and {len(of_team)} that were made here" in ended.err
    assert stand("import", "hand-back", number, "nothing/*", "--dry-run").code == 3
    ended = stand("import", "rm", number, "--dry-run")
    assert (ended.code, "under way" in ended.err) == (1, True), ended
    for act in ("seal 99", "export 99", "hand-back 99 team/*", "rm 99"):
        assert stand("import", *act.split(), "--dry-run").code == 3
    ended = stand("quota", "set", "team", "--bytes", "1GB", "--dry-run")
    assert "let team hold 1.0 GB and any number of repositories; now it holds" in ended.err
    assert "now it holds nothing" in stand("quota", "set", "new", "--bytes", "1GiB", "--dry-run").err


def test_what_is_in_the_way_of_an_import(stand: Stand) -> None:
    assert stand("import", "doctor", stand.names["IMPORT-ID"]).code == 0
    ended = stand("import", "doctor", stand.names["NEW-IMPORT-ID"])
    assert (ended.code, "it was not started: slipway import start" in ended.err) == (1, True)
