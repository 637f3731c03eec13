"""What terraform/ takes of a project: APIs, agents and quota. tests/terraform/test_preflight.py compares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from deploy.preflight.choice import GITHUB, Choice

# What this program asks itself, besides what Terraform enables.
ASKED: Final = ("serviceusage", "cloudresourcemanager", "cloudbilling", "cloudquotas", "orgpolicy")
_ALWAYS: Final = (
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudscheduler",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "sqladmin",
    "storage",
)
# The agents that something is granted to, or that act in a network or with a key: by the service, what stands in their
# addresses. Storage's is made by asking for its name.
AGENTS: Final = {
    "artifactregistry": "gcp-sa-artifactregistry",
    "cloudfunctions": "gcf-admin-robot",
    "pubsub": "gcp-sa-pubsub",
    "run": "serverless-robot-prod",
    "secretmanager": "gcp-sa-secretmanager",
    "sqladmin": "gcp-sa-cloud-sql",
}
# What one instance of the registry takes: a container of the function, and nginx before it.
_APP_VCPUS, _FRONT_VCPUS = 1.0, 0.5
_FRONT_MIB: Final = 256
# Most instances of the registry, and the memory of its app in MiB.
_SIZES: Final = {"tiny": (4, 512), "team": (12, 512), "large": (40, 1024)}
# A new project's, which terraform's variable `quota` takes for granted.
NEW_PROJECT_VCPUS, NEW_PROJECT_GIB = 20.0, 40.0
_STEP: Final = 16
_SPARE: Final = 1.25


def apis(choice: Choice) -> list[str]:
    """Returns those that Terraform enables, as `run.googleapis.com`."""
    names = [
        *_ALWAYS,
        *["compute"] * (choice.private_database or choice.has_domain),
        *["servicenetworking"] * choice.private_database,
        *["cloudkms"] * (choice.kms_key is not None),
        *["sts"] * (GITHUB in choice.pipelines),
        *["billingbudgets"] * (choice.budget is not None),
    ]
    return [f"{name}.googleapis.com" for name in names]


@dataclass(frozen=True, slots=True)
class Footprint:
    """All instances of the registry at once."""

    instances: int
    vcpus: float
    gib: float

    def to_ask_for(self) -> tuple[int, int]:
        """Gives vCPU and GiB: a quarter on top, for two revisions at once, in round figures."""
        vcpus, gib = (math.ceil(_SPARE * needed / _STEP) * _STEP for needed in (self.vcpus, self.gib))
        return vcpus, gib


def footprint(choice: Choice) -> Footprint:
    instances, mebibytes = _SIZES[choice.size]
    vcpus = _APP_VCPUS + _FRONT_VCPUS * choice.http2
    return Footprint(instances, instances * vcpus, instances * (mebibytes + _FRONT_MIB * choice.http2) / 1024)


def compute_quotas(choice: Choice) -> dict[str, int]:
    """Returns how many of what Compute Engine counts are made, by the name of its metric."""
    network = {"NETWORKS": 1, "SUBNETWORKS": 1} if choice.makes_network else {}
    front = {
        "BACKEND_SERVICES": 1,
        "SECURITY_POLICIES": 1,
        "SSL_CERTIFICATES": 1,
        "TARGET_HTTPS_PROXIES": 1,
        "URL_MAPS": 1,
    }
    return network | (front if choice.has_domain else {})
