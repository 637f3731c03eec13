"""The nginx of this machine, with the configuration and the command of the ingress container."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.rehearsal.instance import Container
from tests.terraform.core import ROOT

MISSING: Final = "install nginx: apt-get install nginx-light"
_FIRST_WITH_DIRECTIVE: Final = (1, 25, 1)


def find_nginx() -> Path | None:
    """SLIPWAY_NGINX names another one than the machine's."""
    found = os.environ.get("SLIPWAY_NGINX") or shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return Path(found) if found else None


def version_of(nginx: Path) -> tuple[int, ...]:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    (found,) = re.findall(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found))


def adapted(configuration: str, nginx: Path, front_port: int, app_port: int, folder: Path) -> str:
    """The container's configuration, with ports and a folder of its own on this machine.

    An nginx before 1.25.1, such as Debian 12's, says HTTP/2 in another way; the rest of the file is the same.
    """
    listen, upstream = (_only(rf"{word} (?:127\.0\.0\.1:)?\d+", configuration) for word in ("listen", "server"))
    text = configuration.replace(listen, f"listen 127.0.0.1:{front_port}")
    text = text.replace(upstream, f"server 127.0.0.1:{app_port}").replace("/tmp/", f"{folder}/")  # noqa: S108
    if version_of(nginx) < _FIRST_WITH_DIRECTIVE:
        text = text.replace("http2 on;", "").replace(f":{front_port};", f":{front_port} http2;")
    return text


def front_container(nginx: Path, front_port: int, app_port: int, folder: Path, seconds: int = 3600) -> Container:
    """Makes it as terraform/ has it, without asking Terraform."""
    values = {
        "front_port": front_port,
        "app_port": app_port,
        "seconds": seconds,
        "streams": 1000,
        "body_kib": 1024,
        "project": "example-registry",
        "startup_path": "/.startup",
    }
    template = (ROOT / "terraform" / "nginx.conf").read_text()
    configuration = re.sub(r"\$\{(\w+)\}", lambda name: str(values[name[1]]), template)
    command = json.loads(_only(r'(?m)^ +("printf .+")$', (ROOT / "terraform" / "registry.tf").read_text()))
    return contained(["/bin/sh", "-c", command], configuration, nginx, (front_port, app_port), folder)


def contained(
    command: Sequence[str], configuration: str, nginx: Path, ports: tuple[int, int], folder: Path
) -> Container:
    """`ports` are the front's and the app's. The container has a folder for temporary files of its own."""
    binaries = folder / "bin"
    binaries.mkdir()
    (binaries / "nginx").symlink_to(nginx)
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "NGINX_CONF": adapted(configuration, nginx, *ports, folder),
    }
    words = [word.replace("/tmp/", f"{folder}/") for word in command]  # noqa: S108
    return Container("front", words, environment, folder, ports[0], folder / "front.log")


def _only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return str(found)
