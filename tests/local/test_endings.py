"""What ends a run, and what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.listening import listen
from local.programs import ROOT
from tests.local.runs import command_of_up, descendants_of, make, names_in, refused, up, wait_until_ready, within
from tests.local.test_pieces import ODD_NAMES

pytestmark = pytest.mark.timeout(400)

# Every odd sign at once, in the name of one folder.
_ODD = "".join(ODD_NAMES[:-3]) + "*"


def test_a_run_ends_with_make_whatever_its_folder_is_called(tmp_path: Path) -> None:
    """It ends by a kill that make can't pass on, too. What make was given came to the programs as it was typed."""
    data = tmp_path / _ODD
    variables = [f"DATA={data}", "PORT=0", "ACCESS=token"]
    with up(data, command=["make", "--no-print-directory", "up", *variables]) as run:
        assert names_in(tmp_path) == [_ODD]
        seeded = make("seed", DATA=str(data), N="10", ARGS="--repositories 2 --largest '5'")
        assert "10 tags" in seeded.stdout
        assert "is in use by another run" in make("reset", DATA=str(data)).stderr
        run.process.kill()
        run.process.wait()
        assert within(60, lambda: descendants_of(data) == [])
        listen(run.port).close()
    assert make("reset", DATA=str(data)).stdout == f"{data} is empty\n"


def test_words_that_can_not_be_read_are_refused() -> None:
    assert make("seed", ARGS="--largest o'brien").stderr.startswith("slipway: ARGS can't be read (No closing quot")
    assert refused("seed", "--words", '"').startswith("slipway: ARGS can't be read")


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        # As SIGTERM is handled: one line of the program names all three.
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_signal_in_the_middle_of_a_start_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """Just when a program is being started, too: its log is opened a moment before."""
    data = tmp_path / "data"
    with subprocess.Popen(command_of_up(data), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert within(60, (data / "logs" / "migrate.log").exists)
        process.send_signal(number)
        output, _ = process.communicate(timeout=100)
    assert (process.returncode, output) == (0, b"Starting Slipway ...\n")
    assert descendants_of(data) == []


def test_nohup_is_heeded_and_a_run_may_outlive_who_started_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    detached = [*command_of_up(data, "--ephemeral"), "--detached"]
    starter = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], start_new_session=True).pid, flush=True)"
    with subprocess.Popen(
        ["nohup", sys.executable, "-c", starter, *detached],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        try:
            wait_until_ready(process)
            os.kill(pid, signal.SIGHUP)
            time.sleep(2)
            assert process.poll() == 0
            assert descendants_of(data) != []
        finally:
            os.kill(pid, signal.SIGTERM)
            process.communicate(timeout=100)
    assert within(20, lambda: descendants_of(data) == [])
