"""The OCI distribution conformance suite: got from its authors at one version, and run against a registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import ParseError

from local.programs import ROOT
from tests.conformance.results import Results, read

MODULE: Final = "github.com/opencontainers/distribution-spec/conformance"
VERSION: Final = "v0.0.0-20260831232431-97274622c111"
PROGRAMS: Final = ROOT / "build" / "gobin"
RUN_SECONDS: Final = 300
_LONGEST_OUTPUT: Final = 2000


class SuiteFailed(RuntimeError):
    """The suite could not be built, or gave no results; the message says why."""


def program() -> Path | None:
    """The suite, built if it isn't there yet. None if that needs Go and there is none. Raises SuiteFailed."""
    built = PROGRAMS / "conformance"
    # A program bears the version it was built from: another pin builds it anew.
    if built.exists() and VERSION.encode() in built.read_bytes():
        return built
    go = shutil.which("go")
    if go is None:
        return None
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    command = [go, "install", f"{MODULE}@{VERSION}"]
    environment = {**os.environ, "GOBIN": str(PROGRAMS)}
    finished = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if finished.returncode:
        raise SuiteFailed(f"go install {MODULE}@{VERSION} failed:\n{_end(finished.stderr)}")
    return built


def run(suite: Path, address: str, settings: Mapping[str, str], folder: Path) -> Results:
    """One run; its reports stay in `folder`. Raises SuiteFailed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Nothing of the caller's environment, and a current folder of its own: the suite takes settings from both.
    environment = {
        "OCI_REGISTRY": address,
        "OCI_TLS": "disabled",
        "OCI_RESULTS_DIR": str(folder),
        **settings,
    }
    try:
        finished = subprocess.run(
            [suite], check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SuiteFailed(f"the suite did not end within {RUN_SECONDS} s") from error
    # It ends with 0 when it could not even begin, so the code alone says nothing.
    if not (folder / "results.yaml").exists():
        raise SuiteFailed(f"the suite wrote no results.yaml:\n{_end(finished.stderr)}")
    try:
        results = read(folder / "junit.xml")
    except (OSError, ParseError) as error:
        raise SuiteFailed(f"the suite's report can't be read: {error}\n{_end(finished.stderr)}") from error
    if not results.passed or (finished.returncode and not results.failed):
        raise SuiteFailed(f"the suite ended with code {finished.returncode} and {results}:\n{_end(finished.stderr)}")
    return results


def _end(text: str) -> str:
    return text.strip()[-_LONGEST_OUTPUT:]
