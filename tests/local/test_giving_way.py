"""A program of the lowest priority has its sessions of the database run at a low one too; others' stay as they are."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_PROGRAM = """
import os, sys
from functions.registry.metadata.driver import Connection
from local.giving_way import give_way
give_way()
connection = Connection(sys.argv[1])
session = connection.run([("SELECT pg_backend_pid()", {})])[0].rows[0][0]
print("idle" if os.sched_getscheduler(session) == os.SCHED_IDLE else os.getpriority(os.PRIO_PROCESS, session))
connection.close()
"""


@pytest.mark.parametrize(
    ("own", "of_its_session"),
    [
        (["nice", "-n", "0"], "0"),
        (["nice", "-n", "5"], "5"),
        (["nice", "-n", "19"], "10"),
        (["chrt", "--idle", "0"], "idle"),
    ],
)
def test_a_session_gives_way_as_its_program_does(database_url: str, own: list[str], of_its_session: str) -> None:
    if not shutil.which(own[0]):
        pytest.skip(f"there is no {own[0]}: install util-linux")
    command = [*own, sys.executable, "-c", _PROGRAM, database_url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == of_its_session
