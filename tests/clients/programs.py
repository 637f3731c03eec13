"""Where each client is found, how it tells its version, and how to get it when it isn't there."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_BUILD: Final = Path(__file__).parents[2] / "build"
_OPTIONAL: Final = ".ci/install-clients"


@dataclass(frozen=True, slots=True)
class Program:
    """One client: a name on the PATH or a file under build/."""

    place: str
    install: str
    version: Sequence[str] = ("--version",)

    def find(self) -> Path | None:
        if self.place.startswith("build/"):
            path = _BUILD / self.place.removeprefix("build/")
            return path if path.exists() else None
        found = shutil.which(self.place)
        return Path(found) if found else None


def _debian(name: str, package: str | None = None) -> Program:
    return Program(name, f"apt-get install {package or name}")


def _python_package(distribution: str) -> Program:
    tell_version = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return Program("build/clients-venv/bin/python", _OPTIONAL, ("-c", tell_version))


PROGRAMS: Final = {
    "docker": _debian("docker", "docker.io"),
    "dockerd": _debian("dockerd", "docker.io"),
    "containerd": _debian("containerd"),
    "ctr": _debian("ctr", "containerd"),
    "skopeo": _debian("skopeo"),
    "podman": _debian("podman"),
    "buildah": _debian("buildah"),
    "umoci": _debian("umoci"),
    "helm 3": Program("build/helm/helm3", _OPTIONAL, ("version",)),
    "helm 4": Program("build/helm/helm4", _OPTIONAL, ("version",)),
    "crane": Program("build/gobin/crane", _OPTIONAL, ("version",)),
    "oras": Program("build/gobin/oras", _OPTIONAL, ("version",)),
    "regctl": Program("build/gobin/regctl", _OPTIONAL, ("version",)),
    "oras-py": _python_package("oras"),
    "dxf": _python_package("python-dxf"),
    "regshape": _python_package("regshape"),
}


def require_program(name: str) -> Path:
    """The client's path; skips the test, naming what to install, when it isn't there."""
    program = PROGRAMS[name]
    path = program.find()
    if path is None:
        pytest.skip(f"install {name}: {program.install}")
    return path


@cache
def version_of(name: str) -> str:
    """The version a client tells of itself, or a dash."""
    program = PROGRAMS.get(name)
    path = program.find() if program else None
    if program is None or path is None:
        return "-"
    said = subprocess.run([path, *program.version], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", said.stdout)
    return found.group() if found else "-"
