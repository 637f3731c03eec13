"""Code can go back after *pre*: the previous release passes its own tests on the schema that this one expands.

Which release that is stands in the file `previous`, as a commit; before the first one it is a
commit that has the baseline, whose data is carried on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PREVIOUS: Final = Path(__file__).with_name("previous").read_text().strip()
LINE: Final = Path("functions/migrate/versions/pre")
# What looks from outside: what it does, not how its tables are made.
SUITES: Final = ("tests/api", "tests/gc", "tests/security")


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The previous release's files."""
    archive = subprocess.run(  # our own repository
        ["git", "archive", PREVIOUS],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(f"the commit {PREVIOUS[:12]} is not here: fetch the whole history (git fetch --unshallow)")
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    return tmp_path


@pytest.fixture
def previous(released: Path) -> Path:
    """The same, with this release's *pre* line of migrations in place of its own."""
    shutil.copytree(ROOT / LINE, released / LINE, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return released


def test_what_databases_have_already_is_not_changed(released: Path) -> None:
    for line in (LINE, LINE.with_name("post")):
        for before in (each for each in (released / line).rglob("*") if each.is_file()):
            now = ROOT / before.relative_to(released)
            assert before.read_bytes() == now.read_bytes(), f"{now.name}: write another revision instead"


@pytest.mark.slow
def test_the_previous_release_passes_its_tests_on_the_expanded_schema(previous: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not clients and not slow", "-p", "no:cacheprovider", *SUITES],
        cwd=previous,
        env={**os.environ, "PYTHONPATH": str(previous)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    assert " passed" in run.stdout.splitlines()[-1]
