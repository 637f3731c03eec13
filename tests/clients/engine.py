"""Private engines: a dockerd and a containerd of the tests' own, each with all of its state in one temporary folder."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.clients.command import Client, CommandFailedError, isolated_environment
from tests.clients.programs import require_program

_SECONDS_TO_START: Final = 30
_SECONDS_TO_STOP: Final = 20
# Plain where the temporary folder's file system allows it, else the slow one that works everywhere.
_DOCKER_STORAGE_DRIVERS: Final = ("overlay2", "vfs")

_CONTAINERD_CONFIG: Final = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A short path (sockets need one), emptied at once at the end: pytest's own folders would keep gigabytes."""
    # podman makes an image's name of the path, and some of mkdtemp's random names are no valid ones.
    folder = Path(tempfile.gettempdir(), f"slipway-{secrets.token_hex(4)}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        unmount_under(folder)
        shutil.rmtree(folder, ignore_errors=True)


def unmount_under(folder: Path) -> None:
    """Unmounts what an engine left mounted, the innermost first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split(" ")[1] for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, timeout=20)


def require_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("an engine of one's own takes root: run the tests as root")


@contextmanager
def docker_engine() -> Iterator[Client]:
    """A docker client bound to a private dockerd, without networks or firewall rules."""
    require_root()
    daemon, client = require_program("dockerd"), require_program("docker")
    with temporary_folder() as folder:
        (folder / "daemon.json").write_text("{}")
        docker = Client(client, isolated_environment(folder / "home"), ("--host", f"unix://{folder}/docker.sock"))
        for driver in _DOCKER_STORAGE_DRIVERS:
            with _running(_dockerd_command(daemon, folder, driver), folder) as process:
                if _is_up(process, lambda: docker.run("version")):
                    yield docker
                    return
        raise AssertionError(f"dockerd didn't start\n{_log_of(folder)}")


@contextmanager
def containerd_engine() -> Iterator[Client]:
    """A ctr bound to a private containerd."""
    require_root()
    daemon, client = require_program("containerd"), require_program("ctr")
    with temporary_folder() as folder:
        config = folder / "config.toml"
        config.write_text(_CONTAINERD_CONFIG.format(folder=folder))
        environment = isolated_environment(folder / "home")
        ctr = Client(client, environment, ("--address", f"{folder}/containerd.sock"))
        with _running([daemon, "--config", config], folder) as process:
            if not _is_up(process, lambda: ctr.run("version")):
                raise AssertionError(f"containerd didn't start\n{_log_of(folder)}")
            yield ctr


@contextmanager
def buildkit_engine(registry: str) -> Iterator[Client]:
    """A buildctl bound to a private buildkitd that has built nothing yet and speaks plain HTTP to `registry`.

    It gives both of the client's outputs: what it did is on the second.
    """
    require_root()
    daemon, client, runtime = (require_program(name) for name in ("buildkitd", "buildctl", "runc"))
    with temporary_folder() as folder:
        config = folder / "buildkitd.toml"
        config.write_text(f'[registry."{registry}"]\n  http = true\n')
        address = f"unix://{folder}/buildkitd.sock"
        worker = ("--containerd-worker=false", f"--oci-worker-binary={runtime}", "--oci-worker-snapshotter=native")
        own: list[str | Path] = [daemon, f"--config={config}", f"--root={folder}/root", f"--addr={address}", *worker]
        environment = isolated_environment(folder / "home")
        both = ("-c", 'exec "$@" 2>&1', "sh", str(client), f"--addr={address}")
        buildctl = Client(Path("/bin/sh"), environment, both, timeout=200)
        with _running(own, folder) as process:
            if not _is_up(process, lambda: buildctl.run("debug", "workers")):
                raise AssertionError(f"buildkitd didn't start\n{_log_of(folder)}")
            yield buildctl


def _dockerd_command(daemon: Path, folder: Path, driver: str) -> list[str | Path]:
    places = {"data-root": "root", "exec-root": "exec", "pidfile": "pid", "config-file": "daemon.json"}
    own = [f"--{option}={folder}/{name}" for option, name in places.items()]
    untouched = ("iptables", "ip6tables", "ip-forward", "ip-masq", "userland-proxy")
    host = [f"--{option}=false" for option in untouched]
    return [daemon, *own, f"--host=unix://{folder}/docker.sock", "--bridge=none", *host, f"--storage-driver={driver}"]


@contextmanager
def _running(command: Sequence[str | Path], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "engine.log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()


def _is_up(process: subprocess.Popen[bytes], ask: Callable[[], object]) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            ask()
        except CommandFailedError:
            time.sleep(0.1)
        else:
            return True
    return False


def _log_of(folder: Path) -> str:
    return (folder / "engine.log").read_text(errors="replace")[-4000:]
