"""Terraform in a copy of the tree, with simulated providers that serve the whole run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from tests.terraform.core import ROOT, Terraform, find_terraform
from tests.terraform.deployment import Deployment
from tests.terraform.simulated.schema import ProviderSchema
from tests.terraform.simulated.server import serving

EXAMPLES: Final = ("tiny", "team", "large")
_TINY: Final = "-var-file=examples/tiny.tfvars"
VARIANTS: Final = {
    **{example: [f"-var-file=examples/{example}.tfvars"] for example in EXAMPLES},
    "function": [_TINY, "-var=http2=false"],
    "function with domain": [_TINY, "-var=http2=false", "-var=domain=registry.example.com"],
    "open": [_TINY, "-var=access=open", "-var=accept_open=true", "-var=private_database=false"],
}
SCHEMAS: Final = Path(__file__).resolve().parent / "schemas"
# What is of no account to Terraform, or is made by it.
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "build", ".terraform*", "*.tfstate*")


class NewTerraform(Protocol):
    def __call__(self, *, is_whole: bool = False) -> Terraform:
        """Another copy, so another state. A whole one has all of functions/, which costs a plan seconds."""


@pytest.fixture(scope="session")
def new_terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewTerraform]:
    schemas = [ProviderSchema.load(path) for path in sorted(SCHEMAS.glob("*.json"))]
    command = find_terraform()
    if command is None:
        pytest.skip("no terraform here, and no build/terraform-venv: make test-terraform makes one")

    def make(*, is_whole: bool = False) -> Terraform:
        tree = tmp_path_factory.mktemp("tree")
        shutil.copytree(ROOT / "terraform", tree / "terraform", ignore=_IGNORED)
        shutil.copytree(ROOT / "functions", tree / "functions", ignore=_IGNORED if is_whole else _all_but_entries)
        settings = tree / "terraformrc"
        settings.write_text("disable_checkpoint = true\n")
        environment = {
            "TF_REATTACH_PROVIDERS": servers.enter_context(serving(schemas, tree / "terraform")),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
        }
        terraform = Terraform(command, tree / "terraform", environment)
        terraform.run("init", "-input=false", "-backend=false", "-no-color")
        return terraform

    with ExitStack() as servers:
        yield make


def _all_but_entries(folder: str, names: list[str]) -> set[str]:
    """What the archives can't do without is left."""
    kept = ("main.py", "__init__.py", "requirements.txt")
    return {name for name in names if name not in kept and not (Path(folder) / name).is_dir()}


@pytest.fixture(scope="session")
def terraform(new_terraform: NewTerraform) -> Terraform:
    """For what leaves no state behind."""
    return new_terraform()


@pytest.fixture(scope="session")
def deployments(new_terraform: NewTerraform) -> dict[str, Deployment]:
    """What is there after an apply of each example, and of the ways to deploy that no example has."""
    return {name: Deployment.of(_applied(new_terraform(), arguments)) for name, arguments in VARIANTS.items()}


def _applied(terraform: Terraform, arguments: Sequence[str]) -> dict[str, Any]:
    terraform.run("apply", "-input=false", "-no-color", "-auto-approve", *arguments)
    shown: dict[str, Any] = json.loads(terraform.run("show", "-json").stdout)
    return shown


@pytest.fixture(params=list(VARIANTS))
def deployment(request: pytest.FixtureRequest, deployments: dict[str, Deployment]) -> Deployment:
    return deployments[request.param]
