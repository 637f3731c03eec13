"""A database in an instance that exists and serves others: made, used and left without a change to what is theirs."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.terraform.conftest import EXAMPLES, NewTerraform
from tests.terraform.core import PLAN, ROOT, Terraform
from tests.terraform.deployment import Deployment

pytestmark = pytest.mark.terraform

_UNATTENDED: Final = ("-input=false", "-no-color", "-auto-approve")
_SHARED: Final = {"connection_name": "example-shared:europe-west1:shared", "database": "slipway", "connections": 32}
_NETWORK: Final = {
    "network": "projects/example-network/global/networks/shared",
    "subnetwork": "projects/example-network/regions/europe-west1/subnetworks/functions",
}
_OF_THE_INSTANCE: Final = {"Connections run out", "The database's disk fills up", "The database is busy"}


def _variables(existing: dict[str, Any] = _SHARED) -> tuple[str, ...]:
    return (
        f"-var-file={EXAMPLES['tiny']}",
        f"-var=existing_database={json.dumps(existing)}",
        f"-var=network={json.dumps(_NETWORK)}",
        "-var=deletion_protection=false",
    )


@pytest.fixture(scope="module")
def applied(new_terraform: NewTerraform) -> Terraform:
    terraform = new_terraform()
    terraform.plan(*_variables())
    terraform.run("apply", *_UNATTENDED, PLAN)
    return terraform


@pytest.fixture(scope="module")
def shared(applied: Terraform) -> Deployment:
    return Deployment.of(json.loads(applied.run("show", "-json").stdout))


def test_the_instance_is_not_ours(shared: Deployment) -> None:
    assert not list(shared.all("google_sql_database_instance"))
    assert not list(shared.all("google_compute_network"))
    for resource in (shared.one("google_sql_database"), *shared.all("google_sql_user")):
        assert (resource.values["project"], resource.values["instance"]) == ("example-shared", "shared")
        assert resource.values["deletion_policy"] == "ABANDON", "it goes with its instance, if at all"
    assert shared.one("google_sql_database").values["name"] == "slipway"


def test_the_programs_log_in_there(shared: Deployment) -> None:
    for program in shared.programs():
        url = shared.environment(program)["SLIPWAY_DATABASE"]
        assert url.endswith("@/slipway?instance=example-shared:europe-west1:shared&network=private")
    bound = [grant for grant in shared.grants() if grant.role.startswith("cloudsql.")]
    assert len(bound) == 10
    for grant in bound:
        assert "'projects/example-shared/instances/shared'" in grant.condition
    for resource in shared.all("google_project_iam_member"):
        if resource.name == "database":
            assert resource.values["project"] == "example-shared"


def test_nobody_is_woken_by_the_load_of_others(shared: Deployment) -> None:
    titles = {
        one.values["display_name"].removeprefix("slipway: ") for one in shared.all("google_monitoring_alert_policy")
    }
    assert not titles & _OF_THE_INSTANCE
    documented = (ROOT / "docs" / "operations.md").read_text().split("\n## Alerts\n")[1].split("\n## ")[0]
    assert len(titles) == documented.count("\n### ") - len(_OF_THE_INSTANCE)


def test_a_second_plan_is_empty_and_destroying_leaves_what_is_theirs(applied: Terraform, shared: Deployment) -> None:
    assert shared.outputs["connections"]["budget"] == 32
    assert applied.run("plan", "-detailed-exitcode", *_variables(), allowed=(0, 2)).returncode == 0
    applied.run("destroy", *_UNATTENDED, *_variables())
    assert not applied.run("state", "list").stdout
    assert applied.project.instances == {"shared": {"cloudsql.iam_authentication": "on"}}
    assert len(list(applied.project.there("google_sql_database"))) == 1


@pytest.mark.parametrize(
    ("changed", "more", "expected"),
    [
        ({"connections": 31}, (), "may open 32 connections"),
        ({"database": "postgres"}, (), "none of the server's own"),
        ({"connection_name": "shared"}, (), "PROJECT:REGION:INSTANCE"),
        ({}, ("-var=network=null",), "reached through the network that it is in"),
        ({}, ("-var=database_instance=other",), "give one of them"),
    ],
)
def test_what_does_not_fit_is_refused(
    changed: dict[str, Any], more: tuple[str, ...], expected: str, terraform: Terraform
) -> None:
    assert expected in terraform.refusal(*_variables({**_SHARED, **changed}), *more)
