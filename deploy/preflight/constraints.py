"""The constraints of organisations that meet what terraform/ does, and what each of them means for it.

docs/deploy.md has the same in a table; tests/terraform/test_preflight.py compares both with what an apply makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from deploy.preflight.choice import GITHUB, Choice
from deploy.preflight.findings import State
from deploy.preflight.needs import apis
from deploy.preflight.policy import Policy

_EXCEPTION: Final = "ask for an exception for this project"
# In Europe's group, and not in the European Union's.
_EUROPE_OUTSIDE_THE_UNION: Final = ("europe-west2", "europe-west6")
_GITHUBS_ISSUER: Final = "https://token.actions.githubusercontent.com"
_BALANCER: Final = ("GLOBAL_EXTERNAL_MANAGED_HTTP_HTTPS", "in:EXTERNAL")
# What is stored or encrypted in terraform/, with or without a key.
_KEEPING: Final = (
    "artifactregistry.googleapis.com",
    "cloudfunctions.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "sqladmin.googleapis.com",
    "storage.googleapis.com",
)

Verdict = tuple[State, str]
Judge = Callable[[Choice, Policy], Verdict]


@dataclass(frozen=True, slots=True)
class Constraint:
    """`judge` says whether a policy that restricts something is in the way of a choice, and what to do."""

    name: str
    judge: Judge


def _fine(text: str) -> Judge:
    return lambda _, __: (State.OK, text)


def _switch(text: str, when: Callable[[Choice], bool], otherwise: str) -> Judge:
    return lambda choice, _: (State.WRONG, text) if when(choice) else (State.OK, otherwise)


def _list(needed: Callable[[Choice], Iterable[str]], remedy: str = _EXCEPTION) -> Judge:
    def judge(choice: Choice, policy: Policy) -> Verdict:
        refused = policy.refused(needed(choice))
        if refused:
            return (
                State.WRONG,
                f"does not allow {', '.join(refused)}: {remedy}, or for {', '.join(refused)} to be allowed",
            )
        return State.OK, "allows what is needed"

    return judge


def _members(choice: Choice, _: Policy) -> Verdict:
    if choice.http2:
        return State.OK, "nothing is open to everybody here; `deployers` of other organisations are refused"
    return State.WRONG, f"`http2 = false` needs allUsers: {_EXCEPTION}, or leave `http2` as it is"


def service_ingress(choice: Choice) -> set[str]:
    """Judges the ingress of Cloud Run's services, those beneath functions included: migrate is called from where one
    deploys.
    """
    return {"all", "internal"} | ({"internal-and-cloud-load-balancing"} if choice.has_domain else set())


def function_ingress(choice: Choice) -> set[str]:
    balanced = choice.has_domain and not choice.http2
    return {"ALLOW_ALL", "ALLOW_INTERNAL_ONLY"} | ({"ALLOW_INTERNAL_AND_GCLB"} if balanced else set())


def _egress(choice: Choice, policy: Policy) -> Verdict:
    if not choice.private_database:
        return State.WRONG, f"with `private_database = false` nothing leaves through a network: {_EXCEPTION}"
    return _list(lambda _: ["private-ranges-only"])(choice, policy)


def _keys(choice: Choice, policy: Policy) -> Verdict:
    without = policy.refused(_KEEPING)
    if without and choice.kms_key is None:
        return State.WRONG, f"{', '.join(without)} need a key of your own: set `kms_key`"
    return State.OK, "with `kms_key` all that takes a key has it"


def _key_project(choice: Choice, policy: Policy) -> Verdict:
    if choice.kms_key is None:
        return State.OK, "no key is used"
    project = choice.kms_key.split("/")[1]
    return _under(policy, [f"projects/{project}", f"under:projects/{project}"], f"keys of {project}")


def _shared_subnetwork(choice: Choice, policy: Policy) -> Verdict:
    if choice.foreign_network is None:
        return State.OK, "no network of another project is used"
    project, region, name = choice.foreign_network
    subnetwork = f"projects/{project}/regions/{region}/subnetworks/{name}"
    return _under(policy, [subnetwork, f"under:projects/{project}"], f"the subnetwork {name} of {project}")


def _under(policy: Policy, names: list[str], what: str) -> Verdict:
    if policy.allowed.intersection(names):
        return State.OK, f"allows {what}"
    if any(value.startswith("under:") for value in policy.allowed):
        return State.UNKNOWN, f"whether {what} lie under what it allows can't be seen from here: look"
    return State.WRONG, f"does not allow {what}: {_EXCEPTION}"


def _peering(choice: Choice, _: Policy) -> Verdict:
    if not choice.makes_network:
        return State.OK, "no peering is made here"
    return State.UNKNOWN, (
        "a peering with servicenetworking.googleapis.com is made, whose other side is Google's: ask whether it is "
        "allowed, or give a `network` that has it"
    )


def _locations(choice: Choice, policy: Policy) -> Verdict:
    region = choice.region
    groups = {f"in:{region}-locations", f"in:{region.split('-')[0]}-locations"}
    if region.startswith("europe-") and region not in _EUROPE_OUTSIDE_THE_UNION:
        groups.add("in:eu-locations")
    if not policy.allows_all and not policy.allowed.intersection(groups | {region}):
        groups_of_others = [value for value in policy.allowed if value.startswith("in:")]
        text = f"the region {region} has to be allowed"
        if not groups_of_others:
            return State.WRONG, f"{text}: choose another `region`, or {_EXCEPTION}"
        return State.UNKNOWN, f"{text}; whether {', '.join(sorted(groups_of_others))} has it can't be seen from here"
    if policy.denied.intersection(groups | {region}):
        return State.WRONG, f"denies the region {region}: choose another `region`, or {_EXCEPTION}"
    is_global = policy.allows_all or policy.allowed.intersection(("global", "in:global-locations"))
    if not is_global and choice.kms_key is None:
        return State.WRONG, "secrets are replicated automatically, which is `global`: ask for it, or set `kms_key`"
    return State.OK, f"allows {region}"


def _balancers(choice: Choice, policy: Policy) -> Verdict:
    if not choice.has_domain:
        return State.OK, "no load balancer is made without `domain`"
    if policy.denied.intersection(_BALANCER) or not (policy.allows_all or policy.allowed.intersection(_BALANCER)):
        return State.WRONG, f"`domain` makes a {_BALANCER[0]}: {_EXCEPTION}"
    return State.OK, "allows the load balancer"


_ACCOUNTS: Final = _switch(f"an account is made for each program: {_EXCEPTION}", lambda _: True, "")

CONSTRAINTS: Final = (
    Constraint("iam.allowedPolicyMemberDomains", _members),
    Constraint("iam.managed.allowedPolicyMembers", _members),
    Constraint("iam.disableServiceAccountCreation", _ACCOUNTS),
    Constraint("iam.managed.disableServiceAccountCreation", _ACCOUNTS),
    Constraint("iam.automaticIamGrantsForDefaultServiceAccounts", _fine("default accounts do nothing here")),
    Constraint(
        "iam.workloadIdentityPoolProviders",
        _list(lambda choice: [_GITHUBS_ISSUER] if GITHUB in choice.pipelines else []),
    ),
    Constraint(
        "run.managed.requireInvokerIam",
        _switch(
            f"docker has no identity of Google's, so the registry's service asks for none: {_EXCEPTION}",
            lambda choice: choice.http2,
            "with `http2 = false` a role is given to allUsers instead",
        ),
    ),
    Constraint("run.allowedIngress", _list(service_ingress)),
    Constraint("run.allowedVPCEgress", _egress),
    Constraint(
        "run.allowedBinaryAuthorizationPolicies",
        _switch(f"the registry's service names no policy of Binary Authorization: {_EXCEPTION}", lambda _: True, ""),
    ),
    Constraint("cloudfunctions.allowedIngressSettings", _list(function_ingress)),
    Constraint("cloudfunctions.restrictAllowedGenerations", _list(lambda _: ["2ndGen"])),
    Constraint(
        "cloudfunctions.requireVPCConnector",
        _switch(f"functions reach the network directly, without a connector: {_EXCEPTION}", lambda _: True, ""),
    ),
    Constraint(
        "cloudbuild.allowedWorkerPools",
        _switch(f"functions are built in Cloud Build's default pool: {_EXCEPTION}", lambda _: True, ""),
    ),
    Constraint("cloudscheduler.allowedTargetTypes", _list(lambda _: ["PUBSUB"])),
    Constraint(
        "sql.restrictPublicIp",
        _switch(
            f"`private_database = false` gives the database a public address: leave it, or {_EXCEPTION}",
            lambda choice: not choice.private_database and choice.existing_database is None,
            "the database has a private address",
        ),
    ),
    Constraint("storage.uniformBucketLevelAccess", _fine("buckets have it")),
    Constraint("storage.publicAccessPrevention", _fine("buckets have it")),
    Constraint(
        "storage.softDeletePolicySeconds",
        _list(lambda _: ["0"], "set `blob_soft_delete_days`; the source's bucket needs an exception"),
    ),
    Constraint(
        "storage.retentionPolicySeconds",
        _switch(f"what was deleted from the registry has to go from its bucket: {_EXCEPTION}", lambda _: True, ""),
    ),
    Constraint("gcp.resourceLocations", _locations),
    Constraint("gcp.restrictServiceUsage", _list(apis)),
    Constraint("gcp.restrictNonCmekServices", _keys),
    Constraint("gcp.restrictCmekCryptoKeyProjects", _key_project),
    Constraint("compute.restrictVpcPeering", _peering),
    Constraint("compute.restrictSharedVpcSubnetworks", _shared_subnetwork),
    Constraint("compute.restrictLoadBalancerCreationForTypes", _balancers),
    Constraint(
        "compute.disableGlobalLoadBalancing",
        _switch(
            f"`domain` makes a global load balancer: {_EXCEPTION}",
            lambda choice: choice.has_domain,
            "none is made without `domain`",
        ),
    ),
)
