"""What is there in the simulated project: rules that no schema and no single resource tells.

Each was learnt from an apply that Google refused, or a plan that was never empty. `RULES` says what of; a test can
leave one out to see what it catches.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.terraform.simulated.values import PROJECT_NUMBER

Values = Mapping[str, Any]
Check = Callable[["Project", str, Values], Iterator[str]]

RULES: Final = {
    "agents": "A service's agent is granted something once it was made: when the service is first used, or on demand.",
    "constraints": "The organisation's policies refuse what they are about.",
    "copied source": "A function is built from a copy of its source, which the build's account has to be able to read.",
    "iam login": "Users that log in by IAM are made only in an instance that has the flag for it.",
    "late metrics": "An alert can name a metric of the log only some minutes after it was made.",
    "no zeros": "A dashboard is given back without positions of zero.",
    "peering in use": "A peering isn't taken away for days after a database was behind it.",
    "quota": "All instances of a service at once stay within the region's vCPU and memory.",
    "held addresses": "A subnetwork can't be deleted for two hours after a service's instances had addresses in it.",
    "taken users": "A user whose name the instance has already is not made again.",
}
_SERVICES: Final = ("google_cloud_run_v2_service", "google_cloudfunctions2_function")
# With what stands before them: longer than a metric needs to appear.
_MINUTES: Final = dict.fromkeys(_SERVICES, 10)
_METRIC_MINUTES: Final = 10
_HELD_MINUTES: Final = 120
_AGENT: Final = re.compile(r"serviceAccount:service-\d+@([\w-]+)\.iam\.gserviceaccount\.com")
_LOG_METRIC: Final = re.compile(r"logging\.googleapis\.com/user/([\w./-]+)")
_READS_OBJECTS: Final = ("storage.objectViewer", "storage.objectAdmin", "storage.admin", "cloudbuild.builds.builder")
_KEYS: Final = {
    "google_storage_bucket": ("encryption", "default_kms_key_name"),
    "google_sql_database_instance": ("encryption_key_name",),
    "google_pubsub_topic": ("kms_key_name",),
    "google_cloudfunctions2_function": ("kms_key_name",),
    "google_artifact_registry_repository": ("kms_key_name",),
}


@dataclass(frozen=True, slots=True)
class Made:
    type_name: str
    values: Values
    at: int


@dataclass
class Project:
    """As new, unless a test says what was prepared. `clock` is in minutes, and moves with what takes some."""

    rules: Collection[str] = tuple(RULES)
    agents: set[str] = field(default_factory=set)
    vcpus: float = 20
    memory_gib: float = 40
    constraints: Collection[str] = ()
    # Of others: the flags of each.
    instances: dict[str, dict[str, str]] = field(default_factory=dict)
    clock: int = 0
    made: list[Made] = field(default_factory=list)
    gone: list[Made] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, type_name: str, values: Values, prior: Values | None) -> list[str]:
        """What the cloud has against it; without anything, it is there from now on."""
        with self.lock:
            checks = dict(_APPLYING)
            if prior is not None:
                checks.pop("taken users")
            found = [
                text for rule, check in checks.items() if rule in self.rules for text in check(self, type_name, values)
            ]
            if not found:
                self._forget(type_name, prior)
                self.clock += _MINUTES.get(type_name, 0)
                self.made.append(Made(type_name, values, self.clock))
            return found

    def destroy(self, type_name: str, prior: Values) -> list[str]:
        with self.lock:
            if prior.get("deletion_policy") == "ABANDON":
                return []
            found = [
                text
                for rule, check in _DESTROYING.items()
                if rule in self.rules
                for text in check(self, type_name, prior)
            ]
            if not found:
                self._forget(type_name, prior)
                self.gone.append(Made(type_name, prior, self.clock))
            return found

    def read(self, type_name: str, state: Values) -> Values:
        """Returns what the cloud gives back."""
        if type_name != "google_monitoring_dashboard" or "no zeros" not in self.rules:
            return state
        board = json.loads(state["dashboard_json"])
        stripped = without_zeros(board)
        return state if stripped == board else {**state, "dashboard_json": json.dumps(stripped)}

    def read_data(self, type_name: str) -> None:
        if type_name == "google_storage_project_service_account":
            self.agents.add("gs-project-accounts")

    def find(self, type_name: str, identity: str) -> Values | None:
        """Finds by what is imported: the name comes last, and the instance that something is in before it."""
        parts = identity.split("/")
        for values in self.there(type_name):
            if values["name"] == parts[-1] and values.get("instance", parts[-1]) in parts:
                return values
        return None

    def clone(self, instance: str, copy: str) -> None:
        """The instance as it was at some time, with all that is in it."""
        for one in list(self.made):
            values = dict(one.values)
            if one.type_name == "google_sql_database_instance" and values["name"] == instance:
                values |= {
                    "name": copy,
                    "connection_name": values["connection_name"].replace(f":{instance}", f":{copy}"),
                }
            elif values.get("instance") == instance:
                values["instance"] = copy
            else:
                continue
            self.made.append(Made(one.type_name, values, self.clock))

    def wait(self, minutes: int) -> None:
        self.clock += minutes

    def there(self, type_name: str) -> Iterator[Values]:
        return (one.values for one in self.made if one.type_name == type_name)

    def _forget(self, type_name: str, values: Values | None) -> None:
        same = [one for one in self.made if one.type_name == type_name and one.values == values]
        for one in same[:1]:
            self.made.remove(one)


def _blocks(values: Values, *path: str) -> list[Values]:
    found: list[Values] = [values]
    for name in path:
        found = [item for one in found for item in one.get(name) or []]
    return found


def _agents(project: Project, type_name: str, values: Values) -> Iterator[str]:
    found = _AGENT.fullmatch(values.get("member") or "") if type_name.endswith("_iam_member") else None
    if found and found[1] not in project.agents:
        yield f"Error 400: Service account {values['member'].removeprefix('serviceAccount:')} does not exist."


def _copied_source(project: Project, type_name: str, values: Values) -> Iterator[str]:
    if type_name != "google_cloudfunctions2_function":
        return
    account = values["build_config"][0]["service_account"].rsplit("/", 1)[-1]
    bucket = f"gcf-v2-sources-{PROJECT_NUMBER}-{values['location']}"
    for grant in project.there("google_project_iam_member"):
        condition = grant["condition"][0]["expression"] if grant["condition"] else bucket
        role = grant["role"].removeprefix("roles/")
        if grant["member"] == f"serviceAccount:{account}" and role in _READS_OBJECTS and bucket in condition:
            return
    yield f"Access to bucket {bucket} denied. You must grant Storage Object Viewer permission to {account}."


def _late_metrics(project: Project, type_name: str, values: Values) -> Iterator[str]:
    if type_name != "google_monitoring_alert_policy":
        return
    made = {one.values["name"]: one.at for one in project.made if one.type_name == "google_logging_metric"}
    for name in sorted(set(_LOG_METRIC.findall(json.dumps(values["conditions"])))):
        if name not in made or project.clock - made[name] < _METRIC_MINUTES:
            yield (
                f"Error 404: Cannot find metric(s) that match type = logging.googleapis.com/user/{name}:"
                " it could take up to 10 minutes."
            )


def _quota(project: Project, type_name: str, values: Values) -> Iterator[str]:
    if type_name == "google_cloud_run_v2_service":
        most = max([block.get("max_instance_count") or 1 for block in _blocks(values, "scaling")], default=1)
        limits = [resources["limits"] for resources in _blocks(values, "template", "containers", "resources")]
        vcpus = sum(float(limit["cpu"]) for limit in limits)
        mebibytes = sum(int(limit["memory"].removesuffix("Mi")) for limit in limits)
    elif type_name == "google_cloudfunctions2_function":
        (service,) = values["service_config"]
        most = service["max_instance_count"]
        vcpus, mebibytes = float(service["available_cpu"]), int(service["available_memory"].removesuffix("Mi"))
    else:
        return
    for needed, granted, what in ((vcpus, project.vcpus, "CPU"), (mebibytes / 1024, project.memory_gib, "memory")):
        if most * needed > granted:
            most_allowed = int(granted / needed)
            yield f"Max instances must be set to {most_allowed} or fewer in order to set the requested total {what}."


def _iam_login(project: Project, type_name: str, values: Values) -> Iterator[str]:
    if type_name != "google_sql_user" or not str(values["type"]).startswith("CLOUD_IAM"):
        return
    flags = dict(project.instances)
    for instance in project.there("google_sql_database_instance"):
        flags[instance["name"]] = {
            flag["name"]: flag["value"] for flag in _blocks(instance, "settings", "database_flags")
        }
    if values["instance"] not in flags:
        yield f"Error 404: The Cloud SQL instance {values['instance']} does not exist."
    elif flags[values["instance"]].get("cloudsql.iam_authentication") != "on":
        yield "Error 400: Cloud SQL IAM users need the flag cloudsql.iam_authentication."


def _taken_users(project: Project, type_name: str, values: Values) -> Iterator[str]:
    if type_name == "google_sql_user":
        for user in project.there(type_name):
            if (user["instance"], user["name"]) == (values["instance"], values["name"]):
                yield f"Error 409: the user {values['name']} exists already."


def _constraints(project: Project, type_name: str, values: Values) -> Iterator[str]:
    broken = {
        "iam.allowedPolicyMemberDomains": values.get("member") in ("allUsers", "allAuthenticatedUsers"),
        "run.managed.requireInvokerIam": values.get("invoker_iam_disabled") is True,
        "sql.restrictPublicIp": any(block["ipv4_enabled"] for block in _blocks(values, "settings", "ip_configuration"))
        if type_name == "google_sql_database_instance"
        else False,
        "gcp.restrictNonCmekServices": type_name in _KEYS and not _key(values, _KEYS[type_name]),
    }
    for constraint in project.constraints:
        if broken[constraint]:
            yield f"Error 412: the constraint constraints/{constraint} is violated by {type_name}."


def _key(values: Values, path: tuple[str, ...]) -> object:
    *blocks, name = path
    return next((block.get(name) for block in _blocks(values, *blocks)), None)


def _peering_in_use(project: Project, type_name: str, _: Values) -> Iterator[str]:
    if type_name != "google_service_networking_connection":
        return
    for one in (*project.made, *project.gone):
        addresses = _blocks(one.values, "settings", "ip_configuration")
        if one.type_name == "google_sql_database_instance" and any(block["private_network"] for block in addresses):
            yield "Failed to delete connection; Producer services (e.g. CloudSQL) are still using this connection."
            return


def _held_addresses(project: Project, type_name: str, values: Values) -> Iterator[str]:
    if type_name != "google_compute_subnetwork":
        return
    held = [one for one in project.gone if one.type_name in _SERVICES and project.clock - one.at < _HELD_MINUTES]
    if any(values["id"] in json.dumps(one.values) for one in held):
        yield f"The subnetwork resource {values['name']} is already being used by serverless-ipv4-1."


def without_zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: without_zeros(inner) for name, inner in value.items() if name not in ("xPos", "yPos") or inner != 0
        }
    return [without_zeros(inner) for inner in value] if isinstance(value, list) else value


_APPLYING: Final[dict[str, Check]] = {
    "agents": _agents,
    "constraints": _constraints,
    "copied source": _copied_source,
    "iam login": _iam_login,
    "late metrics": _late_metrics,
    "quota": _quota,
    "taken users": _taken_users,
}
_DESTROYING: Final[dict[str, Check]] = {"held addresses": _held_addresses, "peering in use": _peering_in_use}
