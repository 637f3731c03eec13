"""Every command's help has examples; each is run as it stands, and what it gives for programs is the API's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import click
import pytest

from slipway_cli.main import COMMANDS, slipway
from slipway_cli.tree import Command, Group
from tests.api.description import OPERATIONS, template_of
from tests.cli.schema import faults_of_output
from tests.cli.stand import Stand

# The routes that no command asks, as beginnings of paths, and why.
WITHOUT: Final = {
    "/gitlab/v1/": "GitLab asks them; the same stands in our own API",
    "/v2/{name}/blobs/": "content is what docker and other clients move; doctor alone looks at a blob",
    "PUT /v2/{name}/manifests/": "a push is what docker and other clients do",
    "/.well-known/": "for programs that check tokens by themselves",
    "/api/openapi.json": "for programs that read descriptions",
}
# What a command gives that is its own, and no answer of the API.
OWN: Final = {"slipway context list", "slipway doctor", "slipway import estimate"}
# It is said no, and that is its answer.
REFUSED: Final = {"slipway explain alice delete team/app:v1 -o json": 1}


def commands(group: Group, path: str = "slipway") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, Group):
            yield from commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


ALL: Final = {
    path: command
    for path, command in commands(slipway if isinstance(slipway, Group) else Group())
    if not path.startswith("slipway operator")
}
asked: set[tuple[str, str]] = set()


@pytest.mark.parametrize("path", ALL)
def test_every_command_says_what_it_does_with_an_example(path: str) -> None:
    command = ALL[path]
    assert isinstance(command, Command)
    assert command.help
    assert command.examples
    assert all(example.startswith(path) for example in command.examples)


def gives(command: click.Command) -> bool:
    return any(parameter.name == "output" for parameter in command.params)


def last_success(stand: Stand) -> tuple[str, str, int]:
    return next(each for each in reversed(stand.server.asked) if each[2] < 300 and each[1] != "/token")


@pytest.mark.parametrize("path", ALL)
def test_examples_do_what_they_say(stand: Stand, path: str) -> None:
    """In their order, for the later ones change what is there."""
    for example in ALL[path].examples:  # type: ignore[attr-defined]  # as above
        stand.server.asked.clear()
        ended = stand.line(example)
        assert ended.code == REFUSED.get(example, 0), (example, ended)
        assert ended.out or ended.err or " -o csv" in example or " -o jsonl" in example
        if " -o json" in f"{example} " and "jsonl" not in example and path not in OWN:
            assert faults_of_output(json.loads(ended.out), *last_success(stand)) == [], example
    assert_no_words_of_the_house(stand, path)


def assert_no_words_of_the_house(stand: Stand, path: str) -> None:
    ended = stand(*path.split()[1:], "--help")
    assert ended.code == 0
    assert not re.search(r"\bslipway_cli\b|\bfunctions\.", ended.out)


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if gives(command) and path not in OWN])
def test_what_is_given_for_programs_is_the_apis(stand: Stand, path: str) -> None:
    example = next(each for each in ALL[path].examples if "--print" not in each and "--dry-run" not in each)  # type: ignore[attr-defined]
    if path == "slipway tag rm":
        pytest.skip("what it gives is validated below")
    stand.server.asked.clear()
    ended = stand.line(re.sub(r" -o \w+", "", example), "-o", "json")
    assert ended.code in {0, 1}, ended
    assert faults_of_output(json.loads(ended.out), *last_success(stand)) == [], ended.out


def test_what_became_of_tags_is_the_apis(stand: Stand) -> None:
    stand.server.asked.clear()
    ended = stand("tag", "rm", "team/app", "old", "unknown", "--yes", "-o", "json")
    assert ended.code == 6
    asked = [each for each in stand.server.asked if each[1].endswith("/delete-tags")]
    assert faults_of_output(json.loads(ended.out), *asked[-1]) == []


def test_every_route_has_a_command(stand: Stand) -> None:
    """Runs what asks for each, and looks at what was asked."""
    lines = [example for command in ALL.values() for example in command.examples]  # type: ignore[attr-defined]
    last = (" rm ", "user rm", "robot rm", " mv ", "rule add", " import ")
    for example in sorted(lines, key=lambda line: [word in line for word in reversed(last)]):
        stand.line(example)
    stand("user", "disable", "alice", "--yes")
    reached = {(method, template_of(path)) for method, path, status in stand.server.asked if status < 400}
    # It is asked by nobody, to see whether it wants somebody.
    assert ("GET", "/v2/", 401) in stand.server.asked
    reached.add(("GET", "/v2/"))
    missing = [
        str(each)
        for each in OPERATIONS
        if each.method != "HEAD"
        and (each.method, each.path) not in reached
        and not any(each.path.startswith(route) or str(each).startswith(route) for route in WITHOUT)
    ]
    assert missing == [], missing
    assert len(WITHOUT) <= 5


def test_the_list_of_commands_is_that_of_the_groups() -> None:
    assert {path.split()[1] for path in ALL} == set(COMMANDS) - {"operator"}
