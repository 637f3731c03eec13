"""The restore of docs/operations.md, with its own commands, in a project that holds a clone of the database."""

from __future__ import annotations

import re
import shlex
from typing import Final

import pytest

from tests.terraform.conftest import EXAMPLES, NewTerraform
from tests.terraform.core import ROOT, Terraform

pytestmark = pytest.mark.terraform

_VARIABLES: Final = (f"-var-file={EXAMPLES['tiny']}", "-var=database_instance=slipway-restored")
_OPERATIONS: Final = (ROOT / "docs" / "operations.md").read_text()


def _commands() -> list[list[str]]:
    """What follows `terraform -chdir=terraform`, with loops unrolled."""
    (block,) = re.findall(r"tell Terraform that it is the one:\n\n +```console\n(.*?)```", _OPERATIONS, re.DOTALL)
    commands = []
    for line in block.replace("PROJECT", "example-registry").splitlines():
        if not line.strip():
            continue
        loop = re.search(r"for program in (.*); do (.*); done", line)
        for program in loop[1].split() if loop else [""]:
            text = (loop[2] if loop else line).replace("$program", program)
            commands.append(shlex.split(text.strip().removeprefix("$ "), comments=True)[2:])
    return commands


def test_a_clone_takes_the_place_of_the_database(new_terraform: NewTerraform) -> None:
    terraform = new_terraform()
    terraform.run("apply", "-input=false", "-no-color", "-auto-approve", _VARIABLES[0])
    terraform.project.clone("slipway", "slipway-restored")
    for name, *arguments in _commands():
        if name == "import":
            terraform.run(name, "-input=false", "-no-color", *_VARIABLES, *arguments)
        elif name == "apply":
            _apply(terraform)
        else:
            terraform.run(name, *arguments)
    users = {user["instance"] for user in terraform.project.there("google_sql_user")}
    assert users == {"slipway", "slipway-restored"}, "the original stays"
    assert terraform.run("plan", "-detailed-exitcode", *_VARIABLES, allowed=(0, 2)).returncode == 0


def _apply(terraform: Terraform) -> None:
    """It makes neither database nor users, which the clone has."""
    plan = terraform.plan(*_VARIABLES)
    created = {
        one["type"]
        for one in plan["resource_changes"]
        if one["mode"] == "managed" and "create" in one["change"]["actions"]
    }
    assert not [kind for kind in created if kind.startswith("google_sql_")]
    terraform.run("apply", "-input=false", "-no-color", "-auto-approve", *_VARIABLES)
