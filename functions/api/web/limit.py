"""A request that is too large for the way it came: the refusal names the way that has no limit."""

from __future__ import annotations

from functions.api.web.body import Body
from functions.registry.config import Settings
from functions.registry.oci.errors import RequestTooLarge


def require_within_limit(settings: Settings, body: Body) -> None:
    """Refuses what the platform would: where it takes HTTP/1 it has a limit, and docker sends a layer in one request.

    Raises RequestTooLarge.
    """
    if not body.is_too_large:
        return
    limit = f"a request to this address may have at most {settings.request_limit_bytes} bytes"
    if settings.registry_host:
        raise RequestTooLarge(f"{limit}: push to {settings.registry_host} instead, where there is no limit")
    raise RequestTooLarge(f"{limit}: send the layer in chunks, or deploy with the HTTP/2 front")
