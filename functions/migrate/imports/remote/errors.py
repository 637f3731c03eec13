"""What can go wrong with another registry: whether to come back later, to ask somebody, or to leave one thing out."""

from __future__ import annotations


class RemoteUnavailable(Exception):
    """The registry can't be reached, or can't answer now. Trying again later may work."""


class RemoteResting(RemoteUnavailable):
    """It asked to be left alone for `seconds`, which is longer than this work may wait."""

    def __init__(self, host: str, seconds: float) -> None:
        super().__init__(f"{host} asks to come again in {seconds:.0f} s")
        self.seconds = seconds


class TimeOver(RemoteUnavailable):
    """The time of the work itself is over; what came so far is kept."""


class RemoteRefused(Exception):
    """It does not let us in, or its address is one that may not be asked: somebody has to change something."""


class RemoteMissing(Exception):
    """It has nothing by that name."""


class AnswerInvalid(Exception):
    """What it answered can't be what was asked for: a page for people, a size that lies, a list without an end."""
