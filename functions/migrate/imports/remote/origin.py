"""Where another registry is: which addresses may be asked, and as what."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Container
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from functions.migrate.imports.remote.errors import RemoteRefused
from functions.registry import outgoing
from functions.registry.outgoing import OutgoingFailed

CONNECT_SECONDS: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> tuple[Self, str]:
        """Returns the origin of a URL, and its path with the query. Raises RemoteRefused."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise RemoteRefused("the address can't be read") from error
        if not host or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
            raise RemoteRefused("the address can't be read")
        if parts.scheme not in _PORTS:
            raise RemoteRefused("the address begins with https://")
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        return cls(parts.scheme, host, port or _PORTS[parts.scheme]), path

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"

    def connect(self, private_hosts: Container[str]) -> http.client.HTTPConnection:
        """Returns a connection to the very address that was looked at. Raises RemoteRefused and OSError.

        https to any public address. What `private_hosts` names may be in a network of one's own, or be this machine,
        and may speak http.
        """
        is_known = self.host in private_hosts
        is_secure = self.scheme == "https"
        if not is_secure and not is_known:
            raise RemoteRefused(f"{self.host} is asked by https only, unless SLIPWAY_PRIVATE_SOURCES names it")
        try:
            is_local = is_known and outgoing.is_loopback(str(self))
            addresses = outgoing.resolve(self.host, self.port, is_local=is_local, may_be_private=is_known)
        except OutgoingFailed as error:
            raise RemoteRefused(
                f"{error}: SLIPWAY_PRIVATE_SOURCES names those that may be asked all the same"
            ) from error
        raw = outgoing.connect(addresses, self.port, CONNECT_SECONDS)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = outgoing.tls().wrap_socket(raw, server_hostname=self.host) if is_secure else raw
        except ssl.SSLCertVerificationError as error:
            raw.close()
            raise RemoteRefused(f"{self.host} can't show that it is {self.host}: {error.verify_message}") from error
        except BaseException:
            raw.close()
            raise
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock = channel
        return connection
