"""Push endpoints: URLs on loopback, and nothing else."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post: a host on loopback, its port, and the path with its query."""

    host: str
    port: int
    target: str


def parse(url: str) -> Endpoint:
    """Raises ValueError for anything but http on a loopback host: this fake must never reach out."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ValueError(f"A push endpoint must be http on a loopback host, not {url}")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError(f"A push endpoint must be plain ASCII without spaces, not {url!r}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(parts.hostname or "", parts.port or 80, target)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
