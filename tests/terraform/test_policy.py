"""What a deployment may never be: asked of what stands after an apply, where every value is known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from functions.api.web import startup
from functions.gc.run import BUDGET_SECONDS
from local.programs import BUCKET_CORS
from tests.terraform.conftest import EXAMPLES, NewTerraform
from tests.terraform.core import ROOT, Terraform
from tests.terraform.deployment import PROGRAMS, TRIGGERED, Deployment, Grant
from tests.terraform.simulated.project import without_zeros

_PROJECT_AGENT: Final = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
_DEPLOYER: Final = "serviceAccount:slipway-deploy@example-registry.iam.gserviceaccount.com"
_UPTIME: Final = "google_monitoring_uptime_check_config"
# Which program reads which, by who issues the tokens.
_SECRETS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "open": {},
    "external": {"api": ("pepper",), "deliver": ("pepper",), "work": ("pepper",)},
    "token": {
        "api": ("pepper", "token-keys"),
        "deliver": ("pepper",),
        "migrate": ("pepper", "admin-secret"),
        "work": ("pepper",),
    },
}
_EVERYBODY: Final = {"allUsers", "allAuthenticatedUsers"}
_DEPLOY: Final = (ROOT / "docs" / "deploy.md").read_text()
_OPERATIONS: Final = (ROOT / "docs" / "operations.md").read_text()


def _expected_grants(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Everything that anybody may do, with nothing left out."""
    member = {program: f"serviceAccount:{deployment.account(program)}" for program in (*PROGRAMS, "push", "build")}
    expected = {
        (member["api"], "slipway_api_blobs", "example-registry-slipway-blobs"),
        (member["gc"], "slipway_gc_blobs", "example-registry-slipway-blobs"),
        (member["work"], "slipway_work_blobs", "example-registry-slipway-blobs"),
        (member["api"], "pubsub.publisher", "slipway-work"),
        (member["work"], "pubsub.publisher", "slipway-work"),
        (member["push"], "run.invoker", "slipway-work"),
        (_PROJECT_AGENT, "pubsub.subscriber", "slipway-work"),
        (member["api"], "pubsub.publisher", "slipway-events"),
        (member["deliver"], "pubsub.publisher", "slipway-events"),
        (member["push"], "run.invoker", "slipway-deliver"),
        (_PROJECT_AGENT, "pubsub.subscriber", "slipway-events"),
        (member["api"], "slipway_api_signs", deployment.account("api")),
        (member["api"], "pubsub.publisher", "slipway-gc-trigger"),
        (member["gc"], "pubsub.publisher", "slipway-gc-trigger"),
        (member["push"], "run.invoker", "slipway-gc"),
        (member["build"], "storage.objectViewer", "example-registry-slipway-source"),
        (member["build"], "storage.objectViewer", ""),
        (member["build"], "artifactregistry.writer", "slipway-functions"),
        (member["build"], "logging.logWriter", ""),
        (_PROJECT_AGENT, "pubsub.publisher", "slipway-dead"),
        (_PROJECT_AGENT, "pubsub.subscriber", "slipway-collect"),
    }
    expected |= {
        (member[program], role, "") for program in PROGRAMS for role in ("cloudsql.client", "cloudsql.instanceUser")
    }
    secrets = _SECRETS[deployment.environment("api")["SLIPWAY_ACCESS"]]
    expected |= {
        (member[program], "secretmanager.secretAccessor", f"slipway-{secret}")
        for program, names in secrets.items()
        for secret in names
    }
    if deployment.signs_people_in():
        expected.add((member["api"], "secretmanager.secretAccessor", "console-client"))
    if deployment.backs_up():
        # Older backups are pruned.
        expected.add((member["work"], "storage.objectUser", "example-registry-backups"))
    if not deployment.has_front():
        expected.add(("allUsers", "run.invoker", "slipway-api"))
    return expected


def test_nobody_may_do_more_than_is_listed(deployment: Deployment) -> None:
    granted = {
        (grant.member, grant.role, grant.on)
        for grant in deployment.grants()
        if "cryptoKey" not in grant.role and not _calls_migrate(grant) and not _is_of_pipeline(grant)
    }
    assert granted == _expected_grants(deployment)


