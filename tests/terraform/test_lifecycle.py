"""Each example goes the whole way, with the real Terraform: validate, plan, apply, an empty second plan, destroy."""

from __future__ import annotations

import json

import pytest

from tests.terraform.conftest import EXAMPLES, NewTerraform
from tests.terraform.core import Terraform

pytestmark = pytest.mark.terraform

_UNATTENDED = ("-input=false", "-no-color", "-auto-approve")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_planned_applied_stable_and_destroyed(
    example: str, new_terraform: NewTerraform, capsys: pytest.CaptureFixture[str]
) -> None:
    terraform = new_terraform(is_whole=example == "tiny")
    variables = (f"-var-file=examples/{example}.tfvars", "-var=deletion_protection=false")
    validated = json.loads(terraform.run("validate", "-json").stdout)
    assert validated["valid"]
    assert not validated["diagnostics"], "warnings are errors here"

    planned = sum(
        change["change"]["actions"] == ["create"] for change in terraform.plan(*variables)["resource_changes"]
    )
    applied = terraform.run("apply", *_UNATTENDED, *variables)
    assert f"{planned} added, 0 changed, 0 destroyed" in applied.stdout
    assert terraform.run("plan", "-detailed-exitcode", *variables, allowed=(0, 2)).returncode == 0
    terraform.run("destroy", *_UNATTENDED, *variables)
    assert not terraform.run("state", "list").stdout
    with capsys.disabled():
        print(f"\n  {example}: validated, planned {planned} resources, applied, second plan empty, destroyed", end="")  # noqa: T201


def test_what_is_protected_is_not_destroyed(new_terraform: NewTerraform) -> None:
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, "-var-file=examples/tiny.tfvars")
    refused = terraform.run("destroy", *_UNATTENDED, "-var-file=examples/tiny.tfvars", allowed=(1,))
    assert "deletion_protection is true" in refused.stderr
    protected = {
        "google_cloud_run_v2_service.registry[0]",
        'google_secret_manager_secret.this["pepper"]',
        "google_sql_database_instance.this",
    }
    assert protected <= set(terraform.run("state", "list").stdout.splitlines())


def test_the_state_holds_no_secret(new_terraform: NewTerraform) -> None:
    """What is written to Secret Manager, but for the administrator's placeholder, was never anywhere else."""
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, "-var-file=examples/tiny.tfvars")
    state = json.loads(terraform.run("show", "-json").stdout)
    resources = state["values"]["root_module"]["resources"]
    versions = {
        resource["address"]: (resource["values"]["secret_data"], resource["values"]["secret_data_wo"])
        for resource in resources
        if resource["type"] == "google_secret_manager_secret_version"
    }
    assert versions == {
        "google_secret_manager_secret_version.admin_placeholder[0]": ("add a version: docs/deploy.md says how", None),
        "google_secret_manager_secret_version.pepper[0]": (None, None),
        "google_secret_manager_secret_version.token_keys[0]": (None, None),
    }
    assert not {resource["type"] for resource in resources} & {"random_password", "tls_private_key"}


def _changes(terraform: Terraform, *arguments: str) -> dict[str, list[str]]:
    """By address: what the plan would do, but for reading."""
    changes = terraform.plan("-var-file=examples/tiny.tfvars", *arguments)["resource_changes"]
    return {
        change["address"]: change["change"]["actions"]
        for change in changes
        if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
    }


def test_a_change_reaches_what_it_concerns_and_nothing_else(new_terraform: NewTerraform) -> None:
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, "-var-file=examples/tiny.tfvars")
    assert _changes(terraform, "-var=token_keys_version=2") == {
        "google_secret_manager_secret_version.token_keys[0]": ["create", "delete"],  # in this order
        "google_cloudfunctions2_function.api": ["update"],
        "google_cloud_run_v2_service.registry[0]": ["update"],
    }
    main = terraform.folder.parent / "functions" / "gc" / "main.py"
    main.write_text(main.read_text() + "\n")
    assert _changes(terraform) == {
        'google_storage_bucket_object.source["gc"]': ["delete", "create"],
        'google_cloudfunctions2_function.this["gc"]': ["update"],
    }


def test_the_module_is_formatted(terraform: Terraform) -> None:
    terraform.run("fmt", "-check", "-recursive", "-diff")


def test_the_modules_own_tests_pass(terraform: Terraform) -> None:
    done = terraform.run("test", "-no-color")
    assert "Success! 5 passed, 0 failed." in done.stdout
