"""Where an upload goes on."""

from __future__ import annotations

import re
from typing import Final

from flask import Request

from functions.api.web.context import Context

# A host and maybe a port: what else a header may hold would end up in ours.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def upload_location(context: Context, path: str) -> str:
    """Returns a path, which stays on the host that the client asked; for GitLab's callers an address.

    It has a query, as that of Docker's registry has: there are clients that add `&digest=` to it as it stands.
    """
    path = f"{path}?_state="
    if context.caller.kind != "external":
        return path
    request = context.request
    host = request.headers.get("Host", "")
    if not _HOST.fullmatch(host):
        return path
    return f"{_scheme(request, context.services.settings.trusted_proxies)}://{host}{path}"


def _scheme(request: Request, trusted_proxies: int) -> str:
    """Returns the scheme as the client sees it: a proxy of ours says so where it ends TLS."""
    told = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    return told if trusted_proxies and told in {"http", "https"} else request.scheme
