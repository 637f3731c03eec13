"""Which address a request came from."""

from __future__ import annotations

import ipaddress

from flask import Request


def client_address(request: Request, trusted_proxies: int) -> str:
    """Returns who is at the other end, as the outermost of the proxies that are trusted saw it.

    What stands further left in X-Forwarded-For was written by the client. Of IPv6 only the network counts (/64): one
    customer has all of it.
    """
    hops = [*_forwarded(request), request.remote_addr or ""]
    # With fewer entries than proxies it came past them: then all of them are its own word.
    seen = hops[-1 - trusted_proxies] if trusted_proxies < len(hops) else hops[-1]
    try:
        parsed = ipaddress.ip_address(seen.strip())
    except ValueError:
        return "unknown"
    if parsed.version == 6:  # noqa: PLR2004  # the version has a number for a name
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _forwarded(request: Request) -> list[str]:
    return [hop for line in request.headers.getlist("X-Forwarded-For") for hop in line.split(",") if hop.strip()]
