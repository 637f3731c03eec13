"""The real api behind a real nginx, as one instance of the registry, on the stack of local/."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests

from local.guard import HOST, choose_port
from local.programs import THREADS, function_command
from local.stack import Options, Stack
from tests.rehearsal.http2 import Answer, Http2Connection
from tests.rehearsal.instance import Container, Instance
from tests.rehearsal.nginx import front_container

REPOSITORY: Final = "front/app"
_SECONDS: Final = 30
_TOKEN_SECONDS: Final = 120


@dataclass
class Behind:
    """`port` speaks HTTP/2 and leads through nginx; `app_port` leads to functions-framework itself, over HTTP/1.1."""

    stack: Stack
    instance: Instance
    app_port: int
    _token: str = ""
    _signed_in: float = 0

    @property
    def authorization(self) -> tuple[str, str]:
        """The administrator's token for the tests' repository, as a header; a new one before the old one expires."""
        if not self._token or time.monotonic() > self._signed_in + _TOKEN_SECONDS:
            scope = quote(f"repository:{REPOSITORY}:pull,push")
            address = f"http://{self.stack.address}/token?service=slipway&scope={scope}"
            credentials = ("admin", self.stack.environment["SLIPWAY_ADMIN_SECRET"])
            answer = requests.get(address, auth=credentials, timeout=_SECONDS)
            answer.raise_for_status()
            self._token, self._signed_in = answer.json()["token"], time.monotonic()
        return ("authorization", f"Bearer {self._token}")

    @property
    def port(self) -> int:
        return self.instance.port

    def connect(self) -> Http2Connection:
        return Http2Connection(self.port)

    def request(self, method: str, path: str, body: bytes = b"", *headers: tuple[str, str]) -> Answer:
        """Asks on a connection of its own, signed in."""
        with self.connect() as connection:
            return connection.request(method, path, body, (self.authorization, *headers))

    def start_upload(self) -> str:
        answer = self.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
        assert answer.status == 202, answer
        return answer.header("location")

    def uploaded(self, location: str) -> int:
        """Returns how many bytes the upload has."""
        answer = self.request("GET", location)
        assert answer.status == 204, answer
        last = int(answer.header("range").partition("-")[2])
        return last + 1 if last else 0

    def log_lines(self) -> list[dict[str, Any]]:
        lines = self.instance.containers[0].log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """In token mode."""
    with Stack(Options(port=0, data=folder, ephemeral=True, access="token")) as stack:
        yield stack


@contextmanager
def running_behind(stack: Stack, nginx: Path, folder: Path, threads: int = THREADS) -> Iterator[Behind]:
    front_port, app_port = choose_port(0), choose_port(0)
    server = {"HOST": HOST, "PORT": str(app_port), "THREADS": str(threads)}
    environment = {**stack.environment, **server}
    app = Container("app", function_command("api"), environment, folder, app_port, folder / "app.log")
    instance = Instance([app, front_container(nginx, front_port, app_port, folder)], front_port)
    try:
        instance.start()
        yield Behind(stack, instance, app_port)
    finally:
        instance.stop()
