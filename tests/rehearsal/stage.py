"""Everything that one rehearsal runs: the cloud's stand-ins, and the four programs behind the simulated platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from local.guard import choose_port
from tests.rehearsal.archives import Release
from tests.rehearsal.client import Client
from tests.rehearsal.cloud import Cloud, most_connections, running_cloud
from tests.rehearsal.front import Front
from tests.rehearsal.programs import Programs
from tests.rehearsal.service import Service

# Requests go from one to the other, so that nothing rests on an instance's memory.
INSTANCES: Final = 2
_MIGRATE_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Stage:
    """`fronts` has each program's: the registry over HTTP/2, and `api`, `gc`, `migrate` as functions over HTTP/1.1."""

    cloud: Cloud
    programs: Programs
    services: Mapping[str, Service]
    fronts: Mapping[str, Front]

    @property
    def registry(self) -> Service:
        return self.services["registry"]

    @property
    def address(self) -> str:
        return self.fronts["registry"].address

    def client(self, repository: str, program: str = "registry") -> Client:
        """Signed in as the administrator; tokens come from the registry, whichever endpoint they are for."""
        client = Client(self.fronts[program].address, self.cloud.administrator, repository)
        client.sign_in()
        return client

    def migrate(self, *lines: str) -> list[str]:
        """What was applied; both lines if none is named."""
        document = {"lines": list(lines)} if lines else {}
        address = f"http://{self.fronts['migrate'].address}/"
        answer = requests.post(address, json=document, timeout=_MIGRATE_SECONDS)
        answer.raise_for_status()
        applied: list[str] = answer.json()["applied"]
        return applied

    def deploy(self, release: Release, program: str, least: int = 1) -> None:
        if program == "registry":
            self.registry.deploy(self.programs.registry(release), least)
        else:
            self.services[program].deploy(self.programs.function(release, program), least)


@contextmanager
def set_stage(release: Release, packages: Path, nginx: Path, folder: Path) -> Iterator[Stage]:
    """A first deployment, as docs/deploy.md has it: apply, migrate, and the registry answers."""
    (folder / "cloud").mkdir()
    with ExitStack() as running:
        cloud = running.enter_context(running_cloud(folder / "cloud", most_connections(release.deployment)))
        cloud.prepare(release.deployment)
        programs = Programs(cloud, packages, nginx, folder / "instances")
        limits = {program: programs.function_limits(release, program) for program in ("api", "gc", "migrate")}
        services = {name: Service(name, limit, speaks_http2=False) for name, limit in limits.items()}
        services["registry"] = Service("registry", programs.registry_limits(release), speaks_http2=True)
        ports = {"registry": cloud.ports.api, "gc": cloud.ports.gc}
        fronts = {}
        for name, service in services.items():
            running.enter_context(service)
            fronts[name] = running.enter_context(Front(service, ports.get(name) or choose_port(0)))
        stage = Stage(cloud, programs, services, fronts)
        stage.deploy(release, "migrate")
        cloud.choose_administrator()
        stage.migrate()
        stage.deploy(release, "registry", INSTANCES)
        for program in ("api", "gc"):
            stage.deploy(release, program)
        yield stage


def memory_of(services: Mapping[str, Service]) -> dict[str, int]:
    """The most that a container of the registry held, by the container's name."""
    peaks: dict[str, Any] = dict(services["registry"].peaks)
    for instance in services["registry"].running():
        for name, peak in instance.peaks.items():
            peaks[name] = max(peaks.get(name, 0), peak)
    return peaks
