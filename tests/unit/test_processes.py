"""A program that does not end when it is told to says what it was at."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.processes import PYTHON, ended

_STAYS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def waits_for_ever():
    print("ready", flush=True)
    time.sleep(60)
waits_for_ever()
"""


def test_a_program_that_stays_is_aborted_and_shows_its_stack() -> None:
    with subprocess.Popen(
        [*PYTHON, "-c", _STAYS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(AssertionError, match=r"(?s)within 0\.2 s of SIGTERM.*in waits_for_ever"):
            ended(process, signal.SIGTERM, seconds=0.2)
    assert process.returncode == -signal.SIGABRT
