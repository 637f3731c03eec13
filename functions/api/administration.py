"""What the handlers for registry administrators share."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response

from functions.api import audit
from functions.api.context import Context
from functions.api.responses import json_response
from functions.registry import telemetry
from functions.registry.metadata import principals
from functions.registry.metadata.audit import Event
from functions.registry.metadata.principals import Principal
from functions.registry.oci.errors import ResourceUnknown


def known(context: Context, name: str) -> Principal:
    """Raises ResourceUnknown."""
    principal = principals.get(context.services.database, name)
    if principal is None:
        raise ResourceUnknown(f"there is no user and no robot called {name}")
    return principal


def record(context: Context, action: str, resource: str, **details: Any) -> None:
    """A change that was made, in the trail and in the log."""
    author, address = context.caller.label, context.address
    telemetry.log("INFO", "access changed", action=action, resource=resource, principal=author, address=address)
    audit.write(context.services, Event(action, "success", author, resource, address, details=details))


def answer(
    shown: dict[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Nothing of it is kept on the way: some of it is shown once."""
    response = json_response(shown, **(headers or {}))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
