"""The preflight against a fake of Google's APIs, as a command line."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.preflight import __main__ as program
from deploy.preflight.google import ENDPOINT_VARIABLE, TOKEN_VARIABLE, Google
from tests.preflight.google import TOKEN, FakeGoogle, serving
from tests.preflight.project import PROJECT, REGION, GoogleProject


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    error: str

    def states(self) -> dict[str, set[str]]:
        """Returns the states in its JSON, by subject."""
        found: dict[str, set[str]] = {}
        for one in self.findings():
            found.setdefault(one["subject"], set()).add(one["state"])
        return found

    def findings(self) -> list[dict[str, Any]]:
        document = json.loads(self.out)
        assert document["exit_code"] == self.code
        found: list[dict[str, Any]] = document["findings"]
        return found

    def of(self, subject: str, state: str) -> list[dict[str, Any]]:
        return [one for one in self.findings() if (one["subject"], one["state"]) == (subject, state)]


Run = Callable[..., Outcome]


@pytest.fixture
def serve() -> Iterator[Callable[[GoogleProject], FakeGoogle]]:
    with ExitStack() as servers:
        yield lambda project: servers.enter_context(serving(project))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Gives a run with pauses and patience of a test's length."""
    quick = functools.partial(Google, seconds=0.5, pauses=(0.01, 0.01))
    monkeypatch.setattr(program, "Google", quick)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)

    def run(fake: FakeGoogle, *flags: str) -> Outcome:
        monkeypatch.setenv(ENDPOINT_VARIABLE, fake.address)
        code = program.main([f"--project={PROJECT}", f"--region={REGION}", *flags])
        return Outcome(code, *capsys.readouterr())

    return run
