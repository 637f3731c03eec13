"""Each example goes the whole way, with the real Terraform: validate, plan, apply, an empty second plan, destroy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.terraform.conftest import EXAMPLES, GOOGLE, NewTerraform, read_schema
from tests.terraform.core import PLAN, ROOT, Terraform

_UNATTENDED: Final = ("-input=false", "-no-color", "-auto-approve")
_TINY: Final = f"-var-file={EXAMPLES['tiny']}"
# What the subnetwork stands on: nothing of it costs anything.
_HELD: Final = ("data.", "google_compute_network.", "google_compute_subnetwork.", "google_project_service.")
_MIGRATE: Final = 'google_cloudfunctions2_function.this["migrate"]'


@pytest.mark.timeout(1800)
@pytest.mark.terraform
@pytest.mark.parametrize("google", GOOGLE)
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_planned_applied_stable_and_destroyed(
    example: str, google: str, new_terraform: NewTerraform, record_property: Callable[[str, object], None]
) -> None:
    terraform = new_terraform(is_whole=(example, google) == ("tiny", GOOGLE[0]), google=google)
    variables = (f"-var-file={EXAMPLES[example]}", "-var=deletion_protection=false")
    _validate(terraform)
    planned = _to_create(terraform.plan(*variables))
    applied = terraform.run("apply", *_UNATTENDED, PLAN)
    assert f"{planned} added, 0 changed, 0 destroyed" in applied.stdout
    assert terraform.run("plan", "-detailed-exitcode", *variables, allowed=(0, 2)).returncode == 0
    _destroy(terraform, *variables)
    assert not terraform.run("state", "list").stdout
    record_property(
        "lifecycle",
        f"{example}, provider google {read_schema(google).version}: "
        f"validated, planned {planned} resources, applied, second plan empty, destroyed",
    )


def _destroy(terraform: Terraform, *variables: str) -> None:
    """Destroys as docs/deploy.md has it: a network that was made here is let go two hours after the rest."""
    first = terraform.run("destroy", *_UNATTENDED, *variables, allowed=(0, 1))
    if first.returncode:
        assert first.stderr.count("Error:") == first.stderr.count("is already being used by serverless-ipv4") == 1
        assert all(one.startswith(_HELD) for one in terraform.run("state", "list").stdout.splitlines())
        terraform.project.wait(120)
        terraform.run("destroy", *_UNATTENDED, *variables)


def _validate(terraform: Terraform) -> None:
    validated = json.loads(terraform.run("validate", "-json").stdout)
    assert validated["valid"]
    assert not validated["diagnostics"], "warnings are errors here"


def _to_create(plan: dict[str, Any]) -> int:
    return sum(change["change"]["actions"] == ["create"] for change in plan["resource_changes"])


def test_the_module_is_valid_and_plans(terraform: Terraform) -> None:
    _validate(terraform)
    assert _to_create(terraform.plan(_TINY)) > 50


def test_the_providers_that_are_let_in_are_those_that_are_tried() -> None:
    (least, below) = re.findall(
        r'hashicorp/google"\n.*\n +version = ">= ([\d.]+), < (\d+)"', (ROOT / "terraform" / "versions.tf").read_text()
    )[0]
    newest, oldest = (read_schema(google).version for google in GOOGLE)
    assert oldest.startswith(f"{least}.")
    assert int(newest.split(".")[0]) == int(below) - 1


@pytest.mark.terraform
def test_a_pipeline_deploys_migrate_first_with_all_that_it_needs(new_terraform: NewTerraform) -> None:
    """From nothing, and with a release: it has to be able to log in, and nothing else may be touched by then."""
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, f"-target={_MIGRATE}", _TINY)
    made = set(terraform.run("state", "list").stdout.splitlines())
    assert {
        _MIGRATE,
        "google_sql_database.this",
        'google_sql_user.this["migrate"]',
        'google_project_iam_member.database["migrate-cloudsql.client"]',
    } <= made
    assert not {one for one in made if one.startswith(("google_cloud_run_v2_service.", "google_cloudfunctions2_"))} - {
        _MIGRATE
    }
    assert "https://" in terraform.run("output", "-raw", "migrate_url").stdout

    terraform.run("apply", *_UNATTENDED, _TINY)
    for program in ("api", "gc", "migrate"):
        main = terraform.folder.parent / "functions" / program / "main.py"
        main.write_text(main.read_text() + "\n")
    plan = terraform.plan(f"-target={_MIGRATE}", _TINY)
    changed = {one["address"] for one in plan["resource_changes"] if one["change"]["actions"] == ["update"]}
    assert changed == {_MIGRATE}


@pytest.mark.terraform
def test_what_is_protected_is_not_destroyed(new_terraform: NewTerraform) -> None:
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, _TINY)
    refused = terraform.run("destroy", *_UNATTENDED, _TINY, allowed=(1,))
    assert "deletion_protection is true" in refused.stderr
    protected = {
        "google_cloud_run_v2_service.registry[0]",
        'google_secret_manager_secret.this["pepper"]',
        "google_sql_database_instance.this[0]",
    }
    assert protected <= set(terraform.run("state", "list").stdout.splitlines())


@pytest.mark.terraform
def test_the_state_holds_no_secret(new_terraform: NewTerraform) -> None:
    """What is written to Secret Manager, but for the administrator's placeholder, was never anywhere else."""
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, _TINY)
    state = json.loads(terraform.run("show", "-json").stdout)
    resources = state["values"]["root_module"]["resources"]
    versions = {
        resource["address"]: (resource["values"]["secret_data"], resource["values"]["secret_data_wo"])
        for resource in resources
        if resource["type"] == "google_secret_manager_secret_version"
    }
    assert versions == {
        "google_secret_manager_secret_version.admin_placeholder[0]": ("add a version: docs/deploy.md says how", None),
        'google_secret_manager_secret_version.made["pepper"]': (None, None),
        'google_secret_manager_secret_version.made["token-keys"]': (None, None),
    }
    assert not {resource["type"] for resource in resources} & {"random_password", "tls_private_key"}


