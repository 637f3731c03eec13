"""Something that takes long, shown on one line until it is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

import click

FRAME_SECONDS: Final = 2.0
_WIDTH: Final = 24
_CLEAR: Final = "\r\x1b[K"
_MINUTE: Final = 60
_HOUR: Final = 3600


def watch(line: Callable[[], tuple[str, bool]], seconds: float) -> None:
    """Shows each line in place of the last one, on a terminal; elsewhere one after the other, where it changed.

    `line` gives what is to be shown, and whether that is the last.
    """
    is_terminal = sys.stderr.isatty()
    before = ""
    while True:
        shown, is_last = line()
        if is_terminal:
            click.echo(f"{_CLEAR}{shown}", err=True, nl=is_last)
        elif shown != before:
            click.echo(shown, err=True)
        if is_last:
            return
        before = shown
        pause_for(seconds)


def pause_for(seconds: float) -> None:
    """Waits between two questions."""
    time.sleep(seconds)


def bar(done: int, whole: int) -> str:
    filled = _WIDTH * done // whole if whole else 0
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"


def left(seconds: int | None) -> str:
    """Returns how long something still takes, as people say it: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds is None:
        return "-"
    if seconds < _MINUTE:
        return f"{seconds} s"
    minutes = -(-seconds // _MINUTE)
    return f"{minutes} min" if seconds < _HOUR else f"{minutes // _MINUTE} h {minutes % _MINUTE} min"
