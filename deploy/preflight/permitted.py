"""Whether the organisation's policies let the configuration be, and the caller do what it takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from deploy.preflight.checks import failed
from deploy.preflight.choice import Choice
from deploy.preflight.constraints import CONSTRAINTS, Constraint
from deploy.preflight.findings import Finding, State
from deploy.preflight.google import Google, Refused, Unanswered
from deploy.preflight.policy import Policy
from deploy.preflight.rights import (
    ON_A_BILLING_ACCOUNT,
    ON_A_DATABASES_PROJECT,
    ON_A_KEY,
    ON_A_SUBNETWORK,
    by_role,
)

_ORGPOLICY: Final = "orgpolicy.googleapis.com"
_PROJECTS: Final = "cloudresourcemanager.googleapis.com"
_MOST_TESTED_AT_ONCE: Final = 100
_AT_ONCE: Final = 8


def policies(google: Google, choice: Choice) -> Iterator[Finding]:
    """Returns a line for each that restricts something, and one for the rest."""

    def read(constraint: Constraint) -> Policy | Refused | Unanswered:
        path = f"v2/projects/{choice.project}/policies/{constraint.name}:getEffectivePolicy"
        try:
            return Policy.of(google.get(_ORGPOLICY, path))
        except (Refused, Unanswered) as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = dict(zip(CONSTRAINTS, threads.map(read, CONSTRAINTS), strict=True))
    read_ones = {one: policy for one, policy in found.items() if isinstance(policy, Policy)}
    restricting = {one: policy for one, policy in read_ones.items() if policy.restricts}
    unread = {one: error for one, error in found.items() if isinstance(error, Refused | Unanswered)}
    for constraint, policy in restricting.items():
        state, text = constraint.judge(choice, policy)
        ask = ("roles/orgpolicy.policyAdmin of the organisation may change it:", _describe(choice, constraint))
        yield Finding(
            "policies", state, f"{constraint.name} {policy.shown()}: {text}", () if state is State.OK else ask
        )
    if unread:
        constraint, error = next(iter(unread.items()))
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        yield failed("policies", f"{constraint.name}{more}", error)
    if rest := len(read_ones) - len(restricting):
        others = "others" if restricting else "of the organisation"
        yield Finding("policies", State.OK, f"{rest} {others} that could matter restrict nothing")


def _describe(choice: Choice, constraint: Constraint) -> str:
    return f"$ gcloud org-policies describe {constraint.name} --project={choice.project} --effective"


def rights(google: Google, choice: Choice, caller: str) -> Iterator[Finding]:
    roles = by_role(choice)
    wanted = list(dict.fromkeys(permission for permissions in roles.values() for permission in permissions))
    try:
        granted = set(_granted(google, _PROJECTS, f"v3/projects/{choice.project}", wanted, as_project=False))
    except (Refused, Unanswered) as error:
        yield failed("rights", f"what {caller} may do", error)
        return
    lacking = {
        role: missing for role, ones in roles.items() if (missing := [one for one in ones if one not in granted])
    }
    if not lacking:
        yield Finding("rights", State.OK, f"{caller} has the {len(wanted)} permissions of {len(roles)} roles")
        return
    told = ", ".join(f"{role} ({_some(missing)})" for role, missing in lacking.items())
    kind = "serviceAccount" if caller.endswith(".gserviceaccount.com") else "user"
    command = (
        f"$ for role in {' '.join(lacking)}; do gcloud projects add-iam-policy-binding {choice.project} "
        f"--member={shlex.quote(f'{kind}:{caller}')} --role=roles/$role --condition=None; done"
    )
    ask = "ask whoever has roles/resourcemanager.projectIamAdmin in the project, such as its owner, for:"
    yield Finding("rights", State.WRONG, f"{caller} lacks {len(lacking)} of {len(roles)} roles: {told}", (ask, command))


def may_ask(google: Google, choice: Choice) -> list[Finding]:
    """Returns nothing, unless the caller may not ask the rest: that counts against the project's quota."""
    wanted = ["serviceusage.services.use"]
    try:
        if _granted(google, _PROJECTS, f"v3/projects/{choice.project}", wanted, as_project=False):
            return []
    except (Refused, Unanswered) as error:
        return [failed("rights", "what is left", error)]
    text = f"billing, quotas, policies and the database can't be looked at without {wanted[0]}"
    ask = ("with the roles above, or roles/serviceusage.serviceUsageConsumer in the project, run this again",)
    return [Finding("rest", State.UNKNOWN, text, ask)]


def _some(permissions: Sequence[str]) -> str:
    return permissions[0] + (f" and {len(permissions) - 1} more" if len(permissions) > 1 else "")


def rights_elsewhere(google: Google, choice: Choice, caller: str) -> Iterator[Finding]:
    """Looks at rights on what isn't the project's."""
    asked: list[tuple[str, str, str, Sequence[str], str]] = []
    if choice.kms_key:
        asked.append(("the key", "cloudkms.googleapis.com", f"v1/{choice.kms_key}", ON_A_KEY, "cloudkms.admin on it"))
    if choice.budget:
        path = f"v1/billingAccounts/{choice.budget}"
        asked.append(
            (
                "the billing account",
                "cloudbilling.googleapis.com",
                path,
                ON_A_BILLING_ACCOUNT,
                "billing.costsManager on it",
            )
        )
    if choice.foreign_network:
        owner, region, name = choice.foreign_network
        path = f"compute/v1/projects/{owner}/regions/{region}/subnetworks/{name}"
        asked.append(
            (
                f"the subnetwork {name} of {owner}",
                "compute.googleapis.com",
                path,
                ON_A_SUBNETWORK,
                "compute.networkUser on it",
            )
        )
    if choice.database_project != choice.project:
        owner = choice.database_project
        roles = "cloudsql.admin and resourcemanager.projectIamAdmin in it"
        asked.append(
            (f"the database's project {owner}", _PROJECTS, f"v3/projects/{owner}", ON_A_DATABASES_PROJECT, roles)
        )
    for what, host, path, permissions, roles in asked:
        try:
            lacking = sorted(set(permissions) - set(_granted(google, host, path, permissions)))
        except (Refused, Unanswered) as error:
            yield failed("rights", f"what {caller} may do with {what}", error)
            continue
        if lacking:
            yield Finding(
                "rights",
                State.WRONG,
                f"{caller} may not {', '.join(lacking)} on {what}",
                (f"ask its owner for roles/{roles}",),
            )
        else:
            yield Finding("rights", State.OK, f"{caller} may do what it takes with {what}")


def _granted(google: Google, host: str, path: str, wanted: Sequence[str], *, as_project: bool = True) -> list[str]:
    separator = "/" if host == "compute.googleapis.com" else ":"
    granted: list[str] = []
    for first in range(0, len(wanted), _MOST_TESTED_AT_ONCE):
        body = {"permissions": list(wanted[first : first + _MOST_TESTED_AT_ONCE])}
        answer = google.post(host, f"{path}{separator}testIamPermissions", body, as_project=as_project)
        granted += answer.get("permissions", [])
    return granted
