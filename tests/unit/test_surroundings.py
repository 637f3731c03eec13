"""What somebody's shell hands on to the tests does not reach the programs that they start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests import surroundings

ROOT: Final = Path(__file__).resolve().parents[2]
# As a shell starts its children: with these signals ignored, this mask, this environment. What a child of theirs finds.
_FOUND: Final = """
import json, os, signal
numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
ignored = [number.name for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
blocked = [number.name for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
print(json.dumps([ignored, blocked, sorted(os.environ)]))
"""
_TESTS: Final = f"""
import subprocess, sys
from tests import surroundings
surroundings.make_plain()
subprocess.run([sys.executable, "-c", {_FOUND!r}], check=True)
"""


def _started_by_a_shell(script: str, **environment: str) -> str:
    """What it prints."""
    shell = f"""
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGALRM])
os.execv(sys.executable, [sys.executable, "-c", {script!r}])
"""
    return subprocess.run(
        [sys.executable, "-c", shell],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_signals_that_the_shell_ignores_and_blocks_reach_children_all_the_same() -> None:
    ignored, blocked, _ = json.loads(_started_by_a_shell(_FOUND))
    assert (len(ignored), len(blocked)) == (3, 2), "the shell of this test does as shells do"
    assert json.loads(_started_by_a_shell(_TESTS))[:2] == [[], []]


def test_settings_of_the_shell_reach_no_child() -> None:
    foreign = dict.fromkeys(
        ("SLIPWAY_ACCESS", "PGHOST", "GIT_DIR", "PYTHONWARNINGS", "GUNICORN_CMD_ARGS", "STORAGE_EMULATOR_HOST"), "1"
    )
    told = {**foreign, "http_proxy": "http://127.0.0.1:9", "SLIPWAY_TEST_REGISTRY": "x"}
    *_, names = json.loads(_started_by_a_shell(_TESTS, **told))
    assert not {*foreign, "http_proxy"} & set(names)
    assert {"PATH", "SLIPWAY_TEST_REGISTRY"} <= set(names)


def test_this_process_was_put_right() -> None:
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert "GIT_DIR" not in os.environ


def test_a_whole_run_is_put_right_before_its_first_test() -> None:
    name = f"{__file__}::{test_this_process_was_put_right.__name__}"
    run = f"import pytest; print(pytest.main(['-q', '-p', 'no:cacheprovider', {name!r}]))"
    assert "1 passed" in _started_by_a_shell(run, GIT_DIR="/nowhere")


@pytest.mark.parametrize(
    ("name", "is_foreign"),
    [
        ("PATH", False),
        ("HOME", False),
        ("PGPORT", True),
        ("no_proxy", True),
        ("PORT", True),
        ("SLIPWAY_FUZZ_SEED", False),
    ],
)
def test_what_is_foreign(name: str, is_foreign: bool) -> None:
    assert surroundings.is_foreign(name) is is_foreign


def test_what_a_test_reads_of_its_caller_is_left_to_it() -> None:
    """But what runs outside pytest."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if "conformance" not in path.parts]
    read = {name for path in files for name in re.findall(r'environ\.get\("(\w+)"', path.read_text())}
    assert "SLIPWAY_MOVING_STEPS" in read
    assert not {name for name in read if surroundings.is_foreign(name)}