def _calls_migrate(grant: Grant) -> bool:
    """Whom the example names as deployers, and the pipeline: they call migrate, and nothing else."""
    return (grant.role, grant.on) == ("run.invoker", "slipway-migrate") and "example" in grant.member


def _is_of_pipeline(grant: Grant) -> bool:
    return _DEPLOYER in (grant.member, f"serviceAccount:{grant.on}")


def test_a_pipeline_may_do_what_the_documentation_lists(deployment: Deployment) -> None:
    granted = {(grant.member, grant.role, grant.on) for grant in deployment.grants() if _is_of_pipeline(grant)}
    if not list(deployment.all("google_iam_workload_identity_pool")):
        assert not granted
        pytest.skip("without a pipeline")
    listed = {role for row in _rows(_DEPLOY, "| for | roles |") for role in re.findall(r"`(\w+(?:\.\w+)+)`", row)}
    listed |= {"run.invoker", "iam.serviceAccountOpenIdTokenCreator", "iam.workloadIdentityUser"}
    # With a domain, a key or a budget, which this deployment hasn't.
    unused = {"compute.loadBalancerAdmin", "compute.securityAdmin", "cloudkms.admin", "billing.costsManager"}
    assert {role for _, role, _ in granted} == listed - unused
    account = _DEPLOYER.removeprefix("serviceAccount:")
    assert {(role, on) for _, role, on in granted if on} == {
        ("run.invoker", "slipway-migrate"),
        ("iam.serviceAccountOpenIdTokenCreator", account),
        ("iam.workloadIdentityUser", account),
    }


@pytest.mark.terraform
def test_what_tests_a_commit_may_say_so_and_nothing_else(terraform: Terraform) -> None:
    plan = terraform.plan(f"-var-file={EXAMPLES['staging']}")
    given = [
        one["address"]
        for one in plan["configuration"]["root_module"]["resources"]
        if one["type"].endswith("_iam_member") and "google_service_account.test" in json.dumps(one)
    ]
    assert sorted(given) == ["google_project_iam_member.test_logs", "google_storage_bucket_iam_member.test_says_so"]
    planned = {one["address"]: one["values"] for one in plan["planned_values"]["root_module"]["resources"]}
    assert planned["google_project_iam_member.test_logs[0]"]["role"] == "roles/logging.logWriter"
    says_so = planned["google_storage_bucket_iam_member.test_says_so[0]"]
    assert says_so["role"] == "roles/storage.objectCreator"
    assert "/objects/tested/')" in says_so["condition"][0]["expression"]


def _rows(page: str, head: str) -> list[str]:
    """Returns those of the table with that head."""
    return page.split(head, 1)[1].split("\n\n", 1)[0].splitlines()[1:]


@pytest.mark.terraform
def test_only_one_repositorys_approved_jobs_deploy(deployments: Mapping[str, Deployment]) -> None:
    deployment = deployments["production"]
    provider = deployment.one("google_iam_workload_identity_pool_provider").values
    assert provider["attribute_condition"] == (
        "assertion.repository_id == '123456789' && assertion.environment == 'production'"
        " && assertion.ref == 'refs/heads/main'"
    )
    (member,) = (grant.member for grant in deployment.grants() if grant.role == "iam.workloadIdentityUser")
    assert member.endswith("/slipway-github/attribute.repository_id/123456789")
    trigger = deployment.one("google_cloudbuild_trigger")
    assert trigger.block("approval_config")["approval_required"] is True
    assert trigger.values["service_account"].endswith(_DEPLOYER.removeprefix("serviceAccount:"))


_BOUND: Final = {
    "cloudsql.client": "'projects/example-registry/instances/slipway'",
    "cloudsql.instanceUser": "'projects/example-registry/instances/slipway'",
    "storage.objectViewer": "'projects/_/buckets/gcf-v2-sources-123456789012-europe-west1'",
}


