"""The classic suite: the one that most registries' published results come from, in the three versions it was tagged in.

Where its source can be had, the suite itself is run; else its requests, as a table of our own. docs/conformance.md.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from local.guard import StartRefused
from local.postgres import PostgresFailed
from local.processes import ChildFailed
from local.stack import Options, Stack
from tests.conformance import classic_discovery, classic_pull, classic_push, classic_suite
from tests.conformance.classic_client import Client
from tests.conformance.classic_run import Run, Skipped, Step
from tests.conformance.results import Case, Results
from tests.conformance.run import REPORTS, Outcome, administrator
from tests.conformance.suite import SuiteFailed

VERSIONS: Final = ("v1.0.1", "v1.1.0", "v1.1.1")
_MOUNTS: Final = "Push Cross-Repository Blob Mount Cross-mounting "
_MOUNT_FOUND: Final = (
    "Push: mount without a source is 201",
    f"{_MOUNTS}without from, and automatic content discovery enabled should return a 201",
)
_MOUNT_NOT_FOUND: Final = (
    "Push: mount without a source is 202",
    f"{_MOUNTS}without from, and automatic content discovery disabled should return a 202",
)
# What is for registries that don't mount, and for runs that are told what is there.
_SKIPS: Final = (
    "Push: upload what could not be mounted",
    f"{_MOUNTS}of nonexistent blob should yield session id",
    "Pull Setup Get tag name from environment",
    "Content Discovery Setup Populate registry with test tags (no push)",
)


@dataclass(frozen=True, slots=True)
class ClassicTrial:
    """`automatic_mounts` as OCI_AUTOMATIC_CROSSMOUNT: what a mount without a source is expected to give."""

    version: str
    mode: str
    manifests_first: bool
    automatic_mounts: str = "1"

    @property
    def name(self) -> str:
        order = "manifests before blobs" if self.manifests_first else "blobs before manifests"
        mounts = "" if self.automatic_mounts == "1" else ", no automatic mounts"
        return f"classic {self.version} {self.mode}, {order}{mounts}"

    @property
    def remark(self) -> str:
        return "" if classic_suite.built(self.version) else "our own table"

    @property
    def repository(self) -> str:
        order = "first" if self.manifests_first else "last"
        return f"classic/{self.version}/{order}-{self.automatic_mounts}"

    @property
    def expected_skips(self) -> frozenset[str]:
        return frozenset((*_SKIPS, *(_MOUNT_FOUND if self.automatic_mounts == "0" else _MOUNT_NOT_FOUND)))

    @property
    def expected_failures(self) -> frozenset[str]:
        """That blob was just mounted into that repository, and the specification lets a registry find it there."""
        return frozenset(_MOUNT_NOT_FOUND if self.automatic_mounts == "0" else ())


def trials(mode: str) -> Iterator[ClassicTrial]:
    for version in VERSIONS:
        for manifests_first in (True, False):
            yield ClassicTrial(version, mode, manifests_first)
    yield ClassicTrial(VERSIONS[-1], mode, manifests_first=True, automatic_mounts="0")


def run_all(mode: str, settings: dict[str, str]) -> list[Outcome]:
    """Every version and order against one registry. In a process of its own, as its settings are its process's."""
    os.environ.update(settings)
    chosen = list(trials(mode))
    try:
        with tempfile.TemporaryDirectory() as data, Stack(Options(0, Path(data), ephemeral=True)) as stack:
            credentials = administrator(Path(data)) if mode == "token" else None
            return [_run_one(stack.address, trial, credentials) for trial in chosen]
    except (StartRefused, PostgresFailed, ChildFailed) as error:
        return [Outcome(trial, problem=f"the registry did not start: {error}") for trial in chosen]


def _run_one(address: str, trial: ClassicTrial, credentials: tuple[str, str] | None) -> Outcome:
    suite = classic_suite.built(trial.version)
    if suite is None:
        client = Client(address, trial.repository, credentials)
        return Outcome(trial, run_table(Run(client, trial.version, trial.manifests_first, trial.automatic_mounts)))
    settings = {
        "OCI_ROOT_URL": f"http://{address}",
        "OCI_NAMESPACE": trial.repository,
        "OCI_CROSSMOUNT_NAMESPACE": f"{trial.repository}-mounted",
        "OCI_DELETE_MANIFEST_BEFORE_BLOBS": str(int(trial.manifests_first)),
        "OCI_AUTOMATIC_CROSSMOUNT": trial.automatic_mounts,
        **(dict(zip(("OCI_USERNAME", "OCI_PASSWORD"), credentials, strict=True)) if credentials else {}),
    }
    try:
        return Outcome(trial, classic_suite.run(suite, settings, REPORTS / trial.repository / trial.mode))
    except SuiteFailed as error:
        return Outcome(trial, problem=str(error))


def run_table(run: Run) -> Results:
    """Every step is tried, whatever became of those before it, as in the suite."""
    passed, failures, skips = 0, [], []
    for name, act in _steps(run):
        try:
            act()
        except Skipped as skipped:
            skips.append(Case(name, str(skipped)))
        except (AssertionError, KeyError, ValueError, requests.RequestException) as error:
            failures.append(Case(name, f"{type(error).__name__}: {error}".removeprefix("AssertionError: ")))
        else:
            passed += 1
    return Results(passed, len(failures), len(skips), 0, tuple(failures), tuple(skips))


def _steps(run: Run) -> Iterator[Step]:
    workflows = {
        "Pull": classic_pull.pull,
        "Push": classic_push.push,
        "Content Discovery": classic_discovery.discover,
        "Content Management": classic_pull.manage,
    }
    for title, workflow in workflows.items():
        for name, act in workflow(run):
            yield f"{title}: {name}", act
