"""What must hold before anything starts: a port to listen on, a folder to write to, and nothing but loopback ahead."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

HOST: Final = "127.0.0.1"
# Settings of the functions and of Google's clients that name a host to talk to, or to send people to.
_ADDRESSES: Final = (
    "STORAGE_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
    "SLIPWAY_DATABASE",
    "SLIPWAY_SIGNED_URL_BASE",
    "GCE_METADATA_HOST",
)
_REQUIRED: Final = ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "SLIPWAY_SIGNED_URL_BASE")


_PROBE_BYTES: Final = 1 << 20


class StartRefused(RuntimeError):
    """The harness can't or won't start; the message is one line that says what to do."""


def require_loopback(environment: Mapping[str, str]) -> None:
    """Raises StartRefused if a program with this environment could reach another machine."""
    for name in _REQUIRED:
        if not environment.get(name):
            raise StartRefused(f"{name} is not set: a Google client would reach the real service")
    for name in _ADDRESSES:
        address = environment.get(name)
        if address and not _is_loopback(address):
            raise StartRefused(f"{name}={address} leaves this machine: unset it; everything here stays on loopback")


def _is_loopback(address: str) -> bool:
    host = urlsplit(address if "//" in address else f"//{address}").hostname
    if host is None:
        return address.startswith("postgresql://")  # a unix socket
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def knows_localhost() -> bool:
    """Returns whether the name leads to an address of this machine: a root without /etc/hosts may not know it."""
    try:
        return socket.gethostbyname("localhost") == HOST
    except OSError:
        return False


def choose_port(port: int) -> int:
    """Returns `port` if it is free; any free one for 0. Raises StartRefused. Another may take it before it is used:
    `listen` of local.listening makes sure that none does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StartRefused(f"port {port} can't be used ({error.strerror}): choose another with PORT=...") from error
        chosen: int = probe.getsockname()[1]
        return chosen


def require_writable(folder: Path) -> None:
    """Makes the folder. Raises StartRefused."""
    if "\n" in str(folder):
        raise StartRefused("a folder whose name has a line break can't be used: choose another with DATA=...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        try:
            # A full disk takes a file, and nothing in it.
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise StartRefused(f"{folder} can't be written to ({error.strerror}): choose another with DATA=...") from error
