"""A small configuration of a test's own, with the simulated Google behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.terraform.core import Terraform
from tests.terraform.simulated.project import Project
from tests.terraform.simulated.schema import ProviderSchema
from tests.terraform.simulated.server import serving

_HEAD: Final = """
terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

provider "google" {
  project = "example-registry"
  region  = "europe-west1"
}
"""


@contextmanager
def small(command: list[str], schema: ProviderSchema, folder: Path, text: str, project: Project) -> Iterator[Terraform]:
    folder.mkdir()
    (folder / "main.tf").write_text(_HEAD + text)
    settings = folder / "terraformrc"
    settings.write_text("disable_checkpoint = true\n")
    with serving([schema], folder, project) as attached:
        environment = {"TF_REATTACH_PROVIDERS": attached, "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1"}
        terraform = Terraform(command, folder, environment, project)
        terraform.run("init", "-input=false", "-no-color")
        yield terraform
