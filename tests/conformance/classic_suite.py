"""The classic suite itself, built from its source. No version of it can be installed: its module was never tagged."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from local.programs import ROOT
from tests.conformance.results import Case, Results
from tests.conformance.suite import RUN_SECONDS, SuiteFailed

PROGRAMS: Final = ROOT / "build" / "classic"
# A clone on this machine does as well.
SOURCE: Final = os.environ.get("SLIPWAY_DISTRIBUTION_SPEC", "https://github.com/opencontainers/distribution-spec")
_CLONE_SECONDS: Final = 60
_SUITE_NAME: Final = "OCI Distribution Conformance Tests"
_WORKFLOWS: Final = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")
_LONGEST_REASON: Final = 300


def built(version: str) -> Path | None:
    program = PROGRAMS / version
    return program if program.exists() else None


def build(version: str) -> str:
    """Why it isn't there, in a line; nothing if it is."""
    if built(version):
        return ""
    if not (shutil.which("go") and shutil.which("git")):
        return "it is built with git and go"
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        clone = ["git", "clone", "--quiet", "--depth", "1", "--branch", version, SOURCE, folder]
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        compiled = ["go", "test", "-c", "-o", str(PROGRAMS / version), "."]
        try:
            subprocess.run(clone, check=True, env=environment, capture_output=True, timeout=_CLONE_SECONDS)
            subprocess.run(compiled, check=True, cwd=Path(folder, "conformance"), capture_output=True)
        except subprocess.TimeoutExpired:
            return f"its source did not come within {_CLONE_SECONDS} s"
        except subprocess.CalledProcessError as error:
            complaint: str = error.stderr.decode(errors="replace")
            return complaint.strip().rpartition("\n")[2]
    return ""


def run(suite: Path, settings: Mapping[str, str], folder: Path) -> Results:
    """One run; its reports stay in `folder`. Raises SuiteFailed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**settings, "OCI_REPORT_DIR": str(folder), **{f"OCI_TEST_{name}": "1" for name in _WORKFLOWS}}
    try:
        # Version 1.0 writes its reports where it stands.
        subprocess.run([suite], check=False, cwd=folder, env=environment, capture_output=True, timeout=RUN_SECONDS)
        return read(folder / "junit.xml")
    except subprocess.TimeoutExpired as error:
        raise SuiteFailed(f"the suite did not end within {RUN_SECONDS} s") from error
    except (OSError, ET.ParseError) as error:
        raise SuiteFailed(f"the suite's report can't be read: {error}") from error


def read(report: Path) -> Results:
    """Raises OSError or ParseError."""
    root = ET.parse(report).getroot()  # noqa: S314  # written by the program that was just run here
    cases = [case for case in root.iter("testcase") if _SUITE_NAME in case.get("name", "")]
    failures = tuple(_with(cases, "failure"))
    skips = tuple(_with(cases, "skipped"))
    return Results(len(cases) - len(failures) - len(skips), len(failures), len(skips), 0, failures, skips)


def _with(cases: list[ET.Element], kind: str) -> Iterator[Case]:
    for case in cases:
        found = case.find(kind)
        if found is not None:
            name = case.get("name", "").rpartition(_SUITE_NAME)[2].strip()
            reason = " ".join((found.get("message") or found.text or "").split())
            yield Case(name, reason[:_LONGEST_REASON])
