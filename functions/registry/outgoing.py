"""Requests to strangers: issuers, receivers of events. Their addresses come from others; none leads into our network.

The address that was checked is the one connected to, and nothing is followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from functions.registry.oci.json_object import read_stored

LARGEST_ANSWER: Final = 64 * 1024
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Addresses of IPv6 that stand for one of IPv4, by way of a translator (RFC 6052).
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")

# Where a network of one's own has its hosts (RFC 1918, RFC 6598, RFC 4193). Never this machine, nor its platform's
# metadata, which is link-local.
_OF_A_NETWORK: Final = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OutgoingFailed(Exception):
    """There is no answer that could be used. The reason is for the log."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    document: dict[str, Any]


def is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOOPBACK_NAMES
    except ValueError:
        return False


def ask(
    url: str,
    *,
    form: str | None = None,
    seconds: float = 5,
    may_be_loopback: bool = False,
    private_hosts: Container[str] = (),
) -> Answer:
    """Sends a GET, or the POST of a form. Raises OutgoingFailed.

    https to a public address, of `private_hosts` also to one of a private network; or, if that is allowed, http to this
    machine by its own name. The address that was
    checked is the one connected to; nothing is followed; `seconds` hold for the whole, however slow the bytes come.
    """
    host, port, path, is_secure = _target(url, may_be_loopback=may_be_loopback)
    try:
        addresses = resolve(host, port, is_local=not is_secure, may_be_private=host in private_hosts)
        with _connected(addresses, port, seconds) as raw:
            channel = tls().wrap_socket(raw, server_hostname=host) if is_secure else raw
            with channel:
                return _exchange(channel, host_header(host, port), path, form)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise OutgoingFailed(f"{host} doesn't answer: {type(error).__name__}") from error


def _target(url: str, *, may_be_loopback: bool) -> tuple[str, int, str, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise OutgoingFailed("the address can't be read") from error
    is_secure = parts.scheme == "https"
    if not host or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        raise OutgoingFailed("the address can't be read")
    if not is_secure and not (parts.scheme == "http" and may_be_loopback and host in _LOOPBACK_NAMES):
        raise OutgoingFailed("the address is not https")
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return host, port or (443 if is_secure else 80), path, is_secure


def resolve(host: str, port: int, *, is_local: bool, may_be_private: bool) -> list[str]:
    """Returns the host's addresses. One that it may not have among good ones is enough to refuse the host."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        is_allowed = address.is_loopback if is_local else is_public(address)
        if not is_allowed and not (may_be_private and is_of_a_network(address)):
            raise OutgoingFailed(f"{host} is at an address that is not public")
    return list(dict.fromkeys(found))


def connect(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """Connects to the first that takes a connection, in so many seconds for all of them. Raises OSError.

    A host may have addresses of two kinds, and listen at one.
    """
    deadline = time.monotonic() + seconds
    for number, address in enumerate(addresses, 1):
        try:
            return socket.create_connection((address, port), timeout=max(0.001, deadline - time.monotonic()))
        except OSError:
            if number == len(addresses) or time.monotonic() >= deadline:
                raise
    raise OSError("there is no address")


def is_public(address: Address) -> bool:
    """Addresses within addresses count as what they lead to."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def is_of_a_network(address: Address) -> bool:
    """Says whether an address is private, and neither this machine nor what only it can reach."""
    return any(address in network for network in _OF_A_NETWORK)


@contextmanager
def _connected(addresses: Sequence[str], port: int, seconds: float) -> Iterator[socket.socket]:
    """Cuts the connection off when the time is over: a timeout of the socket's own begins anew with every byte."""
    started = time.monotonic()
    # Through a second handle: TLS takes the first one away.
    with (
        connect(addresses, port, seconds) as raw,
        raw.dup() as same,
        time_limit(same, started + seconds - time.monotonic()),
    ):
        yield raw


@contextmanager
def time_limit(handle: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Cuts the connection off when the time is over, and raises TimeoutError at the end of the block.

    The event tells, before that, whether it was.
    """
    is_over = threading.Event()
    timer = threading.Timer(max(0, seconds), _cut, [handle, is_over])
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()
    # What was cut off may look like a whole answer.
    if is_over.is_set():
        raise TimeoutError


def _cut(connection: socket.socket, is_over: threading.Event) -> None:
    is_over.set()
    # It may have come to its end just now.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@cache
def tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def host_header(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port in {80, 443} else f"{name}:{port}"


def _exchange(channel: socket.socket, host: str, path: str, form: str | None) -> Answer:
    connection = http.client.HTTPConnection(host)
    connection.sock = channel
    headers = {"Host": host, "Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request("GET" if form is None else "POST", path, form, headers)
    with connection.getresponse() as response:
        data = response.read(LARGEST_ANSWER + 1)
        if len(data) > LARGEST_ANSWER:
            raise OutgoingFailed(f"{host} sent more than {LARGEST_ANSWER} bytes")
        # Errors and redirects are often no JSON object.
        return Answer(response.status, read_stored(data))
