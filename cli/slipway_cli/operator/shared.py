"""What the commands for operators share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.config import Settings
from functions.registry.metadata.access import audit, principals
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Database, MetadataUnavailable

# Who acts, in the audit trail: whoever has the database.
OPERATOR: Final = "operator"


class CommandRefused(Exception):
    """The message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command finds the registry."""

    settings: Settings
    database: Database

    def known(self, name: str) -> Principal:
        """Raises CommandRefused."""
        principal = principals.get(self.database, name)
        if principal is None:
            raise CommandRefused(
                f"nobody is called {name}: `users list` and `robots list` show who there is,"
                f" `robots add {name}` makes a robot"
            )
        return principal

    def record(self, action: str, resource: str, namespace: str | None, **details: Any) -> None:
        """A change that was made, in a namespace or in none. A trail that can't be written undoes nothing."""
        try:
            audit.write(self.database, Event(action, "success", OPERATOR, resource, "", None, details, namespace))
        except MetadataUnavailable as error:
            print(f"slipway: done, but the audit trail does not tell of it: {error}", file=sys.stderr)


Run = Callable[[Desk, argparse.Namespace], None]


def add_subject(subjects: Any, name: str, purpose: str) -> Any:
    """Where commands about one kind of thing are added."""
    parser = subjects.add_parser(name, help=purpose, description=purpose)
    return parser.add_subparsers(required=True, metavar="COMMAND")


def add_command(commands: Any, name: str, run: Run, purpose: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose)
    parser.set_defaults(run=run)
    return parser


def number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
            raise argparse.ArgumentTypeError(f"takes a whole number from {least} to {most}")
        return int(text)

    return read


IDENTITY = number(1, 2**63 - 1)


def show(titles: Sequence[str], found: Iterable[Sequence[object]]) -> None:
    """A table as wide as what is in it."""
    lines = [[_cell(value) for value in row] for row in found]
    widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
    for line in [list(titles), *lines]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "-" if value is None else str(value)
