"""Terraform in a copy of the tree, with simulated providers that serve the whole run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from deploy.preflight.choice import Choice
from deploy.preflight.needs import AGENTS, footprint
from tests.terraform.core import ROOT, Terraform, find_terraform
from tests.terraform.deployment import Deployment
from tests.terraform.simulated.project import Project
from tests.terraform.simulated.schema import ProviderSchema
from tests.terraform.simulated.server import serving

EXAMPLES: Final = {
    **{example: f"examples/{example}.tfvars" for example in ("tiny", "team", "large")},
    **{environment: f"../deploy/{environment}.tfvars" for environment in ("staging", "production")},
}
_TINY: Final = f"-var-file={EXAMPLES['tiny']}"
VARIANTS: Final = {
    **{example: [f"-var-file={EXAMPLES[example]}"] for example in ("tiny", "team", "large", "production")},
    "function": [_TINY, "-var=http2=false"],
    "function with domain": [_TINY, "-var=http2=false", "-var=domain=registry.example.com"],
    "open": [_TINY, "-var=access=open", "-var=accept_open=true", "-var=private_database=false"],
}
# `make test` asks of this one alone what `make test-terraform` asks of all.
_QUICK: Final = "tiny"
_SCHEMAS: Final = Path(__file__).resolve().parent / "schemas"
# The newest, and the oldest that terraform/versions.tf lets in.
GOOGLE: Final = ("google-8", "google-7")
_OTHERS: Final = ("archive-2", "random-3", "tls-4")
_TOLD: Final = {"lifecycle": "examples of terraform/", "rule": "rules of the simulated project, and what each catches"}
# What is of no account to Terraform, or is made by it.
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "build", ".terraform*", "*.tfstate*")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests say of themselves: shown whether output is captured or not."""
    for name, title in _TOLD.items():
        lines = [
            value
            for report in terminalreporter.getreports("passed")
            for property_name, value in report.user_properties
            if property_name == name
        ]
        if lines:
            terminalreporter.write_sep("=", title)
            for line in lines:
                terminalreporter.write_line(str(line))


def prepared_project() -> Project:
    """Makes one as the preflight leaves it, with the quota that it says to ask for."""
    vcpus, gibibytes = footprint(Choice("example-registry", "europe-west1", "large")).to_ask_for()
    return Project(
        agents=set(AGENTS.values()),
        vcpus=vcpus,
        memory_gib=gibibytes,
        instances={"shared": {"cloudsql.iam_authentication": "on"}},
    )


def read_schema(name: str) -> ProviderSchema:
    return ProviderSchema.load(_SCHEMAS / f"{name}.json")


class NewTerraform(Protocol):
    def __call__(self, *, is_whole: bool = False, google: str = GOOGLE[0], project: Project | None = None) -> Terraform:
        """Another copy, so another state, and another project: one that was prepared, if none is given.

        A whole one has all of functions/, which costs a plan seconds.
        """


@pytest.fixture(scope="session")
def new_terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewTerraform]:
    command = find_terraform()
    if command is None:
        pytest.skip("no terraform here: install it, or let `make build/terraform-venv/.made` fetch one (64 MB)")

    def make(*, is_whole: bool = False, google: str = GOOGLE[0], project: Project | None = None) -> Terraform:
        project = project or prepared_project()
        tree = tmp_path_factory.mktemp("tree")
        shutil.copytree(ROOT / "terraform", tree / "terraform", ignore=_IGNORED)
        shutil.copytree(ROOT / "functions", tree / "functions", ignore=_IGNORED if is_whole else _all_but_entries)
        shutil.copytree(ROOT / "deploy", tree / "deploy")
        settings = tree / "terraformrc"
        settings.write_text("disable_checkpoint = true\n")
        schemas = [read_schema(name) for name in (google, *_OTHERS)]
        environment = {
            "TF_REATTACH_PROVIDERS": servers.enter_context(serving(schemas, tree / "terraform", project)),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
        }
        terraform = Terraform(command, tree / "terraform", environment, project)
        terraform.run("init", "-input=false", "-backend=false", "-no-color")
        return terraform

    with ExitStack() as servers:
        yield make


def _all_but_entries(folder: str, names: list[str]) -> set[str]:
    """What the archives can't do without is left."""
    kept = ("main.py", "work.py", "__init__.py", "requirements.txt")
    return {name for name in names if name not in kept and not (Path(folder) / name).is_dir()}


@pytest.fixture(scope="session")
def terraform(new_terraform: NewTerraform) -> Terraform:
    """Gives one that is shared by all that leaves no state behind."""
    return new_terraform()


class _Deployments(Mapping[str, Deployment]):
    """Applied when it is first asked for."""

    def __init__(self, new_terraform: NewTerraform) -> None:
        self._new_terraform = new_terraform
        self._applied: dict[str, Deployment] = {}

    def __getitem__(self, name: str) -> Deployment:
        if name not in self._applied:
            self._applied[name] = Deployment.of(_applied(self._new_terraform(), VARIANTS[name]))
        return self._applied[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VARIANTS)

    def __len__(self) -> int:
        return len(VARIANTS)


@pytest.fixture(scope="session")
def deployments(new_terraform: NewTerraform) -> Mapping[str, Deployment]:
    """What is there after an apply of each example, and of the ways to deploy that no example has."""
    return _Deployments(new_terraform)


def _applied(terraform: Terraform, arguments: Sequence[str]) -> dict[str, Any]:
    terraform.run("apply", "-input=false", "-no-color", "-auto-approve", *arguments)
    shown: dict[str, Any] = json.loads(terraform.run("show", "-json").stdout)
    return shown


@pytest.fixture(params=[pytest.param(name, marks=() if name == _QUICK else pytest.mark.terraform) for name in VARIANTS])
def deployment(request: pytest.FixtureRequest, deployments: Mapping[str, Deployment]) -> Deployment:
    return deployments[request.param]
