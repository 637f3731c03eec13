"""Each rule of the simulated project bites on a small configuration, and only that rule does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.terraform.conftest import GOOGLE, read_schema
from tests.terraform.core import find_terraform
from tests.terraform.simulated.project import RULES, Project
from tests.terraform.small import small

pytestmark = pytest.mark.terraform

_UNATTENDED: Final = ("-input=false", "-no-color", "-auto-approve")
_FUNCTION: Final = """
resource "google_cloudfunctions2_function" "api" {
  name     = "api"
  location = "europe-west1"
  build_config {
    service_account = "projects/p/serviceAccounts/build@example.com"
    source {
      storage_source {
        bucket = "source"
        object = "api.zip"
      }
    }
  }
  service_config {
    available_cpu      = "1"
    available_memory   = "512Mi"
    max_instance_count = 1
    %s
  }
}
"""
_METRIC_AND_ALERT: Final = """
resource "google_logging_metric" "faults" {
  name   = "faults"
  filter = "severity=ERROR"
}

resource "google_monitoring_alert_policy" "faults" {
  display_name = "faults"
  combiner     = "OR"
  conditions {
    display_name = "faults"
    condition_absent {
      filter   = "metric.type = \\"logging.googleapis.com/user/${google_logging_metric.faults.name}\\""
      duration = "3600s"
    }
  }
}
"""
_NETWORK: Final = """
resource "google_compute_network" "this" {
  name = "network"
}
"""
_SUBNETWORK: Final = (
    _NETWORK
    + """
resource "google_compute_subnetwork" "this" {
  name    = "subnetwork"
  network = google_compute_network.this.id
}
"""
)
_INSTANCE: Final = """
resource "google_sql_database_instance" "this" {
  name                = "mine"
  database_version    = "POSTGRES_17"
  deletion_protection = false
  settings {
    tier = "db-f1-micro"
    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
    }
  }
  depends_on = [google_service_networking_connection.services]
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = ["range"]
}
"""
_USER: Final = """
resource "google_sql_user" "this" {
  instance = "shared"
  name     = "api@p.iam"
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
}
"""
_AGENT: Final = """
resource "google_pubsub_topic_iam_member" "agent" {
  topic  = "dead"
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
}
"""
_SERVICE: Final = """
resource "google_cloud_run_v2_service" "registry" {
  name                = "registry"
  location            = "europe-west1"
  deletion_protection = false
  %s
  scaling {
    max_instance_count = 40
  }
  template {
    containers {
      image = "image"
      resources {
        limits = { cpu = "1.5", memory = "768Mi" }
      }
    }
  }
}
"""
_DASHBOARD: Final = """
resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({ mosaicLayout = { tiles = [{ xPos = 0, width = 6 }, { xPos = 6, width = 6 }] } })
}
"""


@dataclass(frozen=True)
class Case:
    """`refused` is what the cloud says; empty for a plan that is never empty."""

    rule: str
    text: str
    refused: str
    is_of_destroy: bool = False
    project: dict[str, Any] = field(default_factory=dict)


_SHARED: Final = {"instances": {"shared": {"cloudsql.iam_authentication": "on"}}}
_CASES: Final = [
    Case("agents", _AGENT, "gcp-sa-pubsub.iam.gserviceaccount.com does not exist"),
    Case("copied source", _FUNCTION % "", "Access to bucket gcf-v2-sources-123456789012-europe-west1 denied"),
    Case("late metrics", _METRIC_AND_ALERT, "Cannot find metric(s)"),
    Case("quota", _SERVICE % "", "Max instances must be set to 13 or fewer", project={"memory_gib": 1000}),
    Case("no zeros", _DASHBOARD, ""),
    Case("peering in use", _NETWORK + _INSTANCE, "are still using this connection", is_of_destroy=True),
    Case(
        "held addresses",
        _SUBNETWORK + _FUNCTION % "direct_vpc_network_interface {\nnetwork=google_compute_network.this.id\n"
        "subnetwork=google_compute_subnetwork.this.id\n}\n",
        "is already being used by serverless-ipv4-1",
        is_of_destroy=True,
        project={"rules": ("held addresses",)},
    ),
    Case("iam login", _USER, "need the flag", project={"instances": {"shared": {}}}),
    Case("taken users", _USER + _USER.replace('"this"', '"again"'), "exists already", project=_SHARED),
    Case(
        "constraints",
        _SERVICE % "invoker_iam_disabled = true",
        "constraints/run.managed.requireInvokerIam is violated",
        project={"vcpus": 100, "constraints": ["run.managed.requireInvokerIam"]},
    ),
]


def _outcome(case: Case, rules: Sequence[str], folder: Path) -> str:
    """What is said against it: by the apply, by the plan after it, or by the destroy."""
    command = find_terraform()
    if command is None:
        pytest.skip("no terraform here")
    project = Project(**{**case.project, "rules": rules})
    with small(command, read_schema(GOOGLE[0]), folder, case.text, project) as terraform:
        applied = terraform.run("apply", *_UNATTENDED, allowed=(0, 1))
        if applied.returncode:
            return "apply: " + " ".join(applied.stderr.split())
        if terraform.run("plan", "-detailed-exitcode", "-no-color", allowed=(0, 2)).returncode:
            return "plan: changes again"
        destroyed = terraform.run("destroy", *_UNATTENDED, allowed=(0, 1))
        return "destroy: " + " ".join(destroyed.stderr.split()) if destroyed.returncode else ""


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.rule)
def test_a_rule_bites(case: Case, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    said = _outcome(case, case.project.get("rules", tuple(RULES)), tmp_path / "with")
    step = "destroy" if case.is_of_destroy else "apply" if case.refused else "plan"
    assert said.startswith(f"{step}: ")
    assert case.refused in said
    assert _outcome(case, (), tmp_path / "without") == ""
    record_property("rule", f"{case.rule}: {RULES[case.rule]} Caught at {step}: {case.refused or 'it changes again'}")


def test_every_rule_is_shown_to_bite() -> None:
    assert sorted(case.rule for case in _CASES) == sorted(RULES)
