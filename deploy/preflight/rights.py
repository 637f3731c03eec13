"""What whoever applies has to be allowed to do: for each kind of resource its permissions, and the role that has them.

docs/deploy.md has the roles, and the pipeline's account gets them; tests/terraform/test_preflight.py holds the three
together, and compares the kinds with what an apply makes. Storage shows why a permission is named only where the
project decides: an owner may not read buckets in general, but owns each that is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deploy.preflight.choice import CLOUD_BUILD, GITHUB, Choice

_ALL: Final = ("create", "get", "update", "delete")
_IAM: Final = ("getIamPolicy", "setIamPolicy")


def _always(_: Choice) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Right:
    """`makes` are terraform's types of resources; empty for what none of them says."""

    role: str
    makes: tuple[str, ...]
    permissions: tuple[str, ...]
    when: Callable[[Choice], bool] = _always


def _each(subject: str, *verbs: str) -> tuple[str, ...]:
    return tuple(f"{subject}.{verb}" for verb in verbs)


RIGHTS: Final = (
    Right(
        "serviceusage.serviceUsageAdmin",
        ("google_project_service",),
        _each("serviceusage.services", "enable", "get", "list", "use"),
    ),
    Right(
        "resourcemanager.projectIamAdmin",
        ("google_project_iam_member",),
        _each("resourcemanager.projects", "get", *_IAM),
    ),
    Right(
        "iam.serviceAccountAdmin",
        ("google_service_account", "google_service_account_iam_member"),
        _each("iam.serviceAccounts", *_ALL, *_IAM),
    ),
    # Functions, the service and the triggers run as accounts.
    Right("iam.serviceAccountUser", (), ("iam.serviceAccounts.actAs",)),
    Right("iam.roleAdmin", ("google_project_iam_custom_role",), _each("iam.roles", *_ALL, "undelete")),
    Right(
        "cloudfunctions.admin",
        ("google_cloudfunctions2_function",),
        (*_each("cloudfunctions.functions", *_ALL), "cloudfunctions.operations.get"),
    ),
    Right(
        "run.admin",
        ("google_cloud_run_v2_service_iam_member",),
        (*_each("run.services", *_ALL, *_IAM), "run.operations.get"),
    ),
    Right("run.admin", ("google_cloud_run_v2_service",), (), lambda choice: choice.http2),
    Right(
        "artifactregistry.admin",
        ("google_artifact_registry_repository", "google_artifact_registry_repository_iam_member"),
        _each("artifactregistry.repositories", *_ALL, *_IAM),
    ),
    Right(
        "storage.admin",
        (
            "google_storage_bucket",
            "google_storage_bucket_iam_member",
            "google_storage_bucket_object",
            "google_storage_notification",
        ),
        _each("storage.buckets", "create", "list"),
    ),
    Right(
        "cloudsql.admin",
        ("google_sql_database", "google_sql_user"),
        (*_each("cloudsql.databases", "create", "get"), *_each("cloudsql.users", "create", "list", "update")),
    ),
    Right(
        "cloudsql.admin",
        ("google_sql_database_instance",),
        _each("cloudsql.instances", *_ALL, "list"),
        lambda choice: choice.existing_database is None,
    ),
    Right(
        "pubsub.admin",
        (
            "google_pubsub_topic",
            "google_pubsub_topic_iam_member",
            "google_pubsub_subscription",
            "google_pubsub_subscription_iam_member",
        ),
        (
            *_each("pubsub.topics", *_ALL, *_IAM, "attachSubscription"),
            *_each("pubsub.subscriptions", *_ALL, *_IAM),
        ),
    ),
    Right("cloudscheduler.admin", ("google_cloud_scheduler_job",), _each("cloudscheduler.jobs", *_ALL)),
    Right(
        "secretmanager.admin",
        (
            "google_secret_manager_secret",
            "google_secret_manager_secret_iam_member",
            "google_secret_manager_secret_version",
        ),
        (
            *_each("secretmanager.secrets", *_ALL, *_IAM),
            *_each("secretmanager.versions", "add", "get", "access", "enable"),
        ),
    ),
    Right(
        "logging.configWriter",
        ("google_logging_metric", "google_logging_project_exclusion"),
        (*_each("logging.logMetrics", *_ALL), *_each("logging.exclusions", *_ALL)),
    ),
    Right(
        "monitoring.admin",
        (
            "google_monitoring_alert_policy",
            "google_monitoring_dashboard",
            "google_monitoring_notification_channel",
            "google_monitoring_uptime_check_config",
        ),
        tuple(
            permission
            for kind in ("alertPolicies", "dashboards", "notificationChannels", "uptimeCheckConfigs")
            for permission in _each(f"monitoring.{kind}", *_ALL)
        ),
    ),
    Right(
        "compute.networkAdmin",
        ("google_compute_network", "google_compute_subnetwork"),
        (
            *_each("compute.networks", "create", "get", "use", "updatePolicy", "delete"),
            *_each("compute.subnetworks", "create", "get", "use", "delete"),
            *_each("compute.globalAddresses", "createInternal", "get", "setLabels", "deleteInternal"),
        ),
        lambda choice: choice.makes_network,
    ),
    Right(
        "servicenetworking.networksAdmin",
        ("google_service_networking_connection",),
        ("servicenetworking.services.addPeering", "servicenetworking.services.get"),
        lambda choice: choice.makes_network,
    ),
    Right(
        "compute.networkAdmin",
        ("google_compute_global_address",),
        (),
        lambda choice: choice.makes_network or choice.has_domain,
    ),
    Right(
        "compute.loadBalancerAdmin",
        (
            "google_compute_backend_service",
            "google_compute_global_forwarding_rule",
            "google_compute_managed_ssl_certificate",
            "google_compute_region_network_endpoint_group",
            "google_compute_ssl_policy",
            "google_compute_target_https_proxy",
            "google_compute_url_map",
        ),
        (
            *_each("compute.backendServices", *_ALL, "use", "setSecurityPolicy"),
            *_each("compute.globalAddresses", "create", "get", "use", "delete"),
            *_each("compute.globalForwardingRules", "create", "get", "setLabels", "delete"),
            *_each("compute.regionNetworkEndpointGroups", "create", "get", "use", "delete"),
            *_each("compute.sslCertificates", "create", "get", "delete"),
            *_each("compute.sslPolicies", "create", "get", "use", "delete"),
            *_each("compute.targetHttpsProxies", "create", "get", "use", "delete"),
            *_each("compute.urlMaps", *_ALL, "use"),
        ),
        lambda choice: choice.has_domain,
    ),
    Right(
        "compute.securityAdmin",
        ("google_compute_security_policy",),
        _each("compute.securityPolicies", *_ALL, "use"),
        lambda choice: choice.has_domain,
    ),
    Right(
        "iam.workloadIdentityPoolAdmin",
        ("google_iam_workload_identity_pool", "google_iam_workload_identity_pool_provider"),
        (
            *_each("iam.googleapis.com/workloadIdentityPools", *_ALL),
            *_each("iam.googleapis.com/workloadIdentityPoolProviders", *_ALL),
        ),
        lambda choice: GITHUB in choice.pipelines,
    ),
    Right(
        "cloudbuild.builds.editor",
        ("google_cloudbuild_trigger",),
        _each("cloudbuild.builds", "create", "get", "update"),
        lambda choice: CLOUD_BUILD in choice.pipelines,
    ),
)
# Of what is not the project's: who may give it is somebody else.
ON_A_KEY: Final = ("cloudkms.cryptoKeys.getIamPolicy", "cloudkms.cryptoKeys.setIamPolicy")
ON_A_BILLING_ACCOUNT: Final = ("billing.budgets.create", "billing.budgets.get")
ON_A_SUBNETWORK: Final = ("compute.subnetworks.get", "compute.subnetworks.use")
ON_A_DATABASES_PROJECT: Final = (
    *_each("cloudsql.databases", "create", "get"),
    *_each("cloudsql.users", "create", "list", "update"),
    *_each("resourcemanager.projects", *_IAM),
)


def by_role(choice: Choice) -> dict[str, list[str]]:
    """Returns the permissions in the project that an apply takes, by a role that has them."""
    found: dict[str, list[str]] = {}
    for right in RIGHTS:
        if right.when(choice):
            found.setdefault(right.role, []).extend(right.permissions)
    return {role: list(dict.fromkeys(permissions)) for role, permissions in found.items()}