def test_rights_in_the_whole_project_are_bound_to_what_they_are_for(deployment: Deployment) -> None:
    for grant in deployment.grants():
        if not grant.on and grant.role != "logging.logWriter" and not _is_of_pipeline(grant):
            assert _BOUND[grant.role] in grant.condition, grant


def test_a_program_runs_as_its_own_account(deployment: Deployment) -> None:
    accounts = [deployment.function(program)["service_account_email"] for program in PROGRAMS]
    assert accounts == [deployment.account(program) for program in PROGRAMS]
    assert len(set(accounts)) == len(PROGRAMS)
    for function in deployment.all("google_cloudfunctions2_function"):
        assert function.block("build_config")["service_account"].endswith(deployment.account("build"))
    if deployment.has_front():
        service = deployment.one("google_cloud_run_v2_service").block("template")
        assert service["service_account"] == deployment.account("api")


def test_only_the_registry_is_public(deployment: Deployment) -> None:
    public = {grant.on for grant in deployment.grants() if grant.member in _EVERYBODY}
    services = {one.values["name"] for one in deployment.all("google_cloud_run_v2_service") if _is_open(one.values)}
    assert public | services == {"slipway" if deployment.has_front() else "slipway-api"}
    ingress = {program: deployment.function(program)["ingress_settings"] for program in PROGRAMS}
    assert ingress["gc"] == "ALLOW_INTERNAL_ONLY"
    assert not deployment.has_front() or ingress["api"] == "ALLOW_INTERNAL_ONLY"


def _is_open(service: object) -> bool:
    return isinstance(service, dict) and service["invoker_iam_disabled"] is True


def test_a_domain_is_the_only_way_in(deployment: Deployment) -> None:
    if not list(deployment.all("google_compute_backend_service")):
        pytest.skip("without a domain")
    backend = deployment.one("google_compute_backend_service").values
    assert backend["security_policy"]
    assert backend["load_balancing_scheme"] == "EXTERNAL_MANAGED"
    if deployment.has_front():
        service = deployment.one("google_cloud_run_v2_service").values
        assert service["ingress"] == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
        assert service["default_uri_disabled"] is True
    else:
        assert deployment.function("api")["ingress_settings"] == "ALLOW_INTERNAL_AND_GCLB"
    rules = deployment.one("google_compute_security_policy").values["rule"]
    assert [rule["action"] for rule in sorted(rules, key=lambda rule: rule["priority"])] == [
        "throttle",
        "throttle",
        "allow",
    ]


def test_names_and_passwords_are_tried_slowly_at_every_door(deployment: Deployment) -> None:
    """They are taken at /token, however that is written, and with each request to /api/v1/."""
    policies = list(deployment.all("google_compute_security_policy"))
    if not policies:
        pytest.skip("without a domain")
    rules = sorted(policies[0].values["rule"], key=lambda rule: rule["priority"])
    expression = rules[0]["match"][0]["expr"][0]["expression"]
    for door in ("request.path.urlDecode() == '/token'", "['authorization'].lower().startsWith('basic ')"):
        assert door in expression
    slow, fast = (rule["rate_limit_options"][0]["rate_limit_threshold"][0]["count"] for rule in rules[:2])
    assert slow * 10 <= fast


def test_no_bucket_is_public_or_keeps_what_was_deleted_unasked(deployment: Deployment) -> None:
    kept = {}
    for bucket in deployment.all("google_storage_bucket"):
        assert bucket.values["uniform_bucket_level_access"] is True
        assert bucket.values["public_access_prevention"] == "enforced"
        assert not bucket.values["versioning"]
        assert not bucket.values["lifecycle_rule"]
        kept[bucket.name] = bucket.block("soft_delete_policy")["retention_duration_seconds"]
    assert kept["source"] == 0
    assert kept["blobs"] in (0, 7 * 86_400)
    assert deployment.one("google_storage_bucket", "blobs").values["force_destroy"] is False


