"""What the preflight says and does: for an owner, a narrow deployer, a new project, in an organisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from deploy.preflight.choice import Choice
from deploy.preflight.needs import AGENTS
from tests.preflight.conftest import Run
from tests.preflight.google import FakeGoogle
from tests.preflight.project import NUMBER, PROJECT, REGION, TINY, GoogleProject, new_project, permissions_of

Serve = Callable[[GoogleProject], FakeGoogle]
_ONLY_MEMBERS: Final = {"iam.allowedPolicyMemberDomains": [{"values": {"allowedValues": ["is:C03xgje4y"]}}]}
_EXISTING: Final = (
    "--existing-database=example-shared:europe-west1:shared",
    "--subnetwork=projects/example-network/regions/europe-west1/subnetworks/functions",
)
_SHARED: Final[dict[str, Any]] = {
    "databaseVersion": "POSTGRES_17",
    "region": REGION,
    "settings": {
        "databaseFlags": [{"name": "cloudsql.iam_authentication", "value": "on"}],
        "ipConfiguration": {"privateNetwork": "projects/example-network/global/networks/shared"},
    },
}


def test_an_owner_with_a_prepared_project_is_ready_and_nothing_changes(run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    said = run(fake)
    assert said.code == 0
    assert said.out.endswith("ready: terraform apply\n")
    assert {line.split()[1] for line in said.out.splitlines()[:-1]} == {"ok"}
    assert fake.project.changes == []


def test_a_new_project_gets_what_it_lacks_and_the_second_run_finds_nothing(run: Run, serve: Serve) -> None:
    fake = serve(new_project())
    first = run(fake, "--json")
    assert first.code == 0
    assert first.states()["apis"] == {"made"}
    assert fake.project.agents == {*AGENTS, "storage"}
    assert "enabled run.googleapis.com" in fake.project.changes
    fake.project.changes.clear()
    assert run(fake, "--json").states()["apis"] == {"ok"}
    assert fake.project.changes == []


def test_a_check_changes_nothing_and_says_what_is_off(run: Run, serve: Serve) -> None:
    fake = serve(new_project())
    said = run(fake, "--check", "--json")
    assert said.code == 1
    assert fake.project.changes == []
    assert not [call for call in fake.calls if "batchEnable" in call or "generateServiceIdentity" in call]
    (own, applied) = said.of("apis", "WRONG")
    assert "cloudquotas.googleapis.com" in own["ask"][1]
    assert "$ gcloud services enable --project=example-registry artifactregistry.googleapis.com" in applied["ask"][1]
    assert said.states()["quota"] == {"?"}
    assert said.states()["agents"] == {"-"}


def test_a_narrow_deployer_is_ready_with_the_documented_roles_alone(run: Run, serve: Serve) -> None:
    assert run(serve(GoogleProject(caller="slipway@example.iam.gserviceaccount.com"))).code == 0


def test_a_narrow_deployer_is_told_which_roles_to_ask_for(run: Run, serve: Serve) -> None:
    granted = permissions_of(TINY, without=("pubsub.admin", "iam.roleAdmin"))
    account = "deployer@example.iam.gserviceaccount.com"
    said = run(serve(GoogleProject(caller=account, permissions=granted)), "--json")
    assert said.code == 1
    (rights,) = said.of("rights", "WRONG")
    assert "lacks 2 of 17 roles" in rights["text"]
    assert "roles/resourcemanager.projectIamAdmin" in rights["ask"][0]
    expected = f"for role in iam.roleAdmin pubsub.admin; do gcloud projects add-iam-policy-binding {PROJECT}"
    assert expected in rights["ask"][1]
    assert f"--member=serviceAccount:{account} " in rights["ask"][1]
    assert {state for subject, states in said.states().items() for state in states if subject != "rights"} == {"ok"}


def test_who_may_hardly_anything_is_told_so_in_a_few_lines(run: Run, serve: Serve) -> None:
    project = new_project()
    project.permissions = {"resourcemanager.projects.get"}
    said = run(serve(project), "--json")
    assert said.code == 1
    assert [one["subject"] for one in said.findings()] == ["project", "rights", "apis", "rest"]
    assert "roles/serviceusage.serviceUsageAdmin" in said.of("apis", "WRONG")[0]["ask"][0]
    assert project.changes == []


def test_domain_restricted_sharing_is_in_nobodys_way_with_the_front(run: Run, serve: Serve) -> None:
    said = run(serve(GoogleProject(policies=_ONLY_MEMBERS)), "--json")
    assert said.code == 0
    (policy, _) = said.of("policies", "ok")
    assert policy["text"].startswith("iam.allowedPolicyMemberDomains allows C03xgje4y: nothing is open to everybody")


def test_domain_restricted_sharing_refuses_a_function_that_is_open_to_all(run: Run, serve: Serve) -> None:
    said = run(serve(GoogleProject(policies=_ONLY_MEMBERS)), "--no-http2", "--json")
    assert said.code == 1
    (policy,) = said.of("policies", "WRONG")
    assert "needs allUsers" in policy["text"]
    assert "roles/orgpolicy.policyAdmin" in policy["ask"][0]
    assert "describe iam.allowedPolicyMemberDomains --project=example-registry --effective" in policy["ask"][1]


@pytest.mark.parametrize(
    ("constraint", "rule", "flags", "state"),
    [
        ("run.managed.requireInvokerIam", {"enforce": True}, (), "WRONG"),
        ("run.managed.requireInvokerIam", {"enforce": True}, ("--no-http2",), "ok"),
        ("run.allowedIngress", {"values": {"allowedValues": ["internal", "is:all"]}}, (), "ok"),
        ("run.allowedIngress", {"values": {"allowedValues": ["internal"]}}, (), "WRONG"),
        ("run.allowedIngress", {"values": {"allowedValues": ["internal", "all"]}}, ("--domain",), "WRONG"),
        ("run.allowedVPCEgress", {"values": {"allowedValues": ["all-traffic"]}}, (), "WRONG"),
        ("run.allowedVPCEgress", {"values": {"allowedValues": ["private-ranges-only"]}}, (), "ok"),
        ("run.allowedVPCEgress", {"values": {"allowedValues": ["all-traffic"]}}, ("--public-database",), "WRONG"),
        ("cloudfunctions.allowedIngressSettings", {"denyAll": True}, (), "WRONG"),
        ("cloudfunctions.requireVPCConnector", {"enforce": "TRUE"}, (), "WRONG"),
        ("sql.restrictPublicIp", {"enforce": True}, (), "ok"),
        ("sql.restrictPublicIp", {"enforce": True}, ("--public-database",), "WRONG"),
        ("iam.disableServiceAccountCreation", {"enforce": True}, (), "WRONG"),
        ("iam.automaticIamGrantsForDefaultServiceAccounts", {"enforce": True}, (), "ok"),
        ("iam.workloadIdentityPoolProviders", {"denyAll": True}, (), "ok"),
        ("iam.workloadIdentityPoolProviders", {"denyAll": True}, ("--pipeline=github",), "WRONG"),
        ("storage.publicAccessPrevention", {"enforce": True}, (), "ok"),
        ("storage.softDeletePolicySeconds", {"values": {"allowedValues": ["604800"]}}, (), "WRONG"),
        ("gcp.restrictNonCmekServices", {"values": {"deniedValues": ["is:storage.googleapis.com"]}}, (), "WRONG"),
        ("gcp.restrictNonCmekServices", {"values": {"deniedValues": ["bigquery.googleapis.com"]}}, (), "ok"),
        ("gcp.restrictServiceUsage", {"values": {"deniedValues": ["run.googleapis.com"]}}, (), "WRONG"),
        ("gcp.resourceLocations", {"values": {"allowedValues": ["in:eu-locations", "global"]}}, (), "ok"),
        ("gcp.resourceLocations", {"values": {"allowedValues": ["in:eu-locations"]}}, (), "WRONG"),
        ("gcp.resourceLocations", {"values": {"allowedValues": ["in:us-locations", "global"]}}, (), "?"),
        ("gcp.resourceLocations", {"values": {"allowedValues": ["us-east1", "global"]}}, (), "WRONG"),
        ("gcp.resourceLocations", {"values": {"deniedValues": ["europe-west1"]}}, (), "WRONG"),
        ("compute.restrictVpcPeering", {"denyAll": True}, (), "?"),
        ("compute.restrictVpcPeering", {"denyAll": True}, ("--public-database",), "ok"),
        ("compute.restrictSharedVpcSubnetworks", {"denyAll": True}, (), "ok"),
        ("compute.restrictSharedVpcSubnetworks", {"denyAll": True}, _EXISTING, "WRONG"),
        ("compute.restrictLoadBalancerCreationForTypes", {"denyAll": True}, (), "ok"),
        ("compute.restrictLoadBalancerCreationForTypes", {"denyAll": True}, ("--domain",), "WRONG"),
    ],
)
def test_a_policy_is_held_against_what_is_deployed(
    constraint: str, rule: dict[str, Any], flags: tuple[str, ...], state: str, run: Run, serve: Serve
) -> None:
    said = run(serve(GoogleProject(policies={constraint: [rule]})), *flags, "--json")
    (found,) = (one for one in said.findings() if one["text"].startswith(f"{constraint} "))
    assert found["state"] == state
    assert bool(found["ask"]) == (state != "ok")


def test_a_rule_for_what_bears_a_tag_is_not_this_projects(run: Run, serve: Serve) -> None:
    rules: list[dict[str, Any]] = [
        {"denyAll": True, "condition": {"expression": "resource.matchTag('x', 'y')"}},
        {"allowAll": True},
    ]
    assert run(serve(GoogleProject(policies={"run.allowedIngress": rules}))).code == 0


def test_a_quota_that_is_too_small_says_how_to_ask_for_more(run: Run, serve: Serve) -> None:
    said = run(serve(GoogleProject()), "--size=large", "--json")
    assert said.code == 1
    cpu, memory = said.of("quota", "WRONG")
    assert cpu["text"] == "20 vCPU of Cloud Run in europe-west1; large takes 60, at 40 instances"
    assert cpu["ask"][1].endswith("--dimensions=region=europe-west1 --preferred-value=80000")
    assert memory["text"] == "40 GiB of Cloud Run in europe-west1; large takes 50, at 40 instances"
    assert memory["ask"][1].endswith(f"--preferred-value={64 * 2**30}")


def test_what_was_granted_is_to_be_written_down(run: Run, serve: Serve) -> None:
    granted = {"CpuAllocPerProjectRegion": 80_000, "MemAllocPerProjectRegion": 64 * 2**30}
    said = run(serve(GoogleProject(quotas=granted)), "--size=large")
    assert said.code == 0
    assert "quota = { vcpus = 80, memory_gib = 64 }" in said.out


def test_a_project_with_all_its_networks_has_no_room_for_one_more(run: Run, serve: Serve) -> None:
    full = {"NETWORKS": (5, 5), "SUBNETWORKS": (5, 100)}
    said = run(serve(GoogleProject(compute=full)), "--json")
    assert [one["text"] for one in said.of("quota", "WRONG")] == [
        "NETWORKS: 5 of 5 are used, and one more is made, or was before"
    ]


def test_without_a_billing_account_the_paid_apis_are_left_alone(run: Run, serve: Serve) -> None:
    project = new_project()
    project.is_billed = False
    said = run(serve(project), "--json")
    assert said.code == 1
    assert (
        f"$ gcloud billing projects link {PROJECT} --billing-account=ACCOUNT" in said.of("billing", "WRONG")[0]["ask"]
    )
    assert "once it is billed" in said.of("apis", "WRONG")[0]["ask"][0]
    assert "compute.googleapis.com" not in project.enabled
    assert project.agents == set()


def test_a_project_that_is_not_there_is_the_only_line(run: Run, serve: Serve) -> None:
    said = run(serve(GoogleProject()), "--project=another-registry")
    assert said.code == 1
    assert "there is no project another-registry, or anna@example.com may not see it" in said.out
    assert "$ gcloud projects list" in said.out
    assert len([line for line in said.out.splitlines() if not line.startswith(" ")]) == 2


def test_a_project_that_is_being_deleted_is_refused(run: Run, serve: Serve) -> None:
    said = run(serve(GoogleProject(state="DELETE_REQUESTED")))
    assert said.code == 1
    assert "in state DELETE_REQUESTED" in said.out


def test_an_existing_database_and_a_foreign_network_are_looked_at(run: Run, serve: Serve) -> None:
    choice = Choice(
        PROJECT,
        REGION,
        "tiny",
        existing_database=("example-shared", REGION, "shared"),
        subnetwork=("example-network", REGION, "functions"),
    )
    elsewhere = {
        "functions": {"compute.subnetworks.get", "compute.subnetworks.use"},
        "example-shared": {"cloudsql.databases.create", "cloudsql.databases.get", "cloudsql.users.create"}
        | {"cloudsql.users.list", "cloudsql.users.update"}
        | {"resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy"},
    }
    project = GoogleProject(databases={"shared": _SHARED}, elsewhere=elsewhere)
    project.permissions = permissions_of(choice) | {"cloudsql.instances.get"}
    said = run(serve(project), *_EXISTING, "--json")
    assert said.code == 3, "whether the network is shared with the project's instances nobody can see from here"
    assert said.states()["database"] == {"ok"}
    assert said.states()["rights"] == {"ok"}
    (network,) = said.of("network", "?")
    assert f"service-{NUMBER}@serverless-robot-prod.iam.gserviceaccount.com" in network["ask"][1]


def test_an_existing_database_that_lacks_something_is_told_what(run: Run, serve: Serve) -> None:
    flags = [{"name": "log_line_prefix", "value": "%m; $(reboot)"}]
    old = _SHARED | {"databaseVersion": "POSTGRES_14", "region": "us-east1", "settings": {"databaseFlags": flags}}
    said = run(serve(GoogleProject(databases={"shared": old})), *_EXISTING, "--json")
    texts = [one["text"] for one in said.of("database", "WRONG")]
    assert [text.split(":")[0] for text in texts] == [
        "shared has POSTGRES_14",
        "shared has no login by IAM",
        "shared has no private address",
        "shared is in us-east1",
    ]
    command = said.of("database", "WRONG")[1]["ask"][1]
    assert command.endswith("--database-flags='log_line_prefix=%m; $(reboot),cloudsql.iam_authentication=on'")


def test_a_key_and_a_budget_are_somebody_elses_to_open(run: Run, serve: Serve) -> None:
    key = "projects/example-keys/locations/europe-west1/keyRings/registry/cryptoKeys/registry"
    said = run(serve(GoogleProject()), f"--kms-key={key}", "--budget=012345-6789AB-CDEF01", "--json")
    roles = [one["ask"][0] for one in said.of("rights", "WRONG")]
    assert roles == [
        "ask its owner for roles/cloudkms.admin on it",
        "ask its owner for roles/billing.costsManager on it",
    ]


@pytest.mark.parametrize(
    "flags",
    [
        ("--size=huge",),
        ("--project=No",),
        ("--region=mars",),
        ("--existing-database=shared",),
        ("--kms-key=mine",),
        ("--budget=; rm -rf /",),
    ],
)
def test_what_terraform_would_refuse_is_refused(flags: tuple[str, ...], run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    with pytest.raises(SystemExit) as ended:
        run(fake, *flags)
    assert ended.value.code == 2
    assert fake.calls == []
