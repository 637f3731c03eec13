"""What ends a run: signals, however it was started, and the end of the process that started it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS: Final = 0.5


class _Interruption:
    """A signal asks for it; while it is held back it waits."""

    def __init__(self) -> None:
        self.is_asked_for = False
        self.is_held_back = False

    def ask(self, _: int, __: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.is_asked_for = True
        if not self.is_held_back:
            raise KeyboardInterrupt


_interruption: Final = _Interruption()


def heed_signals() -> None:
    """The first of them raises KeyboardInterrupt in the main thread; later ones don't disturb the stop.

    A shell that starts a program in the background has it ignore SIGINT, and nohup has it ignore SIGHUP. Whoever sends
    a SIGINT to a run means it; a SIGHUP stays ignored, for nohup is there to ask for that.
    """
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interruption.ask)


@contextmanager
def held_back() -> Iterator[None]:
    """A signal that comes meanwhile raises KeyboardInterrupt at the end: what is started here is known by then."""
    _interruption.is_held_back = True
    try:
        yield
    finally:
        _interruption.is_held_back = False
    if _interruption.is_asked_for:
        raise KeyboardInterrupt


def end_with_parent() -> None:
    """Once the process that started this one is gone, it stops as by SIGTERM.

    The kernel's own signal for that would come when the *thread* that started it ends, which need not mean anything.
    """
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
