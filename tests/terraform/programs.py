"""Simulated gcloud, terraform, curl, make and skopeo: they write down how they were called and answer by a table."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCRIPT: Final = """
import json, os, re, sys
called = [os.path.basename(sys.argv[1]), *sys.argv[2:]]
folder = os.environ["SIMULATED"]
given = "" if sys.stdin.isatty() else sys.stdin.read()
with open(f"{folder}/calls.jsonl", "a") as calls:
    calls.write(json.dumps([called, given]) + "\\n")
for pattern, code, text in json.load(open(f"{folder}/answers.json")):
    if re.search(pattern, " ".join(called)):
        sys.stdout.write(text)
        sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Call:
    command: str
    given: str


class SimulatedPrograms:
    """Whatever no answer matches succeeds and says nothing."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self._answers: list[tuple[str, int, str]] = []
        script = folder / "simulated.py"
        script.write_text(_SCRIPT)
        # The first line of a script can name no interpreter that lies in a folder with a space.
        command = shlex.join([sys.executable, "-S", str(script)])
        for name in names:
            program = folder / name
            program.write_text(f'#!/bin/sh\nexec {command} "$0" "$@"\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self._write()

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "SIMULATED": str(self.folder)}

    def answer(self, pattern: str, text: str = "", code: int = 0) -> None:
        """The newest comes first."""
        self._answers.insert(0, (pattern, code, text))
        self._write()

    def calls(self) -> list[Call]:
        """Since the last time that was asked."""
        path = self.folder / "calls.jsonl"
        if not path.exists():
            return []
        found = [Call(" ".join(command), given) for command, given in map(json.loads, path.read_text().splitlines())]
        path.unlink()
        return found

    def _write(self) -> None:
        (self.folder / "answers.json").write_text(json.dumps(self._answers))