def test_pages_may_read_blobs_from_the_bucket_where_they_may_read_the_registry(deployment: Deployment) -> None:
    rules = deployment.one("google_storage_bucket", "blobs").values["cors"]
    if not deployment.shares():
        assert not rules
        return
    (rule,) = rules
    # The same as on one machine, where a browser tries it.
    assert {
        "origin": rule["origin"],
        "method": rule["method"],
        "responseHeader": rule["response_header"],
        "maxAgeSeconds": rule["max_age_seconds"],
    } == BUCKET_CORS


def test_the_database_is_private_backed_up_and_without_passwords(deployment: Deployment) -> None:
    instance = deployment.one("google_sql_database_instance")
    settings, flags = instance.block("settings"), _flags(deployment)
    addresses, backups = settings["ip_configuration"][0], settings["backup_configuration"][0]
    is_private = deployment.environment("api")["SLIPWAY_DATABASE"].endswith("network=private")
    assert addresses["ipv4_enabled"] is not is_private
    assert bool(addresses["private_network"]) is is_private
    assert not addresses["authorized_networks"]
    assert addresses["ssl_mode"] == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    assert backups["enabled"]
    assert backups["point_in_time_recovery_enabled"]
    assert settings["deletion_protection_enabled"]
    assert instance.values["deletion_protection"] is True
    assert settings["edition"] == "ENTERPRISE"
    assert flags["cloudsql.iam_authentication"] == "on"
    for user in deployment.all("google_sql_user"):
        assert user.values["type"] == "CLOUD_IAM_SERVICE_ACCOUNT"
        assert user.values["password"] is None
        assert f"{user.values['name']}.gserviceaccount.com" == deployment.account(user.index)
    roles = {user.index: user.values["database_roles"] for user in deployment.all("google_sql_user")}
    assert roles == {"api": None, "deliver": None, "gc": None, "migrate": ["cloudsqlsuperuser"], "work": None}


def _flags(deployment: Deployment) -> dict[str, str]:
    flags = deployment.one("google_sql_database_instance").block("settings")["database_flags"]
    return {flag["name"]: flag["value"] for flag in flags}


def test_the_connections_of_all_instances_fit(deployment: Deployment) -> None:
    most = {program: deployment.function(program)["max_instance_count"] for program in PROGRAMS}
    if deployment.has_front():
        service = deployment.one("google_cloud_run_v2_service")
        most["registry"] = service.block("scaling")["max_instance_count"]
        assert service.block("template", "scaling")["max_instance_count"] == most["registry"]
    pools = {
        program: int(deployment.environment(program).get("SLIPWAY_DATABASE_CONNECTIONS", "2"))
        for program in deployment.programs()
    }
    wanted = sum(most[program] * pools[program] for program in most)
    assert wanted == deployment.outputs["connections"]["wanted"]
    assert wanted <= 0.8 * (int(_flags(deployment)["max_connections"]) - 10)


def test_threads_and_memory_follow_concurrency(deployment: Deployment) -> None:
    function = deployment.function("api")
    concurrency, memory = function["max_instance_request_concurrency"], function["available_memory"]
    programs = ["api"]
    if deployment.has_front():
        programs.append("registry")
        service = deployment.one("google_cloud_run_v2_service").block("template")
        concurrency = service["max_instance_request_concurrency"]
        memory = deployment.container("app")["resources"][0]["limits"]["memory"]
    for program in programs:
        environment = deployment.environment(program)
        assert int(environment["THREADS"]) == concurrency
        chunks = concurrency * int(environment["SLIPWAY_UPLOAD_CHUNK_BYTES"])
        assert chunks <= int(memory.removesuffix("Mi")) * 1024 * 1024 / 2


def test_whoever_waits_waits_longer_than_whoever_works(deployment: Deployment) -> None:
    for program in TRIGGERED:
        subscription = deployment.one("google_pubsub_subscription", "trigger", program).values
        assert BUDGET_SECONDS < deployment.function(program)["timeout_seconds"] <= subscription["ack_deadline_seconds"]
    if deployment.has_front():
        timeout = int(deployment.one("google_cloud_run_v2_service").block("template")["timeout"].removesuffix("s"))
        configuration = _nginx_conf(deployment)
        for name in ("proxy_read_timeout", "proxy_send_timeout"):
            assert int(re.findall(rf"{name} (\d+)s;", configuration)[0]) >= timeout
        streams = re.findall(r"http2_max_concurrent_streams (\d+);", configuration)
        concurrency = deployment.one("google_cloud_run_v2_service").block("template")
        assert int(streams[0]) >= concurrency["max_instance_request_concurrency"]


