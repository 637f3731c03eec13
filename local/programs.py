"""The programs that the harness runs, and what each is told: the only seam between local and deployed is the
environment.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.guard import HOST, knows_localhost
from local.kept import kept
from local.listening import LISTENER
from local.processes import Child

ROOT: Final = Path(__file__).resolve().parent.parent
PROJECT: Final = "slipway-local"
TOPIC: Final = f"projects/{PROJECT}/topics/slipway-collect"
WORK_TOPIC: Final = f"projects/{PROJECT}/topics/slipway-work"
EVENTS_TOPIC: Final = f"projects/{PROJECT}/topics/slipway-events"
BUCKET: Final = "slipway-blobs"
# What terraform/blobs.tf gives the bucket where pages of other origins may read the registry, and why.
BUCKET_CORS: Final = {
    "origin": ["*"],
    "method": ["GET", "HEAD"],
    "responseHeader": ["Content-Length", "Content-Range", "Content-Type", "ETag", "Range"],
    "maxAgeSeconds": 3600,
}
SIGNER: Final = "GOOGLOCALSLIPWAY"
# What a deployment keeps in its secret store.
ACCESS_SECRETS: Final = ("SLIPWAY_TOKEN_KEYS", "SLIPWAY_PEPPER", "SLIPWAY_ADMIN_SECRET")
# Of all processes of a function. Uploads hold a thread each for as long as they last.
THREADS: Final = 32
_MOST_API_PROCESSES: Final = 4
# To the C library (mallopt(3)): what an upload holds for a moment is used again. It would go back to the system block
# by block, which gives it out anew page by page, each of them cleared.
_KEPT_MEMORY: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
# What to put before the command of a program that nobody waits for.
LOWEST_PRIORITY: Final = ("nice", "-n", "19") if shutil.which("nice") else ()


# What Pub/Sub wakes: the file and the target of each, and nobody waits for them.
WOKEN: Final = {
    "gc": ("gc/main.py", "collect"),
    "work": ("migrate/work.py", "work"),
    "deliver": ("deliver/main.py", "deliver"),
}


@dataclass(frozen=True, slots=True)
class Ports:
    api: int
    gc: int
    work: int
    deliver: int
    migrate: int
    storage: int
    pubsub: int


@dataclass(frozen=True, slots=True)
class Data:
    """Where things are kept: `folder` is the project's, all else lies below."""

    folder: Path

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def keys(self) -> Path:
        return self.folder / "storage-keys.json"

    @property
    def access(self) -> Path:
        return self.folder / "access.json"

    @property
    def run(self) -> Path:
        """Returns what a run says of itself while it lasts."""
        return self.folder / "run.json"

    def log(self, name: str) -> Path:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"

    def signing_secret(self) -> str:
        """Returns what is made at the first start; the fake store knows it too and checks every signature with it."""
        return kept(self.keys, (SIGNER,), lambda: {SIGNER: secrets.token_hex(20)})[SIGNER]


def access_environment(data: Data, port: int) -> dict[str, str]:
    """Returns what token mode needs; whether it is used is SLIPWAY_ACCESS's to say. Made at the first start."""
    # The registry's own address: some clients refuse a realm at any other private one, and at a name that leads there.
    return {**kept(data.access, ACCESS_SECRETS, _access_secrets), "SLIPWAY_TOKEN_REALM": f"http://{HOST}:{port}/token"}


def _access_secrets() -> dict[str, str]:
    # Imported here: only a first start pays for it.
    from local.access import make_access_secrets  # noqa: PLC0415

    return make_access_secrets()


