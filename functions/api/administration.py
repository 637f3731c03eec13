"""What the handlers for administrators share."""

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
from functions.registry.oci.errors import Denied, ResourceUnknown


def known(context: Context, name: str) -> Principal:
    """Raises ResourceUnknown."""
    principal = principals.get(context.services.database, name)
    if principal is None:
        raise ResourceUnknown(f"there is no user and no robot called {name}")
    return principal


def administered(context: Context, name: str) -> Principal:
    """The principal, if the caller may see and change it. Raises ResourceUnknown and Denied.

    A namespace's administrator is told the same of others and of who isn't there.
    """
    if context.caller.authority.over_all:
        return known(context, name)
    principal = principals.get(context.services.database, name)
    if principal is None or not context.caller.authority.over(principal.namespace):
        raise Denied(f"you administer no robot called {name}")
    return principal


def listed(context: Context, namespace: str | None) -> str | None:
    """The namespace that a list is of, None for all there are. Raises Denied."""
    if not context.caller.authority.over(namespace):
        raise Denied("name a namespace that you administer: ?namespace=NAME")
    return namespace


def record(context: Context, action: str, resource: str, namespace: str | None, **details: Any) -> None:
    """A change to who may do what, in the trail and in the log. `namespace` is the one that it was made in."""
    _record(context, "access changed", action, resource, namespace, details)


def note(context: Context, action: str, resource: str, namespace: str | None, **details: Any) -> None:
    """The same of any other change."""
    _record(context, "registry changed", action, resource, namespace, details)


def _record(
    context: Context, what: str, action: str, resource: str, namespace: str | None, details: dict[str, Any]
) -> None:
    author, address = context.caller.label, context.address
    telemetry.log("INFO", what, action=action, resource=resource, principal=author, address=address)
    audit.write(context.services, Event(action, "success", author, resource, address, None, details, namespace))


def answer(
    shown: dict[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Nothing of it is kept on the way: some of it is shown once."""
    response = json_response(shown, **(headers or {}))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
