"""A program that starts: looked at until it answers, and what a request to it takes."""

from __future__ import annotations

import http.client
import time
from contextlib import suppress
from typing import Final

from local.guard import HOST
from local.processes import Child

LONGEST_SECONDS: Final = 300
POLL_SECONDS: Final = 0.002


def wait_for_answer(child: Child, port: int, deadline: float) -> None:
    """Looks more often than the harness does when it waits."""
    while time.perf_counter() < deadline:
        child.require_running()
        with suppress(ConnectionRefusedError):
            request_seconds(port, "GET", "/v2/", b"", 200)
            return
        time.sleep(POLL_SECONDS)
    raise TimeoutError("the api function does not answer")


def request_seconds(port: int, method: str, path: str, body: bytes, status: int) -> float:
    started = time.perf_counter()
    connection = http.client.HTTPConnection(HOST, port, timeout=LONGEST_SECONDS)
    connection.request(method, path, body)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != status:
        raise RuntimeError(f"{method} {path} answered {answer.status}, not {status}")
    return time.perf_counter() - started
