"""Child processes: started together, watched, and stopped together, so that nothing is left running."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.endings import held_back

STOP_SECONDS: Final = 10
# For what a killed program's children take to be gone.
GROUP_SECONDS: Final = 5
NOTICE_SECONDS: Final = 30
TAIL_LINES: Final = 15


class ChildFailed(RuntimeError):
    """A child ended or never became ready; the message has the end of its log."""


def ending_with_parent() -> list[str]:
    """Returns what to put before a command: should its parent be killed outright, the kernel ends it as well.

    By SIGINT: gunicorn and PostgreSQL would wait for their clients if it were SIGTERM, and keep their ports meanwhile.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT", "--", *unless_orphaned()] if setpriv else []


def unless_orphaned() -> list[str]:
    """Returns what to put behind that: the kernel tells nothing to a child that asks once its parent is gone already,
    so such a one doesn't begin.
    """
    return ["/bin/sh", "-c", 'test "$PPID" = "$0" && exec "$@"', str(os.getpid())]


def tail(log: Path) -> str:
    """Returns the last lines of a log, indented."""
    return indented(log.read_text(errors="replace") if log.exists() else "")


def indented(text: str) -> str:
    """Returns its last lines."""
    lines = text.splitlines()[-TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (its log is empty)"


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kills what has been started in a session of its own, with all that it started in turn.

    A server that was killed leaves workers behind, which would go on answering on its port.
    """
    deadline = time.monotonic() + GROUP_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.01)


@dataclass
class Child:
    """One program with its output in a log of its own. A `listener` becomes the child's when it starts."""

    name: str
    command: Sequence[str | Path]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    listener: socket.socket | None = None
    _is_over: bool = field(default=False, init=False)

    def start(self) -> None:
        # A session of its own: Ctrl-C reaches the harness alone, which then stops everything in order.
        with ExitStack() as files:
            log = files.enter_context(self.log.open("ab"))
            passed = [files.enter_context(self.listener)] if self.listener is not None else []
            with held_back():
                self.process = subprocess.Popen(
                    [*ending_with_parent(), *self.command],
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[listener.fileno() for listener in passed],
                )

    def require_running(self) -> None:
        """Raises ChildFailed if it has ended."""
        if self.process is not None and self._has_ended(self.process):
            code = self.process.returncode
            raise ChildFailed(f"{self.name} ended with code {code}. The end of {self.log}:\n{tail(self.log)}")

    def ask_to_stop(self) -> None:
        if self.process is not None and not self._has_ended(self.process):
            self.process.send_signal(self.stop_signal)

    def wait(self) -> None:
        """Waits until it and all that it started have ended; they are killed only if that takes too long."""
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        if not self._has_ended(self.process):
            end_group(self.process)

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        """Its group is ended once, when that is noticed: later, its number may be another's."""
        if process.poll() is None:
            return False
        if not self._is_over:
            self._is_over = True
            end_group(process)
        return True


class Children:
    """All of them. The first one started carries the others: it is stopped when they have ended."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, child: Child) -> Child:
        self._children.append(child)
        child.start()
        return child

    def process_of(self, name: str) -> int:
        """Returns the number of the process of the child of that name. Raises LookupError if none was started."""
        for child in self._children:
            if child.name == name and child.process is not None:
                return child.process.pid
        raise LookupError(f"no child named {name} was started")

    def require_running(self) -> None:
        for child in self._children:
            child.require_running()

    def wait_until(self, child: Child, is_ready: Callable[[], bool], seconds: float) -> None:
        """Raises ChildFailed if `child` ends or is not ready in time."""
        started = noticed = time.monotonic()
        while not is_ready():
            child.require_running()
            now = time.monotonic()
            if now > started + seconds:
                raise ChildFailed(f"{child.name} is not ready after {seconds:.0f} s. Its log:\n{tail(child.log)}")
            if now > noticed + NOTICE_SECONDS:
                noticed = now
                print(f"waiting for {child.name}, whose log is {child.log}", flush=True)
            time.sleep(0.02)

    def stop(self) -> None:
        first, others = self._children[:1], self._children[1:]
        for group in (others, first):
            for child in group:
                child.ask_to_stop()
            for child in group:
                child.wait()
        self._children.clear()
