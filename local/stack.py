"""The whole registry on one machine: PostgreSQL, the fakes, the functions, and a schedule."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from functions.registry.config import SettingInvalid, Settings
from functions.registry.events import trigger
from local import programs
from local.data_lock import locked
from local.guard import HOST, StartRefused, require_loopback, require_writable
from local.kept import write_whole
from local.listening import listen, port_of, reserve
from local.postgres import Postgres
from local.processes import Child, ChildFailed, Children, tail
from local.programs import BUCKET, Data, Ports

# How long a child may take that lives: a machine with much else to do is slow, and no reason to give up.
READY_SECONDS: Final = 300
GC_SCHEDULE_SECONDS: Final = 60
# What wakes each function, should every message be lost.
_SCHEDULED: Final = {
    programs.TOPIC: trigger.COLLECT,
    programs.WORK_TOPIC: trigger.WORK,
    programs.EVENTS_TOPIC: trigger.DELIVER,
}
# For what is left of a run that was killed.
_PORT_SECONDS: Final = 10
# Whatever proxy the environment names, every address here is on loopback.
_opener: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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
        require_writable(self._data.folder)
        self._listen()
        postgres = Postgres(self._data.postgres, ephemeral=self._options.ephemeral)
        self.environment = programs.function_environment(postgres.url(), self.ports, self._data)
        if self._options.access is not None:
            self.environment["SLIPWAY_ACCESS"] = self._options.access
        require_loopback(self.environment)
        try:
            Settings.from_environment(self.environment)
        except SettingInvalid as error:
            raise StartRefused(str(error)) from error

        self._resources.callback(self.children.stop)
        database = self.children.start(postgres.prepare())
        storage = self.children.start(programs.storage(self._data, self.ports, self._listeners["storage"]))
        pubsub = self.children.start(programs.pubsub(self._data, self.ports))
        migrate = self._function("migrate")
        self._wait(database, postgres.is_ready)
        self._wait(migrate, lambda: answers(migrate, self.ports.migrate, "/"))
        self._migrate(database, migrate)
        api = self._function("api", self._options.api_processes)
        woken = {name: self._function(name) for name in programs.WOKEN}
        self._wait(storage, lambda: answers(storage, self.ports.storage, "/"))
        self._make_bucket()
        self._wait(pubsub, lambda: _listens(self.ports.pubsub))
        self._start_ticking(pubsub)
        for name, child in woken.items():
            self._wait(child, partial(answers, child, getattr(self.ports, name), "/"))
        self._wait(api, lambda: answers(api, self.ports.api, "/v2/"))
        self._tell(postgres.url())

    def _tell(self, database: str) -> None:
        """Writes down where it runs, for the command line, which finds a registry nearby by itself."""
        told = {
            "process": os.getpid(),
            "registry": f"http://{self.address}",
            "database": database,
            "storage": f"http://{HOST}:{self.ports.storage}",
            "bucket": self.environment["SLIPWAY_BUCKET"],
        }
        write_whole(self._data.run, json.dumps(told))
        self._resources.callback(self._data.run.unlink, missing_ok=True)

    def _listen(self) -> None:
        """Locks the data and takes the ports."""
        lock = self._resources.enter_context(locked(self._data.folder))
        patience = _PORT_SECONDS if self._options.port and self._options.port == lock.earlier_port else 0
        ports = {"api": self._options.port, "gc": 0, "work": 0, "deliver": 0, "migrate": 0, "storage": 0}
        self._listeners = {name: self._resources.enter_context(listen(port, patience)) for name, port in ports.items()}
        pubsub = self._resources.enter_context(reserve())
        self.ports = Ports(**{name: port_of(each) for name, each in self._listeners.items()}, pubsub=port_of(pubsub))
        lock.name_run(self.ports.api)
        self._resources.callback(lock.forget_run)

    def _function(self, name: str, processes: int = 1) -> Child:
        listener = self._listeners[name]
        return self.children.start(programs.function(name, self._data, listener, self.environment, processes))

    def _wait(self, child: Child, is_ready: Callable[[], bool]) -> None:
        def is_ready_beside_the_others() -> bool:
            self.children.require_running()
            return is_ready()

        self.children.wait_until(child, is_ready_beside_the_others, READY_SECONDS)

    def _migrate(self, database: Child, migrate: Child) -> None:
        """Raises StartRefused with the function's own words if it refuses. What waits for a migration in the background
        is left to a later start.
        """
        try:
            _send("POST", self.ports.migrate, "/", {})
        except urllib.error.HTTPError as error:
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
                answer = json.loads(error.read())
                if "waits_for" in answer:
                    return
                raise StartRefused(answer["error"]) from error
            raise self._not_migrated(database, migrate) from error
        except (OSError, HTTPException) as error:
            raise self._not_migrated(database, migrate) from error

    def _not_migrated(self, database: Child, migrate: Child) -> ChildFailed:
        logs = (f"The end of {child.log}:\n{tail(child.log)}" for child in (migrate, database))
        return ChildFailed("\n".join(("the database could not be migrated.", *logs)))

    def _make_bucket(self) -> None:
        try:
            _send("POST", self.ports.storage, f"/storage/v1/b?project={programs.PROJECT}", {"name": BUCKET})
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.CONFLICT:  # it is there from an earlier run
                raise
        rules = [programs.BUCKET_CORS] if self.environment.get("SLIPWAY_CORS_ORIGINS") else []
        _send("PATCH", self.ports.storage, f"/storage/v1/b/{BUCKET}", {"cors": rules})

    def _start_ticking(self, pubsub: Child) -> None:
        # Imported here: the client takes longer to import than most of the children to start.
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415

        from local.messages import Messages  # noqa: PLC0415
        from local.scheduler import Scheduler  # noqa: PLC0415

        messages = Messages(self.ports)
        self._resources.callback(messages.close)
        try:
            messages.create()
        except GoogleAPIError as error:
            failure = f"{pubsub.name} can't be used ({error}). The end of {pubsub.log}:\n{tail(pubsub.log)}"
            raise ChildFailed(failure) from error
        for topic, kind in _SCHEDULED.items():
            publish = partial(messages.publish, topic)
            message = trigger.encode(kind)
            self._resources.enter_context(Scheduler(GC_SCHEDULE_SECONDS, publish, message, {"kind": "schedule"}))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


def answers(child: Child, port: int, path: str) -> bool:
    """Any answer will do. Raises ChildFailed if it is one that won't become better by itself."""
    try:
        with _opener.open(f"http://{HOST}:{port}{path}", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            return False
        if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return True
        failure = f"{child.name} answers {error.code}. The end of {child.log}:\n{tail(child.log)}"
        raise ChildFailed(failure) from error
    except (OSError, HTTPException):
        return False


def _send(method: str, port: int, path: str, document: dict[str, Any]) -> None:
    request = urllib.request.Request(  # our own address
        f"http://{HOST}:{port}{path}",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with _opener.open(request, timeout=READY_SECONDS):
        return
