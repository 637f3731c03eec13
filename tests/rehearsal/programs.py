"""From a release to instances: each program with the command, the environment and the limits that the plan gives it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.guard import HOST, choose_port
from tests.rehearsal.archives import Release
from tests.rehearsal.cloud import Cloud
from tests.rehearsal.instance import Container, Instance
from tests.rehearsal.nginx import contained
from tests.rehearsal.service import Limits

# The platform's limit for a request over HTTP/1 to a container.
_HTTP1_REQUEST_BYTES: Final = 32 << 20
_numbers = itertools.count(1)

Maker = Callable[[], Instance]


@dataclass(frozen=True, slots=True)
class Programs:
    """`packages` is a virtual environment with what the archives lock; each instance gets a folder in `folder`."""

    cloud: Cloud
    packages: Path
    nginx: Path
    folder: Path

    def registry(self, release: Release) -> Maker:
        """The service of two containers: the front, and the app from the image of the function `api`."""
        return lambda: self._registry(release)

    def function(self, release: Release, program: str) -> Maker:
        return lambda: self._function(release, program)

    def registry_limits(self, release: Release) -> Limits:
        template = release.deployment.one("google_cloud_run_v2_service").block("template")
        instances = template["scaling"][0]["max_instance_count"]
        seconds = float(template["timeout"].removesuffix("s"))
        return Limits(template["max_instance_request_concurrency"], instances, seconds)

    def function_limits(self, release: Release, program: str) -> Limits:
        planned = release.deployment.function(program)
        return Limits(
            planned["max_instance_request_concurrency"],
            planned["max_instance_count"],
            float(planned["timeout_seconds"]),
            _HTTP1_REQUEST_BYTES,
        )

    def _registry(self, release: Release) -> Instance:
        folder = self._folder("registry")
        front_port, app_port = choose_port(0), choose_port(0)
        deployment = release.deployment
        told = self.cloud.environment(deployment, "registry")
        app = self._framework(release, "api", {**told, "PORT": str(app_port)}, folder)
        app.startup_path = deployment.container("app")["startup_probe"][0]["http_get"][0]["path"]
        front = self._front(deployment.container("front"), front_port, app_port, folder)
        assert deployment.container("front")["depends_on"] == [app.name]
        return Instance([app, front], front_port)

    def _function(self, release: Release, program: str) -> Instance:
        deployment, port = release.deployment, choose_port(0)
        build = deployment.entry_point(program)
        told = self.cloud.environment(deployment, program)
        told |= {"PORT": str(port), "FUNCTION_TARGET": build, "FUNCTION_SIGNATURE_TYPE": "http"}
        return Instance([self._framework(release, program, told, self._folder(program))], port)

    def _framework(self, release: Release, program: str, told: dict[str, str], folder: Path) -> Container:
        """Starts it as the functions buildpack does, in the folder that the archive was unpacked into."""
        environment = {**told, "HOST": HOST, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [self.packages / "bin" / "functions-framework"]
        return Container("app", command, environment, release.folders[program], int(told["PORT"]), folder / "app.log")

    def _front(self, planned: Any, front_port: int, app_port: int, folder: Path) -> Container:
        configuration = next(one["value"] for one in planned["env"] if one["name"] == "NGINX_CONF")
        command = [*planned["command"], *planned["args"]]
        return contained(command, configuration, self.nginx, (front_port, app_port), folder)

    def _folder(self, name: str) -> Path:
        folder = self.folder / f"{name}-{next(_numbers)}"
        folder.mkdir(parents=True)
        return folder
