"""How long until it answers: the whole registry by `make up`, the api function alone, and the api from its archive."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.answering import LONGEST_SECONDS, request_seconds, wait_for_answer
from benchmarks.archive import starts_from_the_archive
from benchmarks.content import BLOCK_BYTES
from benchmarks.measure import Report, median_and_range, table
from local import programs
from local.guard import choose_port
from local.processes import Children
from local.programs import ROOT, Data
from local.stack import Options, Stack

_IMPORTS: Final = """
import time
started = time.perf_counter()
import functions_framework
framework = time.perf_counter()
import functions.api.dispatch
dispatch = time.perf_counter()
import google.cloud.storage
storage = time.perf_counter()
print(framework - started, dispatch - framework, storage - dispatch)
"""

Rows = list[list[str]]


def make_up(folder: Path, data: Path) -> float:
    """Seconds from the start of make to the line `ready:`. It is stopped before this returns."""
    started = time.perf_counter()
    process = subprocess.Popen(
        ["make", "--no-print-directory", "up", "PORT=0", f"DATA={data}"],  # noqa: S607  # as a developer would
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    guard = threading.Timer(LONGEST_SECONDS, _end, (process,))
    guard.start()
    try:
        return _seconds_until_ready(process, started)
    finally:
        _end(process)
        # To the end of its output: make itself may be gone before the harness has stopped everything.
        process.communicate()
        guard.cancel()


def _seconds_until_ready(process: subprocess.Popen[str], started: float) -> float:
    for line in process.stdout or ():
        if line.startswith("ready:"):
            return time.perf_counter() - started
    raise RuntimeError("make up ended before it was ready")


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def starts_of_all(warm: int) -> Rows:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        data = Path(folder)
        first = make_up(ROOT, data)
        print(f"first start: {first:.1f} s", flush=True)
        later = [make_up(ROOT, data) for _ in range(warm)]
    return [
        ["`make up`, no data yet (makes a database)", "1", f"{first:.2f}"],
        ["`make up`, data there", str(warm), median_and_range(later, 2)],
    ]


def start_from_clone() -> Rows:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        # Readable to others, as the folder of a checkout usually is.
        Path(folder).chmod(0o755)
        clone = Path(folder) / "slipway"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)  # noqa: S607  # as a developer would
        return [
            [
                "`make up` in a fresh clone (downloads and installs packages)",
                "1",
                f"{make_up(clone, clone / 'data'):.1f}",
            ]
        ]


class ColdApi:
    """The api function, started anew beside a registry that runs already."""

    def __init__(self, stack: Stack, data: Data) -> None:
        self._environment = stack.environment
        self._data = data

    def start(self) -> dict[str, float]:
        """Seconds of each step: until it answers, then what the first use of a dependency costs on top."""
        children = Children()
        port = choose_port(0)
        started = time.perf_counter()
        child = children.start(programs.function("api", self._data, port, self._environment))
        try:
            wait_for_answer(child, port, started + LONGEST_SECONDS)
            steps = {"process start to the first 200 of /v2/": time.perf_counter() - started}
            paths = {
                "a request that reads the database": ("GET", "/v2/_catalog", b"", 200),
                "the same again": ("GET", "/v2/_catalog", b"", 200),
                "a push of 4 MiB": ("POST", _UPLOAD, _BLOB, 201),
                "the same push again": ("POST", _UPLOAD, _BLOB, 201),
            }
            for name, request in paths.items():
                steps[name] = request_seconds(port, *request)
        finally:
            children.stop()
        return steps


_BLOB: Final = bytes(BLOCK_BYTES)
_UPLOAD: Final = (
    "/v2/bench/start/blobs/uploads/?digest=sha256:bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8"
)


def starts_of_the_api(count: int) -> Rows:
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        data = Path(folder)
        with Stack(Options(port=0, data=data, ephemeral=True)) as stack:
            cold = ColdApi(stack, Data(data))
            for _ in range(count):
                for name, taken in cold.start().items():
                    seconds[name].append(taken)
    return [[name, str(count), median_and_range(taken, 3)] for name, taken in seconds.items()]


def imports(count: int) -> Rows:
    names = ("import functions_framework", "then functions.api.dispatch", "then google.cloud.storage")
    runs = [_import_seconds() for _ in range(count)]
    return [
        [name, str(count), median_and_range(taken, 3)]
        for name, taken in zip(names, zip(*runs, strict=True), strict=True)
    ]


def _import_seconds() -> Sequence[float]:
    output = subprocess.run([sys.executable, "-c", _IMPORTS], cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(seconds) for seconds in output.stdout.split()]


def run(arguments: Any) -> None:
    report = Report("Starts", "benchmarks.start")
    rows = [*(start_from_clone() if arguments.clone else []), *starts_of_all(arguments.count)]
    header = ["what", "runs", "seconds"]
    report.add("Median (range).")
    report.add(f"## Everything, until the line `ready:`\n\n{table(header, rows)}")
    report.add(
        "## The api function alone\n\nAfter the first step: what the next requests to the same process take.\n\n"
        + table(header, starts_of_the_api(arguments.count))
    )
    report.add(f"## The api from its archive\n\n{starts_from_the_archive(arguments.count)}")
    report.add(f"## Imports, in a fresh interpreter\n\n{table(header, imports(arguments.count))}")
    report.write("start")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--count", type=int, default=5, help="runs of each but the first start (default 5)")
    parser.add_argument("--clone", action="store_true", help="also start a fresh clone: downloads all packages")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
