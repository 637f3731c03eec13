"""Requests to the store over a connection that each thread keeps open, without a library in between.

What the Google client asks goes through two libraries, which take more time than sending a layer does: so bytes go this
way, and all else by way of the client.
"""

from __future__ import annotations

import http.client
import select
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from functions.registry import idle

_thread: Final = threading.local()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    method: str, url: str, headers: Mapping[str, str], body: Sequence[bytes | memoryview], timeout_seconds: float
) -> Answer:
    """Sends one request; nothing is tried again. Raises OSError and HTTPException."""
    asked = urlsplit(url)
    connection = _connection(asked.scheme, asked.netloc, timeout_seconds)
    try:
        connection.putrequest(method, f"{asked.path}?{asked.query}", skip_accept_encoding=True)
        connection.putheader("Content-Length", str(sum(map(len, body))))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        for data in body:
            connection.send(data)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
    except BaseException:
        connection.close()
        _thread.connection = None
        raise
    _thread.used_at = time.monotonic()
    return answer


def _connection(scheme: str, host: str, timeout_seconds: float) -> http.client.HTTPConnection:
    """Returns the thread's own, which is kept from request to request."""
    connection: http.client.HTTPConnection | None = getattr(_thread, "connection", None)
    if connection is None or _thread.origin != host or not _can_be_trusted(connection):
        if connection is not None:
            connection.close()
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        connection = kind(host, timeout=timeout_seconds)
        _thread.connection, _thread.origin, _thread.used_at = connection, host, time.monotonic()
    return connection


def _can_be_trusted(connection: http.client.HTTPConnection) -> bool:
    """Is false if it was idle for long, or if the store has closed it: nothing else makes it readable."""
    if not idle.is_trusted(_thread.used_at):
        return False
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)
