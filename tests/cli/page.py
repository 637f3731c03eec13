"""`python -m tests.cli.page > docs/cli.md`: the page of the command line, made from the program."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from slipway_cli.main import COMMANDS, slipway
from slipway_cli.tree import Command, Group

_EVERYWHERE: Final = ("--help", "--registry", "--output", "--columns", "--limit")
_BEGINNING: Final = Path(__file__).with_name("page.md")


def groups() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(slipway)
    for name in COMMANDS:
        found = slipway.get_command(context, name)
        assert found is not None
        yield f"slipway {name}", found


def page() -> str:
    parts = [_BEGINNING.read_text()]
    for path, command in groups():
        parts += _section(path, command, depth=2)
    return "\n".join(parts)


def _section(path: str, command: click.Command, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {path}\n"
    yield f"{_help(command)}\n"
    if isinstance(command, Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _section(f"{path} {name}", found, depth + 1)
        return
    assert isinstance(command, Command)
    yield from _options(path, command)
    examples = "\n".join(f"$ {example}" for example in command.examples)
    yield f"```console\n{examples}\n```\n"


def _help(command: click.Command) -> str:
    """Paragraphs; what keeps its lines there, keeps them here."""
    # Python 3.13 takes the margin of docstrings away by itself.
    paragraphs = [each.strip("\n") for each in inspect.cleandoc(command.help or "").split("\n\n")]
    return "\n\n".join(_paragraph(each) for each in paragraphs)


def _paragraph(text: str) -> str:
    if text.startswith("\b"):
        return "```text\n" + text.removeprefix("\b\n") + "\n```"
    return " ".join(line.strip() for line in text.splitlines()).strip()


def _options(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"`{path} {' '.join(command.collect_usage_pieces(context))}`\n"
    rows = []
    for parameter in command.get_params(context):
        record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(context)
        if record is not None and not any(option in record[0] for option in _EVERYWHERE):
            rows.append("| `{}` | {} |".format(*(cell.replace("|", "\\|") for cell in record)))
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
