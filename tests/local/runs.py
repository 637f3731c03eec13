"""`make up`, or `python -m local up`, in a process of its own, driven by its output and by signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.programs import ROOT
from tests.processes import PYTHON, ended

START_SECONDS: Final = 150
STOP_SECONDS: Final = 100


@dataclass
class Run:
    process: subprocess.Popen[str]
    url: str
    said: list[str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Its last words, once it has ended."""
        output = ended(self.process, number, seconds=STOP_SECONDS)
        assert self.process.returncode == 0, output
        return output


def command_of_up(data: Path, *options: str) -> list[str]:
    return [*PYTHON, "-m", "local", "up", "--data", str(data), "--port", "0", *options]


@contextmanager
def up(data: Path, *options: str, command: Sequence[str] = (), ignored: Sequence[signal.Signals] = ()) -> Iterator[Run]:
    """Ready. `ignored` signals are what a shell in the background, or nohup, has its children inherit."""
    with subprocess.Popen(
        command or command_of_up(data, *options),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: _inherit(ignored),  # noqa: PLW1509  # no threads run here
    ) as process:
        try:
            yield wait_until_ready(process)
        finally:
            if process.poll() is None:
                ended(process, signal.SIGTERM, seconds=STOP_SECONDS)


def _inherit(ignored: Sequence[signal.Signals]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)


def wait_until_ready(process: subprocess.Popen[str]) -> Run:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if match := re.match(r"ready: (http://\S+)", line):
            return Run(process, match[1], said)
    raise AssertionError("".join(said))


def refused(*options: str, **environment: str) -> str:
    """What it says when it won't: one line, or one with the end of a log."""
    finished = run(*options, **environment)
    assert finished.returncode == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stderr.strip()


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*PYTHON, "-m", "local", *options]
    told = {**os.environ, **environment}
    return subprocess.run(
        command, check=False, cwd=ROOT, env=told, capture_output=True, text=True, timeout=START_SECONDS
    )


def make(target: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", target, *(f"{name}={value}" for name, value in variables.items())]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=START_SECONDS)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def descendants_of(data: Path) -> list[str]:
    """Commands that still run on this data folder."""
    return [command.replace(b"\0", b" ").decode(errors="replace") for _, command in _running_on(data)]


def pids_on(data: Path) -> list[int]:
    return [pid for pid, _ in _running_on(data)]


def _running_on(data: Path) -> Iterator[tuple[int, bytes]]:
    """The programs that are told of the folder, or write their log there."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            signs = command + (entry / "environ").read_bytes() + os.fsencode((entry / "fd" / "1").readlink())
        except OSError:
            continue
        if os.fsencode(data) in signs and int(entry.name) != os.getpid():
            yield int(entry.name), command


def program(data: Path, name: str) -> int:
    """The first process of one program of the run on this data."""
    return min(pid for pid, command in _running_on(data) if name.encode() in command)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()
