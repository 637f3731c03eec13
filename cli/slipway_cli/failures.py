"""What ends a command without success; each kind has an exit code of its own, which scripts may rely on."""

from __future__ import annotations

from typing import Final

USAGE: Final = 2
# As a shell reports a program that a closed pipe, or Ctrl-C, has ended.
CLOSED_PIPE: Final = 141
INTERRUPTED: Final = 130


class Failed(Exception):
    """It was refused, or a check found something. `advice` says what to do next, `said` is the API's code, if any."""

    code = 1

    def __init__(self, message: str, advice: str = "", said: str = "") -> None:
        super().__init__(message)
        self.advice = advice
        self.said = said


class NotThere(Failed):
    """What was named isn't there."""

    code = 3


class NoRight(Failed):
    """The right to do it is missing, or nobody is signed in."""

    code = 4


class Away(Failed):
    """The registry doesn't answer, or not as one: the message says whether trying again helps."""

    code = 5


class Partly(Failed):
    """Some of it was done, and the rest refused."""

    code = 6


class ClosedPipe(Exception):
    """Whoever read the output has seen enough."""