def _nginx_conf(deployment: Deployment) -> str:
    (variable,) = deployment.container("front")["env"]
    text: str = variable["value"]
    return text


def test_the_front_takes_the_requests_and_waits_for_the_app(deployment: Deployment) -> None:
    if not deployment.has_front():
        pytest.skip("without the front")
    front, app = deployment.container("front"), deployment.container("app")
    assert front["ports"] == [{"name": "h2c", "container_port": 8080}]
    assert not app["ports"]
    assert front["depends_on"] == ["app"]
    port = deployment.environment("registry")["PORT"]
    probe = app["startup_probe"][0]
    assert str(probe["http_get"][0]["port"]) == port
    assert probe["http_get"][0]["path"] == startup.PATH, "an instance that can't reach its database gets no requests"
    assert probe["period_seconds"] * probe["failure_threshold"] == 240
    assert f"server 127.0.0.1:{port} " in _nginx_conf(deployment)
    assert len(_nginx_conf(deployment)) < 32 * 1024, "what a variable may hold"
    assert app["image"].startswith("europe-west1-docker.pkg.dev/example-registry/"), "what the function's build made"


def test_every_alert_has_a_section_that_says_what_to_do(deployment: Deployment) -> None:
    alerts = deployment.all("google_monitoring_alert_policy")
    titles = {alert.values["display_name"].removeprefix("slipway: ") for alert in alerts}
    headings = set(re.findall(r"^### (.+)$", _OPERATIONS.split("## Alerts")[1], re.MULTILINE))
    assert titles == headings


def test_what_is_measured_is_what_the_programs_log(deployment: Deployment) -> None:
    sources = [(ROOT / "terraform" / "nginx.conf").read_text()]
    sources += [path.read_text() for path in (ROOT / "functions").rglob("*.py")]
    code = "\n".join(sources)
    for metric in deployment.all("google_logging_metric"):
        (messages,) = re.findall(r"jsonPayload\.message=\(([^)]+)\)", metric.values["filter"])
        for message in messages.split(" OR "):
            assert message in code, message
        fields = re.findall(r"EXTRACT\(jsonPayload\.(\w+)\)", json.dumps(metric.values))
        for field in fields + re.findall(r"jsonPayload\.(\w+)[=:>]", metric.values["filter"]):
            assert re.search(rf"[\"' (,{{]{field}[\"']?[=:]", code), field


def test_an_alert_on_a_share_has_a_least_count_beside_it(deployment: Deployment) -> None:
    """One of thirty requests is a large share of them."""
    shares = 0
    for alert in deployment.all("google_monitoring_alert_policy"):
        thresholds = [one["condition_threshold"][0] for one in alert.values["conditions"] if one["condition_threshold"]]
        if any(one["denominator_filter"] for one in thresholds):
            shares += 1
            assert alert.values["combiner"] == "AND"
            (count,) = (one for one in thresholds if not one["denominator_filter"])
            assert count["threshold_value"] >= 5
    assert shares == 1


def test_what_asks_for_the_registry_waits_for_it(terraform: Terraform) -> None:
    """Metrics of the log take minutes to appear, and an uptime check asks from its first minute on."""
    resources = terraform.plan(f"-var-file={EXAMPLES['tiny']}")["configuration"]["root_module"]["resources"]
    waiting = {one["name"]: one for one in resources if one["type"] in ("google_monitoring_alert_policy", _UPTIME)}
    assert _UPTIME in json.dumps(waiting.pop("unreachable"))
    assert waiting.keys() == {"threshold", "no_gc_run", "registry"}
    for one in waiting.values():
        assert {"google_cloud_run_v2_service.registry", "google_cloudfunctions2_function.api"} <= {*one["depends_on"]}


