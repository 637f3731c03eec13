"""`python -m tests.local.starts`: the whole registry is started many times, several at once, beside busy processes.

None may fail. Every start is a first one or a later one on the same data, by turns, and is stopped again. Prints the
figures; exits 1 if one failed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.programs import ROOT
from tests.local.runs import STOP_SECONDS, command_of_up, descendants_of, wait_until_ready

# The first start on a folder makes a database.
_STARTS_PER_FOLDER: Final = 4


@dataclass(frozen=True, slots=True)
class Start:
    seconds: float
    failure: str = ""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    processes = [multiprocessing.get_context("spawn").Process(target=_compute, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _compute() -> None:
    """Ends with its parent, however that ended."""
    parent = os.getppid()
    while os.getppid() == parent:
        pass


def start_and_stop(data: Path) -> Start:
    began = time.monotonic()
    with subprocess.Popen(
        [*command_of_up(data), "--detached"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            wait_until_ready(process)
            seconds = time.monotonic() - began
            process.terminate()
            process.communicate(timeout=STOP_SECONDS)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            process.terminate()
            return Start(time.monotonic() - began, str(error))
    if process.returncode:
        return Start(seconds, f"it ended with {process.returncode}")
    left = descendants_of(data)
    return Start(seconds, f"still running: {left}" if left else "")


def many_starts(folder: Path, count: int, at_once: int) -> list[Start]:
    """Tells of each failure at once."""

    def turn(number: int) -> list[Start]:
        data = folder / str(number)
        starts = []
        for _ in range(min(_STARTS_PER_FOLDER, count - number * _STARTS_PER_FOLDER)):
            starts.append(start_and_stop(data))
            _say(f"{starts[-1].seconds:6.1f} s  {starts[-1].failure}")
        if not any(start.failure for start in starts):
            shutil.rmtree(data)
        return starts

    with ThreadPoolExecutor(at_once) as pool:
        return [start for starts in pool.map(turn, range(-(-count // _STARTS_PER_FOLDER))) for start in starts]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.local.starts", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many starts (default 200)")
    parser.add_argument("--at-once", type=int, default=4, help="how many of them at a time (default 4)")
    parser.add_argument("--busy", type=int, default=4, help="how many busy processes beside them (default 4)")
    arguments = parser.parse_args()
    temporary = tempfile.TemporaryDirectory(prefix="slipway-starts-", ignore_cleanup_errors=True)
    with temporary as folder, busy(arguments.busy):
        starts = many_starts(Path(folder), arguments.count, arguments.at_once)
    failed = [start for start in starts if start.failure]
    seconds = [start.seconds for start in starts]
    _say(
        f"{len(starts)} starts, {arguments.at_once} at a time beside {arguments.busy} busy processes: "
        f"{len(failed)} failed; median {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s "
        f"(load average {os.getloadavg()[0]:.1f})"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
