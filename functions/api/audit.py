"""The audit trail of the registry's content: changes, and what was refused. Reads are not in it.

Administration writes its own events, with what was before and after (functions/api/v1/).
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from flask import Request

from functions.api.endpoint import Endpoint
from functions.api.web.context import Context
from functions.registry import telemetry
from functions.registry.metadata.access import audit
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.wiring import Services

_REFUSED_SIGN_IN: Final = "token.refuse"
_LONGEST_TEXT: Final = 200
# Tags that a manifest took along, some of them if they are many, and how many they were.
_ALONG: Final = ("tags", "tags_deleted")


def record(
    services: Services, request: Request, endpoint: Endpoint | None, fields: dict[str, Any], status: int, via: str = ""
) -> None:
    """Records what a request changed, or was refused; `fields` are those of its log line, `via` as in Context.

    Without access control there is nobody to tell apart, and no trail.
    """
    if services.settings.access == "open" or endpoint is None:
        return
    event = _event(request, endpoint, fields, status)
    if event is None:
        return
    if via:
        event = replace(event, details={**event.details, "via": via})
    # Whoever is refused chooses how often: of the same there is one row a minute, and of all a few.
    caller = event.address if event.action == _REFUSED_SIGN_IN else f"{event.principal} {event.address}"
    if event.outcome == "success" or services.refusals.lets(caller, f"{event.action} {event.resource}"):
        write(services, event)


def access_changed(context: Context, action: str, resource: str, namespace: str | None, **details: Any) -> None:
    """A change to who may do what, in the trail and in the log. `namespace` is the one that it was made in."""
    _record(context, "access changed", action, resource, namespace, details)


def registry_changed(context: Context, action: str, resource: str, namespace: str | None, **details: Any) -> None:
    """The same of any other change."""
    _record(context, "registry changed", action, resource, namespace, details)


def _record(
    context: Context, what: str, action: str, resource: str, namespace: str | None, details: dict[str, Any]
) -> None:
    author, address = context.caller.label, context.address
    if context.via:
        details = {**details, "via": context.via}
    telemetry.log("INFO", what, action=action, resource=resource, principal=author, address=address)
    write(context.services, Event(action, "success", author, resource, address, None, details, namespace))


def write(services: Services, event: Event) -> None:
    """A trail that can't be written is told of, and undoes nothing."""
    try:
        audit.write(services.database, event)
    except MetadataUnavailable as error:
        telemetry.log("ERROR", "audit event lost", action=event.action, outcome=event.outcome, reason=str(error))


def _event(request: Request, endpoint: Endpoint, fields: dict[str, Any], status: int) -> Event | None:
    is_change = endpoint.is_audited and status < HTTPStatus.MULTIPLE_CHOICES
    # An account is noted wherever a name and a password came: at the token endpoint, and with Basic credentials.
    is_refused_sign_in = status == HTTPStatus.UNAUTHORIZED and fields.get("account")
    if not (is_change or is_refused_sign_in or status == HTTPStatus.FORBIDDEN):
        return None
    return Event(
        action=_REFUSED_SIGN_IN if is_refused_sign_in else endpoint.action,
        outcome="success" if is_change else "denied",
        principal=text(fields.get("account") if is_refused_sign_in else fields.get("principal")),
        resource=text(fields.get("repository")),
        address=text(fields.get("address")),
        reason=text(fields.get("reason")) or None,
        details={
            "reference": text(fields.get("reference")),
            "method": request.method,
            "status": status,
            "client": text(request.headers.get("User-Agent")),
            "trace": text(request.headers.get("X-Cloud-Trace-Context")),
            **{name: fields[name] for name in _ALONG if name in fields},
        },
        namespace=namespace_of(text(fields.get("repository"))),
    )


def text(value: object) -> str:
    """Returns the text short, and without what a terminal or a database would take amiss: some of it was sent by a
    stranger.
    """
    shown = "" if value is None else str(value)[:_LONGEST_TEXT]
    return "".join(character if character.isprintable() else "\ufffd" for character in shown)
