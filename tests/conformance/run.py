"""`python -m tests.conformance.run`: the OCI conformance suite, in every version, both ways of delivering
blobs, and with tokens.

Needs Go, or the suite already built. docs/conformance.md tells what is run and why.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Protocol

from local.guard import StartRefused
from local.postgres import PostgresFailed
from local.processes import ChildFailed
from local.programs import ROOT
from local.stack import Options, Stack
from tests.conformance.results import Case, Results
from tests.conformance.suite import VERSION, SuiteFailed, program, run

REPORTS: Final = ROOT / "build" / "conformance"
VERSIONS: Final = ("1.0", "1.1", "dev")
MODES: Final = (("redirect", "open"), ("streaming", "open"), ("redirect", "token"))
# Without a source repository only the repository itself is asked for a blob; that is answered with an upload.
EXPECTED_SKIPS: Final = frozenset(
    f"{algorithm} blobs/mount anonymous/blob-mount-anonymous" for algorithm in ("sha256", "sha512")
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the suite: its version, how the registry delivers blobs, what else is set, and why."""

    version: str
    delivery: str
    access: str = "open"
    settings: dict[str, str] = field(default_factory=dict)
    remark: str = ""
    expected_skips: frozenset[str] = EXPECTED_SKIPS
    expected_failures: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.version} {self.delivery}" + (f" {self.access}" if self.access != "open" else "")


class AnyTrial(Protocol):
    """What is said of a run, of this suite or of the classic one."""

    @property
    def name(self) -> str: ...
    @property
    def remark(self) -> str: ...
    @property
    def expected_skips(self) -> frozenset[str]: ...
    @property
    def expected_failures(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    trial: AnyTrial
    results: Results | None = None
    problem: str = ""

    @property
    def unexpected_skips(self) -> list[Case]:
        """What the registry could do once and now can't would only be skipped: the suite calls that no failure."""
        return self._skips(expected=False)

    @property
    def is_good(self) -> bool:
        """Failures that the suite only counts are none that were expected."""
        if self.results is None or self.unexpected_skips:
            return False
        return self.results.failed == len(self._failures(expected=True))

    def _skips(self, *, expected: bool) -> list[Case]:
        skips = self.results.skips if self.results else ()
        return [case for case in skips if (case.name in self.trial.expected_skips) == expected]

    def _failures(self, *, expected: bool) -> list[Case]:
        failures = self.results.failures if self.results else ()
        return [case for case in failures if (case.name in self.trial.expected_failures) == expected]

    def lines(self) -> Iterator[str]:
        remark = f" ({self.trial.remark})" if self.trial.remark else ""
        if self.results is None:
            yield f"{self.trial.name}{remark}: not run: {self.problem}"
            return
        yield f"{self.trial.name}{remark}: {self.results}"
        yield from _named("FAILED", self._failures(expected=False))
        yield from _named("SKIPPED, UNEXPECTED", self.unexpected_skips)
        yield from _named("failed, as explained in docs/conformance.md,", self._failures(expected=True))
        yield from _named("skipped", self._skips(expected=True))


def trials(delivery: str, access: str = "open") -> Iterator[Trial]:
    for version in VERSIONS:
        if version == "dev" and delivery == "redirect":
            settings = {"OCI_API_BLOBS_DIGEST_HEADER": "false"}
            remark = "Docker-Content-Digest of blobs not required: the last answer to a GET is the store's"
            yield Trial(version, delivery, access, settings, remark)
        else:
            yield Trial(version, delivery, access)


def chosen_trials(only: str | None) -> dict[tuple[str, str], list[Trial]]:
    """Returns those of each mode that has some; all if no name is given."""
    chosen = {mode: [trial for trial in trials(*mode) if only in {None, trial.name}] for mode in MODES}
    return {mode: of_mode for mode, of_mode in chosen.items() if of_mode}


def run_all(suite: Path, delivery: str, access: str, chosen: list[Trial]) -> list[Outcome]:
    """These against one registry. In a process of its own: a setting of the registry is one of its process."""
    os.environ["SLIPWAY_BLOB_DELIVERY"] = delivery
    os.environ["SLIPWAY_ACCESS"] = access
    # The suite pushes manifests whose references are missing; by default they are refused, as the specification allows.
    os.environ["SLIPWAY_SPARSE_MANIFESTS"] = "accept"
    try:
        with tempfile.TemporaryDirectory() as data, Stack(Options(0, Path(data), ephemeral=True)) as stack:
            credentials = _signing_in(Path(data)) if access == "token" else {}
            return [_run_one(suite, stack.address, trial, credentials) for trial in chosen]
    except (StartRefused, PostgresFailed, ChildFailed) as error:
        return [Outcome(trial, problem=f"the registry did not start: {error}") for trial in chosen]


def administrator(data: Path) -> tuple[str, str]:
    """The name and the secret of a local registry's."""
    return "admin", json.loads((data / "access.json").read_text())["SLIPWAY_ADMIN_SECRET"]


def _signing_in(data: Path) -> dict[str, str]:
    return dict(zip(("OCI_USERNAME", "OCI_PASSWORD"), administrator(data), strict=True))


def _run_one(suite: Path, address: str, trial: Trial, credentials: dict[str, str]) -> Outcome:
    settings = {
        **credentials,
        "OCI_VERSION": trial.version,
        # Repositories of its own: the suite also asks for what an empty one answers.
        "OCI_REPO1": f"conformance/{trial.version}/one",
        "OCI_REPO2": f"conformance/{trial.version}/two",
        # Off by default, all other data is on.
        "OCI_DATA_SPARSE": "true",
        **trial.settings,
    }
    try:
        results = run(suite, address, settings, REPORTS / trial.name.replace(" ", "-"))
    except SuiteFailed as error:
        return Outcome(trial, problem=str(error))
    return Outcome(trial, results)


def _named(label: str, cases: Iterable[Case]) -> Iterator[str]:
    """Each once: the suite repeats a test for every blob and manifest."""
    for text, times in Counter(str(case) for case in cases).items():
        yield f"  {label} {text}" + (f" ({times} times)" if times > 1 else "")


def report(outcomes: Sequence[Outcome]) -> int:
    """Says what was found; gives the exit code."""
    for outcome in outcomes:
        for line in outcome.lines():
            say(line)
    return 0 if outcomes and all(outcome.is_good for outcome in outcomes) else 1


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(prog="tests.conformance.run", description="The OCI conformance suite.")
    names = [trial.name for mode in MODES for trial in trials(*mode)]
    parser.add_argument("--only", choices=names, help="one run, by its name in the report; all of them if not given")
    chosen = chosen_trials(parser.parse_args(arguments).only)
    try:
        suite = program()
    except SuiteFailed as error:
        say(f"conformance: not run: {error}")
        return 1
    if suite is None:
        say("conformance: not run: the suite is built with Go, and there is no go on the PATH")
        return 0
    say(f"OCI distribution conformance suite {VERSION}; reports in {REPORTS.relative_to(ROOT)}")
    try:
        with ProcessPoolExecutor(len(MODES), get_context("spawn")) as pool:
            runs = [pool.submit(run_all, suite, *mode, of_mode) for mode, of_mode in chosen.items()]
            return report([outcome for run in runs for outcome in run.result()])
    except KeyboardInterrupt:
        return 1


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # a command line talks to its user


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
