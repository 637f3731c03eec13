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
_MORE: Final = ".ci/install-clients-more"


@dataclass(frozen=True, slots=True)
class Program:
    """One client: a name on the PATH or a file under build/. One that tells no version has it in its path."""

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
    "buildctl": Program("build/gobin/buildctl", _MORE),
    "buildkitd": Program("build/gobin/buildkitd", _MORE),
    "distribution 3": Program("build/gobin/registry", _MORE),
    "runc": _debian("runc"),
    "cosign": Program("build/gobin/cosign", _MORE, ("version",)),
    "notation": Program("build/gobin/notation", _MORE, ("version",)),
    "chromium": _debian("chromium"),
    "java": _debian("java", "default-jre-headless"),
    "node": _debian("node", "nodejs"),
    "oci-client (Rust)": Program("build/clients-more/oci-client-0.18.0/release/oci-client-steps", _MORE, ()),
    "jib-core (Java)": Program("build/clients-more/jib-core-0.28.1/jib-core-0.28.1.jar", _MORE, ()),
    "oci-registry-client (npm)": Program(
        "build/clients-more/oci-registry-client-0.2.0/node_modules/oci-registry-client", _MORE, ()
    ),
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
    said = _told(path, program.version) if program.version else program.place
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found.group() if found else "-"


def _told(path: Path, arguments: Sequence[str]) -> str:
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False).stdout
