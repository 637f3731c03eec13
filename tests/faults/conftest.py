"""The api function as it is deployed: a process of its own under the framework's server, on a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from local.listening import LISTENER, listen, port_of
from local.processes import Child, Children
from local.programs import ROOT, function_command
from local.stack import READY_SECONDS


@dataclass(frozen=True)
class Server:
    port: int
    child: Child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> closing[socket.socket]:
        return closing(socket.create_connection(("127.0.0.1", self.port), timeout=10))

    def start_upload(self, repository: str = "a/b") -> str:
        """The upload's path."""
        answer = requests.post(f"{self.url}/v2/{repository}/blobs/uploads/", timeout=10)
        assert answer.status_code == 202
        return answer.headers["Location"]

    def uploaded(self, path: str) -> int:
        """Returns how many bytes the upload has."""
        answer = requests.get(self.url + path, timeout=10)
        assert answer.status_code == 204
        last = int(answer.headers["Range"].rpartition("-")[2])
        return last + 1 if last else 0


def serve(environment: dict[str, str], folder: Path, children: Children, **settings: str) -> Server:
    """Starts the function with `settings` (SLIPWAY_…, THREADS, …) over the environment, and waits until it answers."""
    listener = listen(0)
    told = _environment(environment, listener, settings)
    api = Child("api", function_command("api"), folder / "api.log", told, listener=listener)
    server = Server(port_of(listener), api)

    def answers() -> bool:
        try:
            return requests.get(f"{server.url}/v2/", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    children.start(server.child)
    children.wait_until(server.child, answers, READY_SECONDS)
    return server


def _environment(environment: dict[str, str], listener: socket.socket, settings: dict[str, str]) -> dict[str, str]:
    """It is given a socket that listens: a port that was chosen before may be another's by then."""
    listening = {LISTENER: str(listener.fileno())}
    server = {"HOST": "127.0.0.1", **listening, "THREADS": "8", "PYTHONPATH": str(ROOT)}
    return {**environment, **server, **settings}


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    children.stop()


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path, children: Children) -> Server:
    return serve(environment, tmp_path, children, SLIPWAY_BODY_IDLE_SECONDS="2")
