"""The registries that are compared, each on a free port of loopback, with the processes whose CPU time is its own.

Slipway is what `make up` runs. The others are run as their packages are, on the filesystem, with a cache of descriptors
in memory, as CNCF Distribution's own example configures it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.measure import children_of
from benchmarks.rivals.asking import Answer, Job, do, request
from local.guard import HOST, choose_port
from local.processes import Child, Children
from local.programs import ROOT, base_environment, processors
from local.stack import Options, Stack

SLIPWAY: Final = "Slipway"
DEBIAN: Final = "docker-registry 2.8"
DISTRIBUTION: Final = "distribution 3"
# Where `GOBIN=$PWD/build/gobin go install github.com/distribution/distribution/v3/cmd/registry@v3.1.2` puts it.
DISTRIBUTION_PROGRAM: Final = ROOT / "build" / "gobin" / "registry"

_START_SECONDS: Final = 30
_PARTS: Final = {"api": "api", "postgres": "database", "storage": "store"}


@dataclass(frozen=True)
class Registry:
    """`parts` gives the roots of the processes of each part: `api` answers requests; Slipway's database and store are
    parts by themselves. A registry that runs elsewhere has none.
    """

    name: str
    address: str
    parts: Mapping[str, int] = field(default_factory=dict)
    # For what only one kind of registry has.
    stack: Stack | None = None
    program: Path | None = None
    configuration: Path | None = None

    def cpu(self) -> dict[str, dict[int, float]]:
        """Returns the CPU seconds of every process of each part."""
        return {part: {pid: _seconds(pid) for pid in _tree(root)} for part, root in self.parts.items()}

    def cpu_since(self, before: dict[str, dict[int, float]]) -> dict[str, float]:
        """What a process used that has ended meanwhile is not counted."""
        return {
            part: sum(seconds - before[part].get(pid, 0.0) for pid, seconds in processes.items())
            for part, processes in self.cpu().items()
        }


def _tree(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it may end at any moment
        yield pid
        for child in children_of(pid):
            yield from _tree(child)


def _seconds(pid: int) -> float:
    """Reads the clock of another process, all its threads together, by the number that Linux gives it."""
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)
    return 0.0


@contextmanager
def slipway(folder: Path) -> Iterator[Registry]:
    """Starts it as `make up` does: a process for each processor, and durable, for the others write durably as well."""
    with Stack(Options(port=0, data=folder, api_processes=processors())) as stack:
        parts = {part: stack.children.process_of(name) for name, part in _PARTS.items()}
        yield Registry(SLIPWAY, stack.address, parts, stack=stack)


@contextmanager
def distribution(name: str, program: Path, folder: Path, root: Path) -> Iterator[Registry]:
    """CNCF Distribution of either version; `root` is where its blobs lie."""
    folder.mkdir(parents=True, exist_ok=True)
    port = choose_port(0)
    configuration = folder / "config.json"
    configuration.write_text(json.dumps(_configuration(port, root)))
    children = Children()
    child = Child(name, [program, "serve", configuration], folder / "registry.log", base_environment())
    try:
        children.start(child)
        _wait(child, f"{HOST}:{port}")
        parts = {"api": children.process_of(name)}
        yield Registry(name, f"{HOST}:{port}", parts, program=program, configuration=configuration)
    finally:
        children.stop()


def _configuration(port: int, root: Path) -> dict[str, object]:
    return {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"{HOST}:{port}"},
    }


def _wait(child: Child, address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        child.require_running()
        with suppress(ConnectionRefusedError):
            do(address, [_ping()], 1)
            return
        time.sleep(0.05)
    raise TimeoutError(f"{child.name} does not answer")


def _ping() -> Job:
    answer: Answer = yield request("GET", "/v2/")
    answer.require(200)


def programs() -> dict[str, Path]:
    """Returns which versions of CNCF Distribution are installed."""
    debian = shutil.which("docker-registry")
    found = {DEBIAN: Path(debian)} if debian else {}
    return found | ({DISTRIBUTION: DISTRIBUTION_PROGRAM} if DISTRIBUTION_PROGRAM.exists() else {})


def version_of(program: Path) -> str:
    """Returns what it says of itself behind its own path."""
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return told.strip().partition(" ")[2]


@contextmanager
def running(folder: Path, urls: Iterable[str] = (), layout: Path | None = None) -> Iterator[list[Registry]]:
    """Runs Slipway and all that is installed; `urls` are those of registries that run already.

    `layout` is a folder of blobs that all versions of CNCF Distribution share.
    """
    with ExitStack() as opened:
        registries = [opened.enter_context(slipway(folder / "slipway"))]
        for number, (name, program) in enumerate(programs().items()):
            own = folder / str(number)
            registries.append(opened.enter_context(distribution(name, program, own, layout or own / "blobs")))
        registries += [Registry(url, urlsplit(url).netloc) for url in urls]
        yield registries
