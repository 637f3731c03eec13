"""Processes that are killed between any two steps.

Every step that others can see is a round trip to the database or to the store; before each, and before each answer,
lies a boundary. A process is told the number of the boundary at which it kills itself, as the kernel would: no handler
runs, nothing is flushed, no connection is closed in order.

`python -m tests.faults.crash_points` imports everything once and forks for each operation: a process of its own at a
fiftieth of what starting one costs. Nothing of the product knows of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.part import PartWriter
from functions.registry.metadata.db import Call, Session
from functions.registry.metadata.driver import Connection
from local.programs import ROOT, base_environment
from tests.faults.crash_operations import OPERATIONS
from tests.support import Registry

# A process that neither ends nor dies is ended.
_LONGEST_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """The boundaries that were reached, in order, and whether the last one was deadly."""

    steps: list[str]
    has_died: bool


class Boundaries:
    """Counts the boundaries from 1 and dies at the one with the number `deadly`; 0 lives."""

    def __init__(self, deadly: int, tell: IO[str]) -> None:
        self._deadly = deadly
        self._tell = tell
        self._reached = 0
        self._lock = threading.Lock()

    def reach(self, step: str) -> None:
        with self._lock:
            self._reached += 1
            self._tell.write(f"{step}\n")
            self._tell.flush()
            if self._reached == self._deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Puts a boundary before everything that leaves this process."""
        self._before(Session, "batch", _statements)
        self._before(Connection, "simple", lambda _, sql: sql)
        self._before(PartWriter, "_request", lambda _, method, span, *__: f"session {method} {span}".strip())
        for name in ("_open_session", "_upload", "create_empty", "compose", "size", "read", "delete_all"):
            self._before(Bucket, name, lambda *_, name=name, **__: name)
        self._after(Registry, "request", lambda *_, **__: "answer")

    def _before(self, owner: type, name: str, describe: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            self.reach(describe(*arguments, **options))
            return original(*arguments, **options)

        setattr(owner, name, watched)

    def _after(self, owner: type, name: str, describe: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            self.reach(describe(*arguments, **options))
            return result

        setattr(owner, name, watched)


def _statements(_: Session, calls: Sequence[Call[Any]]) -> str:
    return "+".join(call.statement.name for call in calls)


class Launcher:
    """The prepared process that forks the ones to be killed. It ends with the block, or with whoever started it."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.crash_points"],
                cwd=ROOT,
                env=base_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def run(self, environment: dict[str, str], operation: str, seed: int, deadly: int) -> Outcome:
        """Carries out `operation` in a process of its own, which dies at boundary number `deadly` if it gets there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"environment": environment, "operation": operation, "seed": seed, "deadly": deadly}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"failure": "the launcher ended"}')
        if "failure" in answer:
            raise AssertionError(f"{operation} failed in its process: {answer['failure']}\n{self._log.read_text()}")
        return Outcome(answer["steps"], answer["has_died"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def _serve() -> None:
    """One operation after the other, as they are asked for on standard input, until it ends."""
    from tests.faults.crash_operations import prepare  # noqa: PLC0415  # only the launcher pays for it

    client = prepare()
    # What an operation logs must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        job = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _run_and_exit(client, job, writing)
        os.close(writing)
        with os.fdopen(reading) as steps:
            reached = steps.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        answer: dict[str, Any] = {"steps": reached, "has_died": status == -signal.SIGKILL}
        if status not in (0, -signal.SIGKILL):
            answer = {"failure": f"status {status} after {reached}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _run_and_exit(client: Any, job: dict[str, Any], tell: int) -> None:
    """In the forked process, which never returns from here."""
    status = 1
    try:
        signal.alarm(_LONGEST_SECONDS)
        os.environ.update(job["environment"])
        boundaries = Boundaries(job["deadly"], os.fdopen(tell, "w"))
        boundaries.watch()
        OPERATIONS[job["operation"]].act(client, job["seed"])
        status = 0
    except BaseException:  # noqa: BLE001  # told to the launcher, by the log and the status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
