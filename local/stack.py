"""The whole registry on one machine: PostgreSQL, the fakes, the functions, and a tick."""

from __future__ import annotations

import fcntl
import json
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from functions.registry.events import hints
from local import programs
from local.guard import HOST, StartRefused, choose_port, require_loopback, require_writable
from local.postgres import Postgres
from local.processes import Child, Children
from local.programs import BUCKET, Data, Ports

READY_SECONDS: Final = 60
TICK_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Options:
    """`port` 0 means any. `ephemeral` data is fast and lost with a crash of the machine. `access` is a mode, or None
    for what SLIPWAY_ACCESS says.
    """

    port: int
    data: Path
    ephemeral: bool = False
    api_processes: int = 1
    access: str | None = None


class Stack:
    """Everything runs between `start` and `stop`. Start raises StartRefused, PostgresFailed, ChildFailed."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._data = Data(options.data.resolve())
        self._resources = ExitStack()
        self.children = Children()

    def start(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Nothing is left running."""
        self._resources.close()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.ports.api}"

    def _start(self) -> None:
        self.ports = Ports(choose_port(self._options.port), *(choose_port(0) for _ in range(4)))
        require_writable(self._data.folder)
        self._lock()
        postgres = Postgres(self._data.postgres, ephemeral=self._options.ephemeral)
        self.environment = programs.function_environment(postgres.url(), self.ports, self._data)
        if self._options.access is not None:
            self.environment["SLIPWAY_ACCESS"] = self._options.access
        require_loopback(self.environment)

        self._resources.callback(self.children.stop)
        database = self.children.start(postgres.prepare())
        storage = self.children.start(programs.storage(self._data, self.ports))
        pubsub = self.children.start(programs.pubsub(self._data, self.ports))
        migrate = self._function("migrate", self.ports.migrate)
        self._wait(database, postgres.is_ready)
        self._wait(migrate, lambda: _answers(self.ports.migrate, "/"))
        _send("POST", self.ports.migrate, "/", {})
        api = self._function("api", self.ports.api, self._options.api_processes)
        gc = self._function("gc", self.ports.gc)
        self._wait(storage, lambda: _answers(self.ports.storage, "/"))
        self._make_bucket()
        self._wait(pubsub, lambda: "ready" in self._data.log("pubsub").read_text())
        self._start_ticking()
        self._wait(gc, lambda: _answers(self.ports.gc, "/"))
        self._wait(api, lambda: _answers(self.ports.api, "/v2/"))

    def _function(self, name: str, port: int, processes: int = 1) -> Child:
        return self.children.start(programs.function(name, self._data, port, self.environment, processes))

    def _wait(self, child: Child, is_ready: Any) -> None:
        self.children.wait_until(child, is_ready, READY_SECONDS)

    def _lock(self) -> None:
        """Two harnesses on the same data would destroy it."""
        lock = self._resources.enter_context((self._data.folder / ".lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartRefused(f"{self._data.folder} is in use by another run: stop it, or choose DATA=...") from error

    def _make_bucket(self) -> None:
        try:
            _send("POST", self.ports.storage, f"/storage/v1/b?project={programs.PROJECT}", {"name": BUCKET})
        except urllib.error.HTTPError as error:
            if error.code != 409:  # noqa: PLR2004  # it is there from an earlier run
                raise
        rules = [programs.BUCKET_CORS] if self.environment.get("SLIPWAY_CORS_ORIGINS") else []
        _send("PATCH", self.ports.storage, f"/storage/v1/b/{BUCKET}", {"cors": rules})

    def _start_ticking(self) -> None:
        # Imported here: the client takes longer to import than most of the children to start.
        from local.messages import Messages  # noqa: PLC0415
        from local.scheduler import Scheduler  # noqa: PLC0415

        messages = Messages(self.ports)
        self._resources.callback(messages.close)
        messages.create()
        self._resources.enter_context(Scheduler(TICK_SECONDS, messages.publish, hints.encode(), {"kind": "tick"}))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _answers(port: int, path: str) -> bool:
    """Any answer will do but a server error."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # noqa: PLR2004
    except OSError:
        return False


def _send(method: str, port: int, path: str, document: dict[str, Any]) -> None:
    request = urllib.request.Request(  # our own address
        f"http://{HOST}:{port}{path}",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310
        return
