"""Who works at an import, and who decides: `import start`, `lead`, `follow`, `pause`, `resume` and `retry`."""

from __future__ import annotations

import click

from slipway_cli.commands.imports.shown import IMPORTS, ONE, act, number_argument, pattern_argument, watch_import
from slipway_cli.output import Form, gives_one, say, show_one
from slipway_cli.session import connect
from slipway_cli.tree import alone


@alone("start", "slipway import start IMPORT-ID", "slipway import start IMPORT-ID 'team/*'")
@number_argument
@pattern_argument
@click.option("--wait", is_flag=True, help="Show how far it is, and end when all is here.")
@gives_one
def start(number: int, repositories: str | None, wait: bool, form: Form) -> None:
    """Start it; or, when it was started before, bring what changed there since."""
    found = act(number, "start", repositories)
    if wait:
        watch_import(connect(), number)
        found = connect().get(f"{IMPORTS}/{number}")
    show_one(found, ONE, form, "id")


@alone("lead", "slipway import lead IMPORT-ID", "slipway import lead IMPORT-ID 'team/*'")
@number_argument
@pattern_argument
@gives_one
def lead(number: int, repositories: str | None, form: Form) -> None:
    """From now on this registry decides: it takes writes, and asks nobody about reads. For all, or for a pattern."""
    show_one(act(number, "lead", repositories), ONE, form, "id")


@alone("follow", "slipway import follow IMPORT-ID", "slipway import follow IMPORT-ID 'team/*'")
@number_argument
@pattern_argument
@gives_one
def follow(number: int, repositories: str | None, form: Form) -> None:
    """From now on the other registry decides: writes are refused here, and tags are read as they are there."""
    show_one(act(number, "follow", repositories), ONE, form, "id")


@alone("pause", "slipway import pause IMPORT-ID")
@number_argument
@gives_one
def pause(number: int, form: Form) -> None:
    """Stop working at it. What is held stays held, and what clients ask for is fetched."""
    show_one(act(number, "pause"), ONE, form, "id")


@alone("resume", "slipway import resume IMPORT-ID")
@number_argument
@gives_one
def resume(number: int, form: Form) -> None:
    """Go on where it was paused."""
    show_one(act(number, "resume"), ONE, form, "id")


@alone("changed", "slipway import changed IMPORT-ID team/app")
@number_argument
@click.argument("repositories", metavar="REPOSITORY...", nargs=-1, required=True)
def changed(number: int, repositories: tuple[str, ...]) -> None:
    """Tell which repositories changed there, by their names there: they are compared at once."""
    events = [{"action": "push", "target": {"repository": each}} for each in repositories]
    told = connect().send("POST", f"{IMPORTS}/{number}/events", {"events": events})
    say(f"compared as soon as may be: {', '.join(told['repositories']) or 'none, for these are no names here'}")


@alone("retry", "slipway import retry IMPORT-ID")
@number_argument
@gives_one
def retry(number: int, form: Form) -> None:
    """Try once more what failed, and what could be taken over only in part."""
    show_one(act(number, "retry"), ONE, form, "id")
