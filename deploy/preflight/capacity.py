"""Whether there is room in the project and its region for the chosen size."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from typing import Any, Final

from deploy.preflight.checks import failed
from deploy.preflight.choice import Choice
from deploy.preflight.findings import Finding, State
from deploy.preflight.google import Google, Refused, Unanswered
from deploy.preflight.needs import NEW_PROJECT_GIB, NEW_PROJECT_VCPUS, compute_quotas, footprint

_QUOTAS: Final = "cloudquotas.googleapis.com"
_SQL: Final = "sqladmin.googleapis.com"
# By Cloud Run's ids: thousandths of a vCPU, and bytes.
_CPU, _MEMORY = "CpuAllocPerProjectRegion", "MemAllocPerProjectRegion"
_UNITS: Final = {_CPU: 1000, _MEMORY: 2**30}
_NAMES: Final = {_CPU: "vCPU", _MEMORY: "GiB"}
# Of Cloud SQL, which has no quota that could be asked for it: https://cloud.google.com/sql/docs/postgres/quotas
_MOST_DATABASES: Final = 1000
_LEAST_POSTGRES: Final = 15


def cloud_run(google: Google, choice: Choice) -> Iterator[Finding]:
    granted: dict[str, float] = {}
    for quota in (_CPU, _MEMORY):
        what = f"{_NAMES[quota]} of Cloud Run in {choice.region}"
        path = f"v1/projects/{choice.project}/locations/global/services/run.googleapis.com/quotaInfos/{quota}"
        try:
            value = _value(google.get(_QUOTAS, path), choice.region)
        except (Refused, Unanswered) as error:
            yield failed("quota", what, error)
            continue
        if value is None:
            yield Finding("quota", State.UNKNOWN, f"{what}: none is told for this region")
        else:
            granted[quota] = value / _UNITS[quota] if value >= 0 else math.inf
            yield _compared(quota, granted[quota], choice, what)
    yield from _to_be_written(choice, granted)


def _compared(quota: str, granted: float, choice: Choice, what: str) -> Finding:
    needed = footprint(choice)
    most = needed.vcpus if quota == _CPU else needed.gib
    if granted >= most:
        return Finding("quota", State.OK, f"{granted:g} {what}; {choice.size} takes {most:g}")
    vcpus, gib = needed.to_ask_for()
    command = (
        f"$ gcloud beta quotas preferences create --project={choice.project} --service=run.googleapis.com "
        f"--quota-id={quota} --dimensions=region={choice.region} "
        f"--preferred-value={(vcpus if quota == _CPU else gib) * _UNITS[quota]}"
    )
    text = f"{granted:g} {what}; {choice.size} takes {most:g}, at {needed.instances} instances"
    ask = "ask Google for more, as an owner or with roles/cloudquotas.admin; or choose a smaller size:"
    return Finding("quota", State.WRONG, text, (ask, command))


def _to_be_written(choice: Choice, granted: dict[str, float]) -> Iterator[Finding]:
    """The plan compares with terraform's variable `quota`, whose default is a new project's."""
    needed = footprint(choice)
    vcpus, gib = granted.get(_CPU, 0), granted.get(_MEMORY, 0)
    is_more = needed.vcpus > NEW_PROJECT_VCPUS or needed.gib > NEW_PROJECT_GIB
    if is_more and needed.vcpus <= vcpus < math.inf and needed.gib <= gib < math.inf:
        text = f"write what was granted into terraform.tfvars: quota = {{ vcpus = {vcpus:g}, memory_gib = {gib:g} }}"
        yield Finding("quota", State.OK, text)


def _value(document: Any, region: str) -> int | None:
    """Takes the most specific value that holds in the region, which comes first; -1 is without a limit."""
    for info in document.get("dimensionsInfos", []):
        places = info.get("applicableLocations", [])
        named = info.get("dimensions", {}).get("region")
        if named == region or (named is None and (not places or region in places)):
            return int(info.get("details", {}).get("value", 0))
    return None


def compute(google: Google, choice: Choice) -> Iterator[Finding]:
    needed = compute_quotas(choice)
    if not needed:
        return
    what = "networks" if choice.makes_network else "parts of the load balancer"
    try:
        document = google.get("compute.googleapis.com", f"compute/v1/projects/{choice.project}")
    except (Refused, Unanswered) as error:
        yield failed("quota", f"Compute Engine's, of {what}", error)
        return
    quotas = {one["metric"]: one for one in document.get("quotas", [])}
    full = [
        name
        for name, count in needed.items()
        if name in quotas and quotas[name]["usage"] + count > quotas[name]["limit"]
    ]
    for name in full:
        quota = quotas[name]
        yield Finding(
            "quota",
            State.WRONG,
            f"{name}: {quota['usage']:g} of {quota['limit']:g} are used, and one more is made, or was before",
            (
                f"delete one, or ask for more: https://console.cloud.google.com/iam-admin/quotas?project={choice.project}",
            ),
        )
    if not full:
        yield Finding("quota", State.OK, f"Compute Engine has room for {', '.join(sorted(needed))}")


def database(google: Google, choice: Choice) -> Iterator[Finding]:
    path = f"v1/projects/{choice.database_project}/instances"
    try:
        if choice.existing_database is None:
            yield _room(google.get(_SQL, path), choice)
        else:
            yield from _existing(google.get(_SQL, f"{path}/{choice.existing_database[2]}"), choice)
    except (Refused, Unanswered) as error:
        yield failed("database", f"Cloud SQL in {choice.database_project}", error)


def _room(document: Any, choice: Choice) -> Finding:
    names = [one["name"] for one in document.get("items", [])]
    if choice.name in names:
        text = f"an instance {choice.name} is there: an earlier apply's, or else choose another `database_instance`"
        return Finding("database", State.OK, text)
    if len(names) >= _MOST_DATABASES:
        return Finding(
            "database",
            State.WRONG,
            f"{len(names)} instances are there, of {_MOST_DATABASES}: ask Google's support for more",
        )
    return Finding(
        "database", State.OK, f"{len(names)} instances are there, of {_MOST_DATABASES}; the name {choice.name} is free"
    )


def _existing(document: Any, choice: Choice) -> Iterator[Finding]:
    """Returns what docs/deploy.md says that an instance has to have."""
    name, settings = document["name"], document.get("settings", {})
    flags = {flag["name"]: flag["value"] for flag in settings.get("databaseFlags", [])}
    addresses = settings.get("ipConfiguration", {})
    version = str(document.get("databaseVersion", ""))
    number = version.removeprefix("POSTGRES_").partition("_")[0]
    wrong: list[tuple[str, tuple[str, ...]]] = []
    if not number.isdigit() or int(number) < _LEAST_POSTGRES:
        wrong.append((f"has {version}: PostgreSQL {_LEAST_POSTGRES} or newer is needed", ()))
    if flags.get("cloudsql.iam_authentication") != "on":
        owner = choice.database_project
        wrong.append(
            (
                "has no login by IAM: its flag cloudsql.iam_authentication is off",
                (
                    "ask its owner: setting it restarts the instance, and flags that are not named again are lost",
                    f"$ gcloud sql instances patch {name} --project={owner} --database-flags={_flags(flags)}",
                ),
            )
        )
    if choice.private_database and not addresses.get("privateNetwork"):
        wrong.append(("has no private address: give it one, or set `private_database = false`", ()))
    if not choice.private_database and not addresses.get("ipv4Enabled"):
        wrong.append(("has no public address: leave `private_database`, and give `network`", ()))
    if document.get("region") != choice.region:
        wrong.append((f"is in {document.get('region')}: each request would go there and back", ()))
    for text, ask in wrong:
        yield Finding("database", State.WRONG, f"{name} {text}", ask)
    if not wrong:
        most = flags.get("max_connections", "the default of its size")
        yield Finding(
            "database",
            State.OK,
            f"{name}: {version}, login by IAM; max_connections is {most}, the sum is in docs/deploy.md",
        )


def _flags(flags: dict[str, str]) -> str:
    """Writes all of them as a shell takes them: others wrote them."""
    wanted = {**flags, "cloudsql.iam_authentication": "on"}
    return shlex.quote(",".join(f"{name}={value}" for name, value in wanted.items()))
