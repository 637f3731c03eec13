"""Pulls, one after the other, beside what may slow them down: a GC run, or a process that merely computes."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.measure import timed
from benchmarks.registry_data import TAGS
from functions.registry.events import trigger
from local.guard import HOST
from local.programs import LOWEST_PRIORITY

_FUNCTION_PATIENCE: Final = 600


def pull_for(port: int, seconds: float) -> list[float]:
    """Milliseconds of each pull."""
    deadline = time.monotonic() + seconds
    return pull_while(port, lambda: time.monotonic() < deadline)


def pull_while_computing(port: int, seconds: float) -> list[float]:
    """Pulls beside one process of lowest priority that asks for nothing but a core."""
    with _computing():
        return pull_for(port, seconds)


def pull_while_collecting(api_port: int, gc_port: int) -> list[float]:
    """Pulls until the gc function has collected everything that is due."""
    collecting = threading.Thread(target=wake, args=(gc_port,))
    collecting.start()
    return pull_while(api_port, collecting.is_alive)


def pull_while(port: int, goes_on: Callable[[], bool]) -> list[float]:
    """Pulls by tag, over one connection, and returns the milliseconds of each pull."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    taken: list[float] = []
    while goes_on():
        path = f"/v2/bench/0/manifests/tag-{len(taken) % TAGS + 1}"
        taken.append(timed(lambda: _pull(connection, path)) * 1000)  # noqa: B023  # called at once
    connection.close()
    return taken


def _pull(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"a pull was answered {answer.status}")


def ask(port: int, method: str, path: str) -> Any:
    """An answer of the API, which is JSON."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.request(method, path, b"{}" if method == "POST" else None, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def wake(port: int) -> None:
    """Returns when garbage collection is over."""
    message = {"messageId": "1", "data": base64.b64encode(trigger.encode()).decode()}
    connection = http.client.HTTPConnection(HOST, port, timeout=_FUNCTION_PATIENCE)
    body = json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})
    connection.request("POST", "/projects/p/topics/t", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"garbage collection was answered {answer.status}: {said[:200]!r}")


@contextlib.contextmanager
def _computing() -> Iterator[None]:
    process = subprocess.Popen([*LOWEST_PRIORITY, sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