def base_environment() -> dict[str, str]:
    """Returns only what programs need: credentials, proxies and hosts that the caller's environment names stay out of
    it.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}


def function_environment(database: str, ports: Ports, data: Data) -> dict[str, str]:
    """Returns what a deployment gives the functions, pointed at this machine. SLIPWAY_* of the caller go over it."""
    chosen = {name: value for name, value in os.environ.items() if name.startswith("SLIPWAY_")}
    return {
        **base_environment(),
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "STORAGE_EMULATOR_HOST": f"http://{HOST}:{ports.storage}",
        "PUBSUB_EMULATOR_HOST": f"{HOST}:{ports.pubsub}",
        "SLIPWAY_ACCESS": "open",
        "SLIPWAY_DATABASE": database,
        "SLIPWAY_BUCKET": BUCKET,
        "SLIPWAY_TOPIC": TOPIC,
        "SLIPWAY_WORK_TOPIC": WORK_TOPIC,
        "SLIPWAY_EVENTS_TOPIC": EVENTS_TOPIC,
        "SLIPWAY_PUBLIC_HOST": f"{HOST}:{ports.api}",
        # Who tries webhooks out has the receiver on this machine.
        "SLIPWAY_PRIVATE_RECEIVERS": f"{HOST} localhost",
        # The folders are those of whoever runs it.
        "SLIPWAY_IMPORT_FOLDERS": "accept",
        # `make reset` leaves them: it did not make them.
        "SLIPWAY_BACKUPS": str(data.folder / "backups"),
        "SLIPWAY_SIGNER": "hmac",
        "SLIPWAY_SIGNER_IDENTITY": SIGNER,
        "SLIPWAY_SIGNER_SECRET": data.signing_secret(),
        "SLIPWAY_SIGNED_URL_BASE": f"http://{_name_of_storage()}:{ports.storage}",
        **access_environment(data, ports.api),
        **chosen,
    }


def _name_of_storage() -> str:
    """Returns a name other than the registry's: clients send their password to the same name, whatever the port.

    A machine without /etc/hosts may not know the name; the address serves there.
    """
    return "localhost" if knows_localhost() else HOST


def processors() -> int:
    """Returns how many processes of the api function have something to run on. Each has connections of its own."""
    return min(_MOST_API_PROCESSES, len(os.sched_getaffinity(0)))


def storage(data: Data, ports: Ports, listener: socket.socket | None = None) -> Child:
    environment = {
        **base_environment(),
        **_KEPT_MEMORY,
        "SLIPWAY_STORAGE_ROOT": str(data.storage),
        "SLIPWAY_STORAGE_KEYS": str(data.keys),
    }
    address = f"{HOST}:{ports.storage}" if listener is None else f"fd://{listener.fileno()}"
    server = ["--worker-class", "gthread", "--threads", str(THREADS), "--bind", address]
    command = [sys.executable, "-m", "gunicorn", *server, "local.storage.server:create_app()"]
    return Child("storage", command, data.log("storage"), environment, listener=listener)


def pubsub(data: Data, ports: Ports) -> Child:
    command = [sys.executable, "-m", "local.pubsub", "--port", str(ports.pubsub)]
    return Child("pubsub", command, data.log("pubsub"), base_environment())


def function(
    name: str,
    data: Data,
    port: int | socket.socket,
    environment: Mapping[str, str],
    processes: int = 1,
) -> Child:
    """Starts one function under the framework. `port` is one to listen on, or a socket that does."""
    listener = port if isinstance(port, socket.socket) else None
    listening = {"PORT": str(port)} if listener is None else {LISTENER: str(listener.fileno())}
    # Shared out as terraform/sizes.tf does it: what uploads hold in memory doesn't grow with the processes.
    threads = -(-THREADS // processes)
    server = {"HOST": HOST, "THREADS": str(threads), "WORKERS": str(processes), **listening}
    # As a deployment tells it.
    patience = {"SLIPWAY_DATABASE_LOCK_SECONDS": "10"} if name in WOKEN else {}
    # In the cloud they have instances of their own; here they share cores with those that somebody waits for.
    priority = LOWEST_PRIORITY if name in WOKEN else ()
    command = [*priority, *function_command(name)]
    return Child(name, command, data.log(name), {**patience, **environment, **server}, listener=listener)


def function_command(name: str) -> list[str]:
    path, target = WOKEN.get(name, (f"{name}/main.py", name))
    signature = "cloudevent" if name in WOKEN else "http"
    how = ["--target", target, "--source", str(ROOT / "functions" / path), "--signature-type", signature]
    return [sys.executable, "-m", "local.framework", *how]
