"""What is looked at in a project, one thing after the other. Each gives its findings, whatever Google answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deploy.preflight.choice import Choice
from deploy.preflight.findings import Finding, State
from deploy.preflight.google import SERVICE_DISABLED, Google, Refused, Unanswered
from deploy.preflight.needs import AGENTS, ASKED, apis

_USAGE: Final = "serviceusage.googleapis.com"
_PROJECTS: Final = "cloudresourcemanager.googleapis.com"
_BILLING: Final = "cloudbilling.googleapis.com"
_MOST_ENABLED_AT_ONCE: Final = 20
_MOST_READ_AT_ONCE: Final = 30
_SOMEBODY: Final = "ask somebody with roles/serviceusage.serviceUsageAdmin in the project, such as its owner, for:"
_DENIED, _MISSING = 403, 404


def failed(subject: str, what: str, error: Refused | Unanswered) -> Finding:
    """Makes a finding of something that could not be read."""
    if isinstance(error, Unanswered):
        return Finding(
            subject,
            State.UNKNOWN,
            f"{what}: {error}",
            ("again in a while; if it stays: https://status.cloud.google.com",),
        )
    if error.reason == SERVICE_DISABLED:
        service = error.metadata.get("service", "the API")
        return Finding(subject, State.UNKNOWN, f"{what} can't be read while {service} is off")
    return Finding(subject, State.UNKNOWN, f"{what} can't be read: {error}", _asked_permission(error))


def _asked_permission(error: Refused) -> tuple[str, ...]:
    permission = error.metadata.get("permission")
    return (f"ask for a role with {permission}",) if permission else ()


def project(google: Google, choice: Choice, caller: str) -> tuple[str | None, Finding]:
    """Returns its number, or None if nothing else can be asked."""
    try:
        found = google.get(_PROJECTS, f"v3/projects/{choice.project}", as_project=False)
    except Unanswered as error:
        return None, failed("project", choice.project, error)
    except Refused as refused:
        if refused.status not in (_DENIED, _MISSING) or refused.reason == SERVICE_DISABLED:
            return None, Finding("project", State.UNKNOWN, f"{choice.project}: {refused}")
        return None, Finding(
            "project",
            State.WRONG,
            f"there is no project {choice.project}, or {caller} may not see it",
            (
                "is it the project's id, and not its name? This lists those that you may see:",
                "$ gcloud projects list",
                'if it is another\'s, ask for the roles of docs/deploy.md, "You need"',
            ),
        )
    number = found["name"].removeprefix("projects/")
    if found.get("state") != "ACTIVE":
        state = found.get("state", "unknown")
        return None, Finding("project", State.WRONG, f"{choice.project} is in state {state}: choose one that is active")
    parent = found.get("parent", "")
    place = f"under {parent}" if parent else "without an organisation"
    return number, Finding("project", State.OK, f"{choice.project} ({number}), {place}; asked as {caller}")


def billing(google: Google, choice: Choice) -> tuple[bool, Finding]:
    """Says whether it is billed, as far as anybody knows: without it no paid API is enabled."""
    try:
        found = google.get(_BILLING, f"v1/projects/{choice.project}/billingInfo")
    except (Refused, Unanswered) as error:
        return True, failed("billing", "the billing account", error)
    if found.get("billingEnabled"):
        return True, Finding("billing", State.OK, f"billed to {found.get('billingAccountName', 'an account')}")
    return False, Finding(
        "billing",
        State.WRONG,
        f"{choice.project} has no open billing account: its APIs can't be enabled",
        (
            "link one, or ask whoever has roles/billing.user on it and owns the project:",
            "$ gcloud billing accounts list",
            f"$ gcloud billing projects link {choice.project} --billing-account=ACCOUNT",
        ),
    )


def enable_asked(google: Google, choice: Choice, hold: str) -> Finding:
    """Enables the APIs that this program itself asks. `hold` says why nothing may be changed; empty if it may."""
    return _enabled(google, choice, [f"{name}.googleapis.com" for name in ASKED], "this program's", hold)


def enable_applied(google: Google, choice: Choice, hold: str) -> Finding:
    """Enables those that Terraform enables too; but one that was enabled seconds ago may still be refused."""
    return _enabled(google, choice, apis(choice), "terraform's", hold)


def _enabled(google: Google, choice: Choice, names: list[str], whose: str, hold: str) -> Finding:
    try:
        off = _off(google, choice, names)
        if not off:
            return Finding("apis", State.OK, f"{whose} {len(names)} are enabled")
        if hold:
            ask = (f"{hold}; or:", _command(choice, off))
            return Finding("apis", State.WRONG, f"of {whose} {len(names)} are off: {_short(off)}", ask)
        for first in range(0, len(off), _MOST_ENABLED_AT_ONCE):
            body = {"serviceIds": off[first : first + _MOST_ENABLED_AT_ONCE]}
            begun = google.post(_USAGE, f"v1/projects/{choice.project}/services:batchEnable", body, as_project=False)
            google.finished(_USAGE, "v1", begun)
    except Refused as refused:
        if refused.status != _DENIED:
            return Finding("apis", State.WRONG, f"{whose} can't be enabled: {refused}")
        return Finding(
            "apis", State.WRONG, f"{whose} can't be enabled: {refused}", (_SOMEBODY, _command(choice, names))
        )
    except Unanswered as error:
        return failed("apis", whose, error)
    google.has_enabled(off)
    return Finding(
        "apis", State.MADE, f"{len(off)} of {whose} {len(names)} were off, and are enabled now: {_short(off)}"
    )


def _off(google: Google, choice: Choice, names: list[str]) -> list[str]:
    states: dict[str, str] = {}
    for first in range(0, len(names), _MOST_READ_AT_ONCE):
        wanted = [f"projects/{choice.project}/services/{name}" for name in names[first : first + _MOST_READ_AT_ONCE]]
        found = google.get(_USAGE, f"v1/projects/{choice.project}/services:batchGet", as_project=False, names=wanted)
        states |= {one["name"].rsplit("/", 1)[1]: one.get("state", "") for one in found.get("services", [])}
    return [name for name in names if states.get(name) != "ENABLED"]


def _short(names: list[str]) -> str:
    return ", ".join(name.removesuffix(".googleapis.com") for name in names)


def _command(choice: Choice, names: list[str]) -> str:
    return f"$ gcloud services enable --project={choice.project} {' '.join(names)}"


def agents(google: Google, choice: Choice, number: str) -> Iterator[Finding]:
    """Makes those that are not there: asking is making."""
    there: list[str] = []
    refused: dict[str, Refused] = {}
    for service in AGENTS:
        path = f"v1beta1/projects/{number}/services/{service}.googleapis.com:generateServiceIdentity"
        try:
            google.finished(_USAGE, "v1beta1", google.post(_USAGE, path, {}, as_project=False))
            there.append(service)
        except Unanswered as error:
            yield failed("agents", f"the agent of {service}", error)
        except Refused as error:
            refused[service] = error
    try:
        google.get("storage.googleapis.com", f"storage/v1/projects/{choice.project}/serviceAccount")
        there.append("storage")
    except (Refused, Unanswered) as error:
        yield failed("agents", "the agent of storage", error)
    if there:
        yield Finding("agents", State.OK, f"are there: {', '.join(there)}")
    if refused:
        services, first = " ".join(refused), next(iter(refused.values()))
        command = (
            f"$ for service in {services}; do gcloud beta services identity create --project={choice.project} "
            "--service=$service.googleapis.com; done"
        )
        yield Finding("agents", State.WRONG, f"can't be made: {services}: {first}", (_SOMEBODY, command))


def foreign_network(choice: Choice, number: str) -> Iterator[Finding]:
    """Tells what nobody but the network's owner can see or give."""
    if choice.foreign_network is None:
        return
    owner, region, name = choice.foreign_network
    member = f"serviceAccount:service-{number}@{AGENTS['run']}.iam.gserviceaccount.com"
    command = (
        f"$ gcloud compute networks subnets add-iam-policy-binding {name} --project={owner} --region={region} "
        f"--member={member} --role=roles/compute.networkUser"
    )
    yield Finding(
        "network",
        State.UNKNOWN,
        f"{name} is {owner}'s, who knows whether instances may have addresses in it, and whether it is peered",
        (
            "ask for the first of these, and for servicenetworking.googleapis.com in what the second lists:",
            command,
            f"$ gcloud services vpc-peerings list --network=NETWORK --project={owner}",
        ),
    )
