"""The page of the command line is made from it, and what other pages tell people to type is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from slipway_cli.main import slipway
from slipway_cli.tree import Asked, Group
from tests.cli.page import page
from tests.conftest import ROOT

PAGES = [path for pattern in ("*.md", "docs/**/*.md", "terraform/*.md") for path in sorted(ROOT.glob(pattern))]


def test_the_page_is_that_of_the_program() -> None:
    """Write it anew: `python -m tests.cli.page > docs/cli.md`, with PYTHONPATH=cli."""
    assert (ROOT / "docs" / "cli.md").read_text() == page()


def lines(path: Path) -> Iterator[list[str]]:
    """What stands behind a prompt."""
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL)).replace("\\\n", " ")
    for line in re.findall(r"^\$ (?:[A-Z_]+=\S+ )?(slipway .*)$", blocks, re.MULTILINE):
        yield shlex.split(re.split(r" [<>|] ", line)[0], comments=True)


def understood(words: list[str]) -> None:
    """Raises click's UsageError. Nothing is run."""
    command: click.Command = slipway
    context = click.Context(slipway, info_name="slipway", obj=Asked())
    rest = words[1:]
    while isinstance(command, Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        if isinstance(command, Group):
            context = click.Context(command, parent=context, info_name=command.name)
    ids = {
        "SECRET-ID",
        "GRANT-ID",
        "RULE-ID",
        "PUBLISHER-ID",
        "IMPORT-ID",
        "NEW-IMPORT-ID",
        "BACKUP-ID",
        "CHECK-ID",
        "RUNNING-CHECK-ID",
        "RETENTION-RUN",
        "RETENTION-PLAN",
        "RETENTION-DONE",
    }
    filled = ["1" if word in ids else word.replace("@DIGEST", f"@sha256:{'0' * 64}") for word in rest]
    command.make_context(command.name, filled, parent=context)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_page_says_to_type_is_understood(path: Path) -> None:
    for words in lines(path):
        understood(words)


def test_lines_are_found_where_they_are() -> None:
    assert len(list(lines(ROOT / "docs" / "operations.md"))) > 10
    with pytest.raises(click.UsageError):
        understood(["slipway", "ls", "--no-such-option"])


def test_the_old_doors_are_named_nowhere() -> None:
    old = re.compile(r"cli\.operator|functions\.(api|gc)\.admin|deploy\.rotate|make (access|recount|gc-status)")
    named = [
        path.name
        for path in PAGES
        if "adr" not in path.parts and path.name != "CHANGELOG.md" and old.search(path.read_text())
    ]
    assert named == []