def test_requests_are_logged_once(deployment: Deployment) -> None:
    """The registry's line says more; beside it only what went wrong is kept, and a sample of the load balancer's."""
    exclusion = deployment.one("google_logging_project_exclusion").values
    assert 'log_id("run.googleapis.com/requests")' in exclusion["filter"]
    assert "httpRequest.status<500" in exclusion["filter"]
    assert "httpRequest.status!=429" in exclusion["filter"], "the platform's own, when all instances are in use"
    for backend in deployment.all("google_compute_backend_service"):
        assert backend.block("log_config")["sample_rate"] <= 0.1


def test_the_databases_disk_stops_growing_somewhere(deployment: Deployment) -> None:
    settings = deployment.one("google_sql_database_instance").block("settings")
    assert 2 <= settings["disk_autoresize_limit"] / settings["disk_size"] <= 4


@pytest.mark.terraform
def test_how_far_the_disk_may_grow_can_be_raised(new_terraform: NewTerraform) -> None:
    """Its size can't, by a variable: a smaller one than it has grown to would make another instance."""
    terraform, variables = new_terraform(), f"-var-file={EXAMPLES['tiny']}"
    terraform.run("apply", "-input=false", "-auto-approve", variables)
    for name, expected in (("database_disk_limit_gb", ["update"]), ("database_disk_gb", ["no-op"])):
        plan = terraform.plan(variables, f"-var=sizing={{{name}=500}}")
        instance = "google_sql_database_instance.this[0]"
        (change,) = (one["change"] for one in plan["resource_changes"] if one["address"] == instance)
        assert change["actions"] == expected, name


def test_the_dashboard_is_a_document(deployment: Deployment) -> None:
    board = json.loads(deployment.one("google_monitoring_dashboard").values["dashboard_json"])
    assert board == without_zeros(board), "they are not given back, and would be a change in every plan"
    assert board["displayName"] == "slipway"
    assert len(board["mosaicLayout"]["tiles"]) == 14


def test_what_is_stored_is_encrypted_with_the_key_that_was_given(deployment: Deployment) -> None:
    keys = {grant.on for grant in deployment.grants() if grant.role.endswith("cryptoKeyEncrypterDecrypter")}
    if not keys:
        pytest.skip("without a key")
    stored = [bucket.block("encryption")["default_kms_key_name"] for bucket in deployment.all("google_storage_bucket")]
    stored += [topic.values["kms_key_name"] for topic in deployment.all("google_pubsub_topic")]
    stored += [one.values["kms_key_name"] for one in deployment.all("google_artifact_registry_repository")]
    stored.append(deployment.one("google_sql_database_instance").values["encryption_key_name"])
    assert {str(key).rsplit("/", 1)[-1] for key in stored} == keys
    for resource in deployment.resources:
        # An object has its bucket's, which the cloud fills in.
        for name, value in _keys(resource.values) if resource.type != "google_storage_bucket_object" else ():
            assert str(value).rsplit("/", 1)[-1] in keys, f"{resource.address} has a {name}"


def _keys(values: object) -> Iterator[tuple[str, object]]:
    """The arguments that name a key, wherever they stand; what the cloud says of a key is none."""
    if isinstance(values, dict):
        for name, value in values.items():
            if name in ("kms_key_name", "default_kms_key_name", "encryption_key_name", "encryption_key"):
                yield name, value
            yield from _keys(value)
    elif isinstance(values, list):
        for value in values:
            yield from _keys(value)


def test_the_registry_is_asked_as_a_client_asks(deployment: Deployment) -> None:
    check = deployment.one("google_monitoring_uptime_check_config")
    is_open = deployment.environment("api")["SLIPWAY_ACCESS"] == "open"
    expected = 200 if is_open else 401
    assert check.block("http_check", "accepted_response_status_codes")["status_value"] == expected
    assert check.block("monitored_resource")["labels"]["host"] == deployment.outputs["registry_host"]
