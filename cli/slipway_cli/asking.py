"""Whatever destroys says how much, and asks once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from slipway_cli.failures import Failed
from slipway_cli.output import say
from slipway_cli.printable import printable


def changes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --yes and --dry-run."""
    function = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")(function)
    return click.option("-y", "--yes", is_flag=True, help="Don't ask.")(function)


def goes_on(what: str, *, yes: bool, dry_run: bool) -> bool:
    """Says whether to do it, after saying what. False for a dry run. Raises Failed if nobody can be asked, or says
    no.
    """
    if dry_run:
        say(f"would {what}; nothing was done")
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        raise Failed(f"this would {what}: --yes if that is meant", "--dry-run does nothing")
    if not click.confirm(printable(f"{what[0].upper()}{what[1:]}?"), err=True):
        raise Failed("nothing was done")
    return True
