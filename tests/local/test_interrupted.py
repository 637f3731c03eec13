"""A first start that is ended anywhere leaves nothing half made: the next one works at the first try."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from local.programs import ROOT
from tests.local.runs import command_of_up, descendants_of, names_in, pids_on, up, within


def kill_all(process: subprocess.Popen[bytes], data: Path) -> None:
    for pid in [process.pid, *pids_on(data)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_harness(process: subprocess.Popen[bytes], _: Path) -> None:
    process.kill()


def press_control_c(process: subprocess.Popen[bytes], _: Path) -> None:
    os.killpg(process.pid, signal.SIGINT)


ENDINGS = (kill_all, kill_harness, press_control_c)


def interrupted_start(data: Path, wait: Callable[[], object], end: Callable[..., None]) -> None:
    with subprocess.Popen(
        command_of_up(data), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        wait()
        end(process, data)


def assert_starts(data: Path) -> None:
    """And nothing of the interrupted start is left beside the data."""
    with up(data) as run:
        assert requests.get(f"{run.url}/v2/_catalog", timeout=30).json() == {"repositories": []}
        kept = {".lock", "access.json", "logs", "postgres", "postgres.log", "storage", "storage-keys.json"}
        assert set(names_in(data)) == {*kept, "run.json"}
    assert descendants_of(data) == []


@pytest.mark.timeout(400)
def test_ended_while_the_database_is_made(tmp_path: Path) -> None:
    """`initdb` writes `PG_VERSION` first, and takes seconds for the rest."""
    data = tmp_path / "data"
    for end in ENDINGS:
        seen = set(data.glob("postgres*/PG_VERSION"))
        interrupted_start(data, lambda: within(60, lambda: bool(set(data.glob("postgres*/PG_VERSION")) - seen)), end)  # noqa: B023  # called at once
    assert_starts(data)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(24))
def test_ended_at_any_moment(tmp_path: Path, seed: int) -> None:
    """From the first import to the first seconds of being ready."""
    data, chance = tmp_path / "data", random.Random(seed)  # noqa: S311  # a test's moments
    for end in chance.sample(ENDINGS, 2):
        interrupted_start(data, lambda: time.sleep(chance.uniform(0.3, 12)), end)
    assert_starts(data)