def _changes(terraform: Terraform, *arguments: str) -> dict[str, list[str]]:
    """Returns, by address, what the plan would do, but for reading."""
    changes = terraform.plan(_TINY, *arguments)["resource_changes"]
    return {
        change["address"]: change["change"]["actions"]
        for change in changes
        if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
    }


@pytest.mark.terraform
def test_a_change_reaches_what_it_concerns_and_nothing_else(new_terraform: NewTerraform) -> None:
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, _TINY)
    registry = {
        "google_cloudfunctions2_function.api": ["update"],
        "google_cloud_run_v2_service.registry[0]": ["update"],
    }
    # Secrets of webhooks and of sources are sealed with the pepper.
    sealing = {f'google_cloudfunctions2_function.this["{name}"]': ["update"] for name in ("deliver", "work")}
    assert _changes(terraform, "-var=token_keys_version=2") == registry
    assert _changes(terraform, "-var=pepper_version=2") == registry | {_MIGRATE: ["update"]} | sealing
    main = terraform.folder.parent / "functions" / "gc" / "main.py"
    main.write_text(main.read_text() + "\n")
    assert _changes(terraform) == {
        'google_storage_bucket_object.source["gc"]': ["delete", "create"],
        'google_cloudfunctions2_function.this["gc"]': ["update"],
    }


def test_the_module_is_formatted(terraform: Terraform) -> None:
    terraform.run("fmt", "-check", "-recursive", "-diff")


@pytest.mark.terraform
def test_the_modules_own_tests_pass(terraform: Terraform) -> None:
    done = terraform.run("test", "-no-color")
    assert "Success! 7 passed, 0 failed." in done.stdout
