"""Webhooks: one receiver's address, and what it answers to a POST.

The address is somebody else's choice: it is looked up, checked, and connected to as it was checked. Redirects are not
followed, and an answer is read as far as people need to see it.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from functions.registry import outgoing
from functions.registry.events.targets import Address, TargetInvalid
from functions.registry.outgoing import OutgoingFailed

# The whole exchange, from the connection to the end of the answer.
SECONDS: Final = 10.0
_LARGEST_ANSWER: Final = 4096
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` is None if there was no answer; `text` is the beginning of it, or why there was none.

    `retry_after` is what a receiver asked for, in seconds.
    """

    status: int | None
    text: str
    ms: int
    retry_after: float | None = None


class Webhook:
    """It belongs to one thread. Its connection is kept while answers come, and taken up anew otherwise."""

    def __init__(self, url: str, private_hosts: Container[str], seconds: float = SECONDS) -> None:
        self._url = url
        self._private_hosts = private_hosts
        self._seconds = seconds
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Never raises for what the receiver does."""
        started = time.monotonic()
        try:
            reply = self._post(body, headers, started)
        except (OutgoingFailed, TargetInvalid, OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            return Reply(None, shown(_reason(error)), _ms(started))
        return reply

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes, headers: Mapping[str, str], started: float) -> Reply:
        was_kept = self._connection is not None
        try:
            return self._exchange(body, headers, started)
        except (ConnectionError, http.client.BadStatusLine):
            # The receiver may have ended a connection that it kept; nothing is known to have come to it.
            if not was_kept:
                raise
            self.close()
            return self._exchange(body, headers, started)

    def _exchange(self, body: bytes, headers: Mapping[str, str], started: float) -> Reply:
        address = Address.parse(self._url, self._private_hosts)
        if self._connection is None:
            self._connection = self._connect(address, started)
        connection = self._connection
        left = self._seconds - (time.monotonic() - started)
        with connection.sock.dup() as same, outgoing.time_limit(same, left):
            host = outgoing.host_header(address.host, address.port)
            connection.request("POST", address.path, body, {"Host": host, "Accept-Encoding": "identity", **headers})
            response = connection.getresponse()
            data = response.read(_LARGEST_ANSWER)
            is_whole = response.isclosed()
        if not is_whole or response.will_close:
            self.close()
        text = shown(data.decode("utf-8", "replace"))
        return Reply(response.status, text, _ms(started), _retry_after(response.headers.get("Retry-After")))

    def _connect(self, address: Address, started: float) -> http.client.HTTPConnection:
        is_private = address.host in self._private_hosts
        is_local = is_private and outgoing.is_loopback(self._url)
        found = outgoing.resolve(address.host, address.port, is_local=is_local, may_be_private=is_private)
        left = max(0.1, self._seconds - (time.monotonic() - started))
        raw = outgoing.connect(found, address.port, left)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = outgoing.tls().wrap_socket(raw, server_hostname=address.host) if address.is_secure else raw
        except BaseException:
            raw.close()
            raise
        channel.settimeout(self._seconds)
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.sock = channel
        return connection


def shown(text: str) -> str:
    """The first printable characters, for a list that people read."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_SHOWN]).strip()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {SECONDS:.0f} seconds"
    if isinstance(error, OutgoingFailed | TargetInvalid):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _retry_after(text: str | None) -> float | None:
    """A date is not obeyed: our clock need not be theirs."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 9 else None  # noqa: PLR2004
