"""The project that the fake of Google's APIs tells of, and what its caller may do in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from deploy.preflight.choice import Choice
from deploy.preflight.needs import AGENTS, ASKED, apis
from deploy.preflight.rights import by_role

PROJECT: Final = "example-registry"
REGION: Final = "europe-west1"
NUMBER: Final = "123456789012"
TINY: Final = Choice(PROJECT, REGION, "tiny")
# What the roles that docs/deploy.md asks for have besides, of what is read here.
_READING: Final = {
    "resourcemanager.projects.get",
    "cloudquotas.quotas.get",
    "orgpolicy.policy.get",
    "compute.projects.get",
}


def permissions_of(choice: Choice, *, without: tuple[str, ...] = ()) -> set[str]:
    """Returns those of whoever has the roles that the choice takes, but for some."""
    return _READING | {one for role, ones in by_role(choice).items() if role not in without for one in ones}


@dataclass
class GoogleProject:
    """As an owner has it who has prepared it, unless a test says otherwise.

    `quotas` is in Cloud Run's units; `policies` has the rules of each constraint that is set; `elsewhere` what the
    caller may do on what isn't the project's, by the end of its path.
    """

    caller: str = "anna@example.com"
    parent: str = "organizations/4711"
    is_billed: bool = True
    state: str = "ACTIVE"
    enabled: set[str] = field(default_factory=lambda: {f"{name}.googleapis.com" for name in ASKED} | set(apis(TINY)))
    agents: set[str] = field(default_factory=lambda: {*AGENTS, "storage"})
    permissions: set[str] = field(default_factory=lambda: permissions_of(TINY))
    quotas: dict[str, int] = field(
        default_factory=lambda: {"CpuAllocPerProjectRegion": 20_000, "MemAllocPerProjectRegion": 40 * 2**30}
    )
    compute: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"NETWORKS": (1, 15), "SUBNETWORKS": (20, 275), "SECURITY_POLICIES": (0, 10)}
    )
    policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)
    elsewhere: dict[str, set[str]] = field(default_factory=dict)
    # How many requests an API that was just enabled refuses.
    slow_to_enable: int = 0
    changes: list[str] = field(default_factory=list)


def new_project() -> GoogleProject:
    """Makes what `gcloud projects create` leaves, with an account to bill."""
    enabled = {f"{name}.googleapis.com" for name in ("serviceusage", "logging", "monitoring", "storage")}
    return GoogleProject(parent="", enabled=enabled, agents=set())
