"""What the preflight asks a project for, held against what an apply makes: neither may know more than the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import pytest

from deploy.preflight import __main__ as program
from deploy.preflight.choice import CLOUD_BUILD, GITHUB, Choice
from deploy.preflight.constraints import CONSTRAINTS, function_ingress, service_ingress
from deploy.preflight.findings import State
from deploy.preflight.needs import (
    AGENTS,
    ASKED,
    NEW_PROJECT_GIB,
    NEW_PROJECT_VCPUS,
    apis,
    compute_quotas,
    footprint,
)
from deploy.preflight.policy import Policy
from deploy.preflight.rights import RIGHTS, by_role
from tests.terraform.conftest import VARIANTS
from tests.terraform.core import ROOT
from tests.terraform.deployment import PROGRAMS, Deployment
from tests.terraform.simulated.project import Project
from tests.terraform.test_documentation import commands

_DEPLOY: Final = (ROOT / "docs" / "deploy.md").read_text()
_TYPES: Final = re.compile(r'^resource "(google_\w+)"', re.MULTILINE)
_TINY: Final = Choice("example-registry", "europe-west1", "tiny")
_KEY: Final = "projects/example-keys/locations/europe-west1/keyRings/registry/cryptoKeys/registry"
# What each of the deployments that are tried would be called by the preflight's flags.
_CHOICES: Final = {
    "tiny": _TINY,
    "team": Choice(_TINY.project, _TINY.region, "team", budget="012345-6789AB-CDEF01"),
    "large": Choice(
        _TINY.project,
        _TINY.region,
        "large",
        has_domain=True,
        kms_key=_KEY,
        subnetwork=("example-network", _TINY.region, "functions"),
        budget="012345-6789AB-CDEF01",
    ),
    "production": Choice(_TINY.project, _TINY.region, "team", pipelines=frozenset({GITHUB, CLOUD_BUILD})),
    "function": Choice(_TINY.project, _TINY.region, "tiny", http2=False),
    "function with domain": Choice(_TINY.project, _TINY.region, "tiny", http2=False, has_domain=True),
    "open": Choice(_TINY.project, _TINY.region, "tiny", private_database=False),
}
# Granted on what isn't the project's: rights.py has them by themselves.
_ELSEWHERE: Final = {"google_billing_budget", "google_kms_crypto_key_iam_member"}
_INGRESS: Final = {
    "INGRESS_TRAFFIC_ALL": "all",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "internal-and-cloud-load-balancing",
    "ALLOW_ALL": "all",
    "ALLOW_INTERNAL_ONLY": "internal",
    "ALLOW_INTERNAL_AND_GCLB": "internal-and-cloud-load-balancing",
}
# Of each metric of Compute Engine the type that counts.
_COUNTED: Final = {
    "BACKEND_SERVICES": "google_compute_backend_service",
    "NETWORKS": "google_compute_network",
    "SECURITY_POLICIES": "google_compute_security_policy",
    "SSL_CERTIFICATES": "google_compute_managed_ssl_certificate",
    "SUBNETWORKS": "google_compute_subnetwork",
    "TARGET_HTTPS_PROXIES": "google_compute_target_https_proxy",
    "URL_MAPS": "google_compute_url_map",
}
# What stands for each constraint in the simulated project: a policy that refuses all that it can.
_REFUSING: Final = {
    "iam.allowedPolicyMemberDomains": Policy(allows_all=False),
    "run.managed.requireInvokerIam": Policy(is_enforced=True),
    "sql.restrictPublicIp": Policy(is_enforced=True),
    "gcp.restrictNonCmekServices": Policy(allows_all=False),
}


@pytest.fixture(params=[pytest.param(name, marks=() if name == "tiny" else pytest.mark.terraform) for name in VARIANTS])
def choice(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chosen(choice: str, deployments: Mapping[str, Deployment]) -> tuple[Choice, Deployment]:
    return _CHOICES[choice], deployments[choice]


def test_the_apis_are_those_that_terraform_enables(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    assert set(apis(choice)) == {one.values["service"] for one in deployment.all("google_project_service")}


def test_the_agents_are_those_that_something_is_granted_to(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    pattern = re.compile(r"serviceAccount:service-\d+@([\w-]+)\.iam\.gserviceaccount\.com")
    granted = {found[1] for grant in deployment.grants() if (found := pattern.fullmatch(grant.member))}
    # With a key all of them are; storage's, whose name is asked for, is another's matter here.
    assert granted <= set(AGENTS.values())
    assert choice.kms_key is None or granted == set(AGENTS.values())


def test_the_quota_is_what_all_instances_take(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    needed = footprint(choice)
    if choice.http2:
        service = deployment.one("google_cloud_run_v2_service")
        limits = [one["resources"][0]["limits"] for one in service.block("template")["containers"]]
        most = service.block("scaling")["max_instance_count"]
    else:
        function = deployment.function("api")
        limits = [{"cpu": function["available_cpu"], "memory": function["available_memory"]}]
        most = function["max_instance_count"]
    assert needed.instances == most
    assert needed.vcpus == most * sum(float(one["cpu"]) for one in limits)
    assert needed.gib == most * sum(int(one["memory"].removesuffix("Mi")) for one in limits) / 1024


def test_what_compute_engine_counts_is_what_is_made(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    made = {metric: len(list(deployment.all(kind))) for metric, kind in _COUNTED.items()}
    assert compute_quotas(choice) == {metric: count for metric, count in made.items() if count}


def test_the_rights_are_for_what_is_made(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    made = {one.type for one in deployment.resources} - _ELSEWHERE
    covered = {kind for right in RIGHTS if right.when(choice) for kind in right.makes}
    assert made <= covered


def test_the_rights_know_every_type_of_the_module() -> None:
    types = {kind for path in (ROOT / "terraform").glob("*.tf") for kind in _TYPES.findall(path.read_text())}
    assert {kind for right in RIGHTS for kind in right.makes} == types - _ELSEWHERE


@pytest.mark.terraform
def test_the_roles_are_those_of_the_pipelines_account(deployments: Mapping[str, Deployment]) -> None:
    account = f"serviceAccount:{deployments['production'].outputs['deployer']}"
    granted = {grant.role for grant in deployments["production"].grants() if grant.member == account and not grant.on}
    # It writes its own build's log, which is no part of an apply.
    assert set(by_role(_CHOICES["production"])) == granted - {"logging.logWriter"}


def test_the_constraints_know_who_may_reach_what(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    functions = {deployment.function(name)["ingress_settings"] for name in PROGRAMS}
    services = [one.values["ingress"] for one in deployment.all("google_cloud_run_v2_service")]
    assert function_ingress(choice) == functions
    assert {_INGRESS[one] for one in (*functions, *services)} == service_ingress(choice)


def test_the_constraints_know_what_leaves_by_a_network(chosen: tuple[Choice, Deployment]) -> None:
    choice, deployment = chosen
    functions = [deployment.function(name) for name in PROGRAMS]
    assert {bool(one["direct_vpc_network_interface"]) for one in functions} == {choice.private_database}
    if choice.private_database:
        assert {one["direct_vpc_egress"] for one in functions} == {"VPC_EGRESS_PRIVATE_RANGES_ONLY"}
    policy = Policy(allows_all=False, allowed=frozenset({"private-ranges-only"}))
    assert (_judged("run.allowedVPCEgress", choice, policy) is State.OK) == choice.private_database


def test_the_constraints_know_the_buckets_and_the_clock(chosen: tuple[Choice, Deployment]) -> None:
    _, deployment = chosen
    for bucket in deployment.all("google_storage_bucket"):
        assert bucket.values["uniform_bucket_level_access"] is True
        assert bucket.values["public_access_prevention"] == "enforced"
        assert not bucket.values["retention_policy"]
    source = next(one for one in deployment.all("google_storage_bucket") if one.values["name"].endswith("-source"))
    assert source.block("soft_delete_policy")["retention_duration_seconds"] == 0
    assert deployment.one("google_cloud_scheduler_job", "trigger", "gc").block("pubsub_target")


@pytest.mark.parametrize("constraint", _REFUSING)
def test_a_constraint_means_what_the_simulated_project_makes_of_it(
    constraint: str, chosen: tuple[Choice, Deployment]
) -> None:
    choice, deployment = chosen
    project = Project(rules=("constraints",), constraints=(constraint,))
    refused = [one.address for one in deployment.resources if project.apply(one.type, one.values, None)]
    assert (_judged(constraint, choice, _REFUSING[constraint]) is State.WRONG) == bool(refused), refused


def _judged(name: str, choice: Choice, policy: Policy) -> State:
    (constraint,) = (one for one in CONSTRAINTS if one.name == name)
    return constraint.judge(choice, policy)[0]


def test_a_new_projects_quota_is_terraforms_default() -> None:
    text = (ROOT / "terraform" / "variables.tf").read_text()
    defaults = re.findall(r"(?:vcpus|memory_gib) += optional\(number, (\d+)\)", text)
    assert [float(one) for one in defaults] == [NEW_PROJECT_VCPUS, NEW_PROJECT_GIB]


def test_the_page_has_every_constraint_role_and_figure() -> None:
    table = _DEPLOY.split("## Organisation policies")[1].split("\n## ")[0]
    assert set(re.findall(r"`((?:\w+\.)+\w+)`(?=[^|]*\|)", "\n".join(_first_cells(table)))) == {
        constraint.name for constraint in CONSTRAINTS
    }
    vcpus, gib = footprint(_CHOICES["large"]).to_ask_for()
    assert f"{vcpus} vCPU and {gib} GiB for `large`" in _DEPLOY


def _first_cells(table: str) -> list[str]:
    return [line.split("|")[1] + "|" for line in table.splitlines() if line.startswith("| `")]


def test_the_pages_commands_are_the_preflights() -> None:
    for page in ("docs/deploy.md", "terraform/README.md"):
        found = commands((ROOT / page).read_text(), "python3 -m deploy.preflight")
        assert found, page
        for _, _, _, *arguments in found:
            filled = [
                word.replace("PROJECT", "example-registry").replace("REGION", "europe-west1") for word in arguments
            ]
            program.parser().parse_args(filled)


def test_what_is_asked_is_no_part_of_what_is_deployed() -> None:
    every: set[Any] = {name for choice in _CHOICES.values() for name in apis(choice)}
    assert not {f"{name}.googleapis.com" for name in ASKED} & every
