"""What the real provider, or the API behind it, would refuse, as far as it is known: the schema doesn't say.

Taken from the provider's documentation and source; each rule covers a type that terraform/ uses.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.terraform.simulated.packing import UNKNOWN
from tests.terraform.simulated.schema import Block

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
Rule = Callable[[Mapping[str, Any]], Iterator[Problem]]
_LONGEST_START_SECONDS: Final = 240


def problems(type_name: str, block: Block, values: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _by_schema(block, values, ())
    if rule := _RULES.get(type_name):
        yield from rule(values)
    for name, pattern in _NAMES.get(type_name, {}).items():
        text = values.get(name)
        if isinstance(text, str) and not re.fullmatch(pattern, text):
            yield (name,), f"{text!r} does not match {pattern}"


def destruction_problem(prior: Mapping[str, Any]) -> str | None:
    """The provider refuses to destroy what is protected."""
    if prior.get("deletion_protection") is True:
        return "deletion_protection is true: set it to false and apply first"
    return None


def replacing(type_name: str, prior: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[str]:
    """The arguments whose change makes another resource: the schema doesn't say, so only what tests ask about."""
    return [name for name in _REPLACING.get(type_name, ()) if prior.get(name) != proposed.get(name)]


def _by_schema(block: Block, values: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    for name, attribute in block.attributes.items():
        value = values.get(name)
        if value is not None and attribute.is_output:
            yield (*path, name), f"{name} is the provider's to say"
        if attribute.choices and isinstance(value, str) and value and value not in attribute.choices:
            yield (*path, name), f"{name} takes one of {', '.join(attribute.choices)}, not {value}"
    for name, nested in block.blocks.items():
        inner = values.get(name)
        for index, item in enumerate(inner if isinstance(inner, list) else [inner]):
            if isinstance(item, dict):
                # Elements of a set have no index.
                where = (*path, name, index) if nested.nesting == "list" else (*path, name)
                yield from _by_schema(nested.block, item, where)


def _one(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The single block of that name; empty if it isn't there."""
    found = values.get(name)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def _all(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The blocks of that name, as far as they are known."""
    found = values.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _is_set(value: object) -> bool:
    return value is not None and value is not UNKNOWN and value not in ([], "")


def _exactly_one(values: Mapping[str, Any], *names: str) -> Iterator[Problem]:
    """What isn't known yet may turn out to be the one, or not."""
    given = [name for name in names if _is_set(values.get(name))]
    may_come = any(values.get(name) is UNKNOWN for name in names)
    if len(given) > 1 or not (given or may_come):
        yield (), f"exactly one of {', '.join(names)} is needed, not {len(given)}"


def _scheduler_job(values: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _exactly_one(values, "pubsub_target", "http_target", "app_engine_http_target")
    data = _one(values, "pubsub_target").get("data")
    if isinstance(data, str):
        try:
            base64.b64decode(data, validate=True)
        except binascii.Error:
            yield ("pubsub_target", 0, "data"), "data is not base64"


def _secret_version(values: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _exactly_one(values, "secret_data", "secret_data_wo")
    if _is_set(values.get("secret_data_wo")) and values.get("secret_data_wo_version") is None:
        yield ("secret_data_wo",), "secret_data_wo needs secret_data_wo_version"


def _secret(values: Mapping[str, Any]) -> Iterator[Problem]:
    for path, text in _exactly_one(_one(values, "replication"), "auto", "user_managed"):
        yield ("replication", 0, *path), text


def _subscription(values: Mapping[str, Any]) -> Iterator[Problem]:
    deadline = values.get("ack_deadline_seconds")
    if isinstance(deadline, int) and not 10 <= deadline <= 600:
        yield ("ack_deadline_seconds",), "from 10 to 600"
    attempts = _one(values, "dead_letter_policy").get("max_delivery_attempts")
    if isinstance(attempts, int) and not 5 <= attempts <= 100:
        yield ("dead_letter_policy", 0, "max_delivery_attempts"), "from 5 to 100"
    if sum(_is_set(values.get(name)) for name in ("push_config", "bigquery_config", "cloud_storage_config")) > 1:
        yield ("push_config",), "conflicts with the other kinds of delivery"


def _bucket(values: Mapping[str, Any]) -> Iterator[Problem]:
    seconds = _one(values, "soft_delete_policy").get("retention_duration_seconds")
    if isinstance(seconds, int) and seconds != 0 and not 604_800 <= seconds <= 7_776_000:
        yield ("soft_delete_policy", 0, "retention_duration_seconds"), "0, or from 7 to 90 days"


def _run_service(values: Mapping[str, Any]) -> Iterator[Problem]:
    template = _one(values, "template")
    timeout = template.get("timeout")
    if isinstance(timeout, str) and not re.fullmatch(r"[0-9]+(\.[0-9]{1,9})?s", timeout):
        yield ("template", 0, "timeout"), "a number of seconds with an s"
    containers = _all(template, "containers")
    ingress = [container for container in containers if container.get("ports")]
    if len(containers) > 1 and len(ingress) != 1:
        yield ("template", 0, "containers"), "exactly one container has ports"
    for index, container in enumerate(containers):
        is_ingress = len(containers) == 1 or bool(container.get("ports"))
        names = [variable.get("name") for variable in _all(container, "env")]
        reserved = {"K_SERVICE", "K_REVISION", "K_CONFIGURATION"} | ({"PORT"} if is_ingress else set())
        for name in sorted(reserved.intersection(name for name in names if isinstance(name, str))):
            yield ("template", 0, "containers", index), f"the platform sets {name}"
        if len(names) != len({*map(str, names)}):
            yield ("template", 0, "containers", index), "a variable is set twice"
        for path, text in _startup_probe(_one(container, "startup_probe")):
            yield ("template", 0, "containers", index, *path), text
        for other in container.get("depends_on") or []:
            if other not in [candidate.get("name") for candidate in containers]:
                yield ("template", 0, "containers", index, "depends_on"), f"no container is named {other}"


def _startup_probe(probe: Mapping[str, Any]) -> Iterator[Problem]:
    period, timeout, failures = (probe.get(name) for name in ("period_seconds", "timeout_seconds", "failure_threshold"))
    if isinstance(period, int) and isinstance(failures, int) and period * failures > _LONGEST_START_SECONDS:
        yield ("startup_probe", 0, "failure_threshold"), f"at most {_LONGEST_START_SECONDS} seconds in all"
    if isinstance(period, int) and isinstance(timeout, int) and timeout > period:
        yield ("startup_probe", 0, "timeout_seconds"), "no longer than the period"


def _function(values: Mapping[str, Any]) -> Iterator[Problem]:
    service = _one(values, "service_config")
    if _is_set(service.get("vpc_connector")) and _is_set(service.get("direct_vpc_network_interface")):
        yield ("service_config", 0), "vpc_connector conflicts with direct_vpc_network_interface"
    concurrency, cpu = service.get("max_instance_request_concurrency"), service.get("available_cpu")
    if isinstance(concurrency, int) and concurrency > 1 and isinstance(cpu, str) and float(cpu) < 1:
        yield ("service_config", 0, "available_cpu"), "a concurrency above 1 needs a whole CPU"
    timeout = service.get("timeout_seconds")
    if isinstance(timeout, int) and not 1 <= timeout <= 3600:
        yield ("service_config", 0, "timeout_seconds"), "from 1 to 3600"
    build = _one(values, "build_config")
    if _is_set(build.get("automatic_update_policy")) and _is_set(build.get("on_deploy_update_policy")):
        yield ("build_config", 0), "only one update policy"


def _database(values: Mapping[str, Any]) -> Iterator[Problem]:
    settings = _one(values, "settings")
    tier, edition = settings.get("tier"), settings.get("edition")
    if isinstance(tier, str) and edition == "ENTERPRISE" and tier.startswith("db-perf-optimized"):
        yield ("settings", 0, "tier"), "a tier of ENTERPRISE_PLUS"
    backups = _one(settings, "backup_configuration")
    if backups.get("point_in_time_recovery_enabled") and not backups.get("enabled"):
        yield ("settings", 0, "backup_configuration"), "recovery to a point in time needs backups"
    addresses = _one(settings, "ip_configuration")
    if addresses.get("ipv4_enabled") is False and addresses.get("private_network") is None:
        yield ("settings", 0, "ip_configuration"), "an instance needs an address"


def _alert(values: Mapping[str, Any]) -> Iterator[Problem]:
    for index, condition in enumerate(_all(values, "conditions")):
        for path, text in _exactly_one(
            condition, "condition_threshold", "condition_absent", "condition_matched_log", "condition_sql"
        ):
            yield ("conditions", index, *path), text
        threshold = _one(condition, "condition_threshold")
        duration = threshold.get("duration")
        if isinstance(duration, str) and (not duration.endswith("s") or int(duration[:-1]) % 60):
            yield ("conditions", index), "a duration is in whole minutes"


def _log_metric(values: Mapping[str, Any]) -> Iterator[Problem]:
    descriptor = _one(values, "metric_descriptor")
    declared, extractors = descriptor.get("labels"), values.get("label_extractors")
    labels = {label["key"] for label in _all(descriptor, "labels")}
    if UNKNOWN not in (declared, extractors) and labels != set(extractors or {}):
        yield ("label_extractors",), "labels and their extractors differ"
    kind, extractor = descriptor.get("value_type"), values.get("value_extractor")
    if UNKNOWN not in (kind, extractor) and (kind == "DISTRIBUTION") != (extractor is not None):
        yield ("value_extractor",), "a distribution, and only that, extracts a value"


_RULES: Final[dict[str, Rule]] = {
    "google_cloud_scheduler_job": _scheduler_job,
    "google_cloud_run_v2_service": _run_service,
    "google_cloudfunctions2_function": _function,
    "google_logging_metric": _log_metric,
    "google_monitoring_alert_policy": _alert,
    "google_pubsub_subscription": _subscription,
    "google_secret_manager_secret": _secret,
    "google_secret_manager_secret_version": _secret_version,
    "google_sql_database_instance": _database,
    "google_storage_bucket": _bucket,
}
_REPLACING: Final = {
    "google_cloud_run_v2_service": ("name", "location"),
    "google_cloudfunctions2_function": ("name", "location"),
    "google_secret_manager_secret_version": ("secret", "secret_data", "secret_data_wo_version"),
    "google_sql_database_instance": ("name", "region"),
    "google_storage_bucket": ("name", "location"),
    "google_storage_bucket_object": ("bucket", "name"),
}
_DNS_LABEL: Final = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMES: Final[dict[str, dict[str, str]]] = {
    "google_artifact_registry_repository": {"repository_id": _DNS_LABEL},
    "google_cloud_run_v2_service": {"name": r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?"},
    "google_cloudfunctions2_function": {"name": _DNS_LABEL},
    "google_compute_backend_service": {"name": _DNS_LABEL},
    "google_compute_managed_ssl_certificate": {"name": _DNS_LABEL},
    "google_compute_network": {"name": _DNS_LABEL},
    "google_compute_security_policy": {"name": _DNS_LABEL},
    "google_project_iam_custom_role": {"role_id": r"[a-zA-Z0-9_.]{3,64}"},
    "google_pubsub_subscription": {"name": r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"},
    "google_pubsub_topic": {"name": r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"},
    "google_secret_manager_secret": {"secret_id": r"[A-Za-z0-9_-]{1,255}"},
    "google_service_account": {"account_id": r"[a-z][a-z0-9-]{4,28}[a-z0-9]"},
    "google_sql_database_instance": {"name": r"[a-z][a-z0-9-]{0,96}"},
    "google_storage_bucket": {"name": r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"},
}
