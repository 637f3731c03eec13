"""What does not fit together is refused by the plan, in words; the simulated provider refuses what a real one would."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.terraform.conftest import NewTerraform
from tests.terraform.core import ROOT, Terraform
from tests.terraform.readme import variables

pytestmark = pytest.mark.terraform

_TINY = "-var-file=examples/tiny.tfvars"
_PIPELINE = {"state_bucket": "state", "variables": "x.tfvars"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"sizing": {"registry_max_instances": 40}}, "may open 212 connections"),
        ({"sizing": {"database_max_connections": 25}}, "leave 12"),
        ({"sizing": {"database_tier": "db-f1-micro"}}, "connections take 448 MiB"),
        ({"sizing": {"registry_concurrency": 80}}, "more than half of 512 MiB"),
        ({"sizing": {"upload_chunk_mib": 32}}, "more than half of 512 MiB"),
        ({"sizing": {"registry_processors": 2}}, "may open 52 connections"),
        ({"sizing": {"registry_processors": 3}}, "1, 2, 4, 6 or 8"),
        ({"sizing": {"registry_concurrency": 0}}, "from 1 to 1000"),
        ({"sizing": {"gc_connections": -1}}, "No number of them is negative"),
        ({"sizing": {"database_tier": "db-perf-optimized-N-2"}}, "as the edition ENTERPRISE has them"),
        ({"size": "huge"}, "One of tiny, team, large"),
        ({"name": "ab"}, "6 to 20"),
        ({"project_id": "X"}, "6 to 30"),
        ({"region": "europe"}, "looks like europe-west1"),
        ({"labels": {"Team": "x"}}, "starts with a lower-case letter"),
        ({"access": "open"}, "needs accept_open"),
        ({"accept_open": True}, "needs accept_open"),
        ({"access": "external"}, "needs the issuer"),
        ({"access": "external", "external": {"issuer": "i", "realm": "https://x/"}}, "either keys or jwks_url"),
        ({"access": "external", "external": {"issuer": "i", "realm": "/x", "keys": "k"}}, "absolute https address"),
        ({"settings": {"SLIPWAY_DATABASE": "x"}}, "derived from another variable"),
        ({"settings": {"SLIPWAY_TYPO": "x"}}, "isn't known"),
        ({"settings": {"SLIPWAY_CORS_ORIGINS": "https://x.example"}}, "derived from another variable"),
        ({"cors_origins": ["*"]}, "as browsers send them"),
        ({"cors_origins": ["https://x.example/"]}, "as browsers send them"),
        ({"nginx_image": "library/nginx:1.22"}, "before 1.25.1"),
        ({"nginx_image": "library/nginx"}, "with a tag or a digest"),
        ({"blob_soft_delete_days": 3}, "from 7 to 90"),
        ({"deployers": ["allUsers"]}, "never allUsers"),
        ({"domain": "Registry"}, "in lower case"),
        ({"kms_key": "key"}, "keyRings"),
        ({"network": {"network": "n", "subnetwork": "s"}, "private_database": False}, "only with private_database"),
        ({"subnetwork_range": "10.0.0.0/28"}, "/26 or larger"),
        ({"budget": {"billing_account": "x", "amount": 1}}, "billing account like"),
        ({"token_keys_version": 0}, "whole number from 1"),
        ({"pepper_version": 1.5}, "whole number from 1"),
        ({"database_instance": "Mine"}, "lower-case letters"),
        ({"size": "large"}, "60 vCPU and 50 GiB, and the quota is 20 vCPU and 40 GiB"),
        ({"quota": {"vcpus": 5}}, "6 vCPU and 3 GiB, and the quota is 5 vCPU"),
        ({"quota": {"vcpus": 0}}, "At least 1 of each"),
        ({"pipeline": {"state_bucket": "gs://x", "variables": "x"}}, "without gs://"),
        ({"pipeline": {**_PIPELINE, "promoted_from": "gs://x"}}, "without gs://"),
        ({"pipeline": {**_PIPELINE, "github": {"repository_id": "me/it", "environment": "x"}}}, "told by its number"),
        (
            {"pipeline": {**_PIPELINE, "github": {"repository_id": "1", "environment": "x' || '"}}},
            "letters, digits and",
        ),
        ({"pipeline": {**_PIPELINE, "cloud_build": {"repository": "me/it"}}}, "connections"),
        ({"pipeline": {**_PIPELINE, "promotes_to": ["allUsers"]}}, "members like serviceAccount"),
        ({"database_version": "POSTGRES_14"}, "POSTGRES_15 to POSTGRES_18"),
        ({"trusted_proxies": 11}, "From 0 to 10"),
        ({"gc_schedule": "hourly"}, "Five fields"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    variables: dict[str, object], expected: str, terraform: Terraform, tmp_path: Path
) -> None:
    chosen = tmp_path / "chosen.tfvars.json"
    chosen.write_text(json.dumps(variables))
    assert expected in terraform.refusal(_TINY, f"-var-file={chosen}")


def test_every_variable_is_described_typed_and_of_use() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "terraform").glob("*.tf"))
    for name, body in variables().items():
        assert "  description = " in body, name
        assert "  type        = " in body or "  type = " in body, name
        # Both values of a yes or no are good.
        assert "validation {" in body or re.search(r"^  type +(= bool)", body, re.MULTILINE), name
        assert f"var.{name}" in code, name


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("triggers.tf", "ack_deadline_seconds =", "ack_deadline_second =", "ack_deadline_second"),
        ("triggers.tf", "schedule    = each.value.schedule", "schedule    = []", "schedule"),
        ("blobs.tf", "google_project_iam_custom_role.api_blobs.id", "google_project_iam_custom_role.other.id", "other"),
        ("registry.tf", "INGRESS_TRAFFIC_ALL", "INGRESS_ALL", "ingress takes one of"),
        ("registry.tf", '"${local.registry_seconds}s"', '"${local.registry_seconds}"', "seconds with an s"),
        ("registry.tf", 'depends_on = ["app"]', 'depends_on = ["apps"]', "no container is named apps"),
        ("secrets.tf", "secret_data_wo_version = 1", "", "secret_data_wo_version"),
        ("database.tf", "settings {", 'connection_name = "mine"\n  settings {', "connection_name"),
        ("accounts.tf", '"${var.name}-${each.key}"', '"${var.name}-${each.key}-of-the-registry-itself"', "not match"),
        ("triggers.tf", "base64encode(jsonencode({ (each.value.message) = 1 }))", '"{}"', "not base64"),
    ],
)
def test_the_simulated_provider_refuses_what_the_real_one_would(
    file: str, old: str, new: str, expected: str, new_terraform: NewTerraform
) -> None:
    terraform = new_terraform()
    path = terraform.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert expected in terraform.refusal(_TINY)
