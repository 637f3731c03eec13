"""A cold start of the api as it is deployed: from what its archive holds, with its locked packages alone."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.answering import LONGEST_SECONDS, wait_for_answer
from benchmarks.measure import children_of, cpu_seconds, median_and_range, table, timed
from local.guard import HOST, choose_port
from local.processes import Child, Children
from local.programs import Data
from local.stack import Options, Stack
from tests.rehearsal.archives import environment_with, lay_out

MOST_ARCHIVE_SECONDS: Final = 1.0

_BARE: Final = "`import functions_framework` in a fresh interpreter"
_UNCOMPILED: Final = "the archive, its code not compiled yet"
_COMPILED: Final = "the archive, compiled"


@dataclass(frozen=True, slots=True)
class Start:
    seconds: float
    cpu: float


class ArchivedApi:
    """The api as it is deployed: what its archive holds, in a folder of its own, with its locked packages alone."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self._source = lay_out("api", folder / "archive")
        self._packages = environment_with(self._source / "requirements.txt")
        self._data = Data(folder)
        # In the cloud no other folder is on the path.
        told = {name: value for name, value in stack.environment.items() if name != "PYTHONPATH"}
        self._environment = {**told, "PYTHONDONTWRITEBYTECODE": "1", "FUNCTION_TARGET": "api", "HOST": HOST}

    def start(self) -> Start:
        """From the start of the process to its first answer."""
        children, port = Children(), choose_port(0)
        framework = self._packages / "bin" / "functions-framework"
        command: list[str | Path] = [framework, "--source", self._source / "main.py"]
        environment = {**self._environment, "PORT": str(port)}
        started = time.perf_counter()
        child = children.start(Child("archive", command, self._data.log("archive"), environment))
        try:
            wait_for_answer(child, port, started + LONGEST_SECONDS)
            seconds = time.perf_counter() - started
            return Start(seconds, _cpu_seconds_of(child))
        finally:
            children.stop()

    def compile(self) -> None:
        """Compiles the packages' code, as a build may do when they are installed."""
        python = self._packages / "bin" / "python"
        subprocess.run([str(python), "-m", "compileall", "-q", str(self._source)], check=True)

    def bare(self) -> Start:
        """What nobody can spare: an interpreter that imports the framework."""
        before = _cpu_seconds_of_children()
        command = [str(self._packages / "bin" / "python"), "-c", "import functions_framework"]
        seconds = timed(lambda: subprocess.run(command, check=True))
        return Start(seconds, _cpu_seconds_of_children() - before)


def _cpu_seconds_of(child: Child) -> float:
    """Returns the time of a process, with the workers that it forked."""
    if child.process is None:
        raise LookupError(f"{child.name} was not started")
    pid = child.process.pid
    return sum(map(cpu_seconds, [pid, *children_of(pid)]))


def _cpu_seconds_of_children() -> float:
    """Returns the time of those that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def starts_from_the_archive(count: int) -> str:
    """Each start beside a bare one: what slowed the machine down slowed both sides of the ratio."""
    starts: dict[str, list[Start]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        data = Path(folder) / "data"
        with Stack(Options(port=0, data=data, ephemeral=True)) as stack:
            archived = ArchivedApi(Path(folder), stack)
            archived.start()  # what is on disk is in memory from now on
            for name in (_UNCOMPILED, _COMPILED):
                if name == _COMPILED:
                    archived.compile()
                for _ in range(count):
                    bare, whole = archived.bare(), archived.start()
                    starts[_BARE].append(bare)
                    starts[name].append(whole)
                    ratios[name].append(whole.seconds / bare.seconds)
    rows = [
        [
            name,
            str(len(taken)),
            median_and_range([one.seconds for one in taken], 3),
            median_and_range([one.cpu for one in taken], 2),
            median_and_range(ratios[name], 2) if name in ratios else "1",
        ]
        for name, taken in starts.items()
    ]
    goal = f"From the start of the process to the first answer it is to take {MOST_ARCHIVE_SECONDS:.1f} s at most."
    busy = "CPU seconds are what it takes on a machine that has nothing else to do."
    return f"{goal} {busy}\n\n{table(['what', 'runs', 'seconds', 'CPU seconds', 'of a bare start'], rows)}"
