"""One instance of a service: its containers, started in order, stopped as the platform stops them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from benchmarks.measure import cpu_seconds
from local.processes import ending_with_parent, tail

START_SECONDS: Final = 60
# Between the platform's SIGTERM and its SIGKILL.
STOP_SECONDS: Final = 10
_SAMPLE_SECONDS: Final = 0.25
_PROC: Final = Path("/proc")


class InstanceFailed(RuntimeError):
    """A container ended, or never listened; the message has the end of its log."""


@dataclass
class Container:
    """Ready once `port` takes connections, or once `startup_path` is answered there: the probes of terraform/."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    port: int
    log: Path
    startup_path: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*ending_with_parent(), *self.command],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if not self.is_alive() or time.monotonic() > deadline:
                raise InstanceFailed(f"{self.name} does not listen. Its log:\n{tail(self.log)}")
            time.sleep(0.01)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal_first(self, number: signal.Signals) -> None:
        """Signals the container's first process alone, which is what the platform's SIGTERM reaches."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def signal_all(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Waits so long at most; returns False if it has not ended by then."""
        if self.process is None:
            return True
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def memory_bytes(self) -> int:
        """Adds up all its processes, each shared page counted once: what counts against the container's limit."""
        return sum(_proportional_bytes(pid) for pid in self._processes())

    def cpu_seconds(self) -> float:
        """User and system time of all its processes."""
        return sum(cpu_seconds(pid) for pid in self._processes())

    def _processes(self) -> Iterator[int]:
        if self.process is None:
            return
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    # The name before the last parenthesis may hold spaces; the group comes third after it.
                    group = int((entry / "stat").read_text().rpartition(")")[2].split()[2])
                    if group == self.process.pid:
                        yield int(entry.name)

    def _is_ready(self) -> bool:
        try:
            if self.startup_path:
                return requests.get(f"http://127.0.0.1:{self.port}{self.startup_path}", timeout=1).ok
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _proportional_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


class Instance:
    """`port` takes its requests. Only whoever counts them may freeze it."""

    def __init__(self, containers: Sequence[Container], port: int) -> None:
        self.containers = containers
        self.port = port
        self.in_flight = 0
        self.is_frozen = False
        self.peaks: dict[str, int] = {}
        self._is_over = threading.Event()

    def start(self) -> None:
        """Raises InstanceFailed."""
        for container in self.containers:
            container.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def is_alive(self) -> bool:
        return all(container.is_alive() for container in self.containers)

    def freeze(self) -> None:
        """Between requests there is no CPU."""
        self.is_frozen = True
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self.is_frozen = False
        self._signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """Gone from one moment to the next, as with a machine."""
        self._is_over.set()
        self._signal_all(signal.SIGKILL)
        for container in self.containers:
            container.wait(STOP_SECONDS)

    def stop(self) -> bool:
        """SIGTERM to all containers at once, and SIGKILL ten seconds later; False if it came to that."""
        self.thaw()
        for container in self.containers:
            container.signal_first(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        in_time = [container.wait(max(0.0, deadline - time.monotonic())) for container in self.containers]
        self.kill()
        return all(in_time)

    def _signal_all(self, number: signal.Signals) -> None:
        for container in self.containers:
            container.signal_all(number)

    def _watch(self) -> None:
        while not self._is_over.wait(_SAMPLE_SECONDS):
            for container in self.containers:
                self.peaks[container.name] = max(self.peaks.get(container.name, 0), container.memory_bytes())
