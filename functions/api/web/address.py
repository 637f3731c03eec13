"""Which address a request came from."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from flask import Request


def client_address(request: Request, trusted_proxies: int) -> str:
    """Returns who is at the other end, as the outermost of the proxies that are trusted saw it.

    What stands further left in X-Forwarded-For was written by the client. Of IPv6 only the network counts (/64): one
    customer has all of it.
    """
    hops = [*_forwarded(request), request.remote_addr or ""]
    # With fewer entries than proxies it came past them: then all of them are its own word.
    return _written(hops[-1 - trusted_proxies] if trusted_proxies < len(hops) else hops[-1])


@lru_cache(maxsize=1024)
def _written(seen: str) -> str:
    """Reads an address and writes it as one does: it takes ten microseconds, and most come again and again."""
    try:
        parsed = ipaddress.ip_address(seen.strip())
    except ValueError:
        return "unknown"
    if parsed.version == 6:  # noqa: PLR2004  # the version has a number for a name
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _forwarded(request: Request) -> list[str]:
    # Of several lines the server makes one.
    return [hop for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
