"""What docs/ tells people to prepare and to run, held against what is deployed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.terraform.conftest import EXAMPLES
from tests.terraform.core import ROOT
from tests.terraform.deployment import Deployment
from tests.terraform.simulated.project import Project

_DEPLOY: Final = (ROOT / "docs" / "deploy.md").read_text()
_OPERATIONS: Final = (ROOT / "docs" / "operations.md").read_text()
_POST_WITHOUT_BODY: Final = re.compile(
    r"curl(?:(?!--json|--data|-d |\n).)*-X POST(?:(?!--json|--data|-d ).)*$", re.MULTILINE
)
# What a policy of the organisation refuses of the smallest example as it is, by docs/deploy.md.
_REFUSED: Final = {
    "iam.allowedPolicyMemberDomains": set[str](),
    "run.managed.requireInvokerIam": {"google_cloud_run_v2_service"},
    "sql.restrictPublicIp": set[str](),
}


def _texts() -> Iterator[tuple[Path, str]]:
    for pattern in ("docs/**/*.md", "terraform/*.tf", "terraform/*.md", "deploy/*", "README.md"):
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                yield path, path.read_text()


def commands(page: str, program: str) -> list[list[str]]:
    """Those of the blocks, whole, as a shell would take them apart."""
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in blocks.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(program)]


def test_no_request_that_changes_something_is_without_a_body() -> None:
    """Google's front answers one over HTTP/1.1 with 411."""
    assert _POST_WITHOUT_BODY.search('curl --fail -X POST -H "A: b" https://x')
    assert [path.name for path, text in _texts() if _POST_WITHOUT_BODY.search(text)] == []


def test_a_network_of_another_project_is_prepared() -> None:
    """An example has one, so the page says what it takes."""
    foreign = [path for path in EXAMPLES.values() if "example-network" in (ROOT / "terraform" / path).read_text()]
    section = _DEPLOY.split("## A network of another project")[1].split("\n## ")[0]
    assert foreign
    for needed in ("serverless-robot-prod", "roles/compute.networkUser", "vpc-peerings list"):
        assert needed in section


@pytest.mark.parametrize("constraint", _REFUSED)
def test_what_an_organisations_policy_refuses_is_told(constraint: str, deployments: Mapping[str, Deployment]) -> None:
    assert f"`{constraint}`" in _DEPLOY.split("## Organisation policies")[1].split("\n## ")[0]
    assert _refused(deployments["tiny"], constraint) == _REFUSED[constraint]


@pytest.mark.terraform
def test_without_the_front_everybody_has_to_be_let_in(deployments: Mapping[str, Deployment]) -> None:
    refused = _refused(deployments["function"], "iam.allowedPolicyMemberDomains")
    assert refused == {"google_cloud_run_v2_service_iam_member"}
    assert _refused(deployments["open"], "sql.restrictPublicIp") == {"google_sql_database_instance"}


@pytest.mark.terraform
def test_with_a_key_nothing_is_without_it(deployments: Mapping[str, Deployment]) -> None:
    assert _refused(deployments["tiny"], "gcp.restrictNonCmekServices")
    assert _refused(deployments["large"], "gcp.restrictNonCmekServices") == set()


def _refused(deployment: Deployment, constraint: str) -> set[str]:
    project = Project(rules=("constraints",), constraints=(constraint,))
    return {one.type for one in deployment.resources if project.apply(one.type, one.values, None)}


def test_alerts_send_nobody_to_the_database() -> None:
    """It has no address that one could reach from a desk: its section says how, and the rest asks the registry."""
    sections = _OPERATIONS.split("\n## ")
    assert [section.splitlines()[0] for section in sections if "`slipway operator`" in section] == [
        "Asking the registry"
    ]
    assert [section.splitlines()[0] for section in sections if "$ SLIPWAY_DATABASE=" in section] == [
        "Reaching the database"
    ]
