"""Changes that people make in the console: each is a request to the API, made for them in this process.

So a form can do nothing that the API does not, and who may do it, what is refused and what the audit trail says are
decided in one place.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qsl

from functions.api import audit
from functions.api.console.visitor import Visit
from functions.api.dispatch import endpoints, told_by
from functions.api.gate import asked_by, permitted
from functions.api.route import Query
from functions.api.web.body import Body
from functions.api.web.context import Context
from functions.registry import telemetry, told
from functions.registry.auth.caller import ANYONE_OPEN, Caller
from functions.registry.auth.scopes import Scope
from functions.registry.metadata.access.credentials import SignedIn

VIA: Final = "console"


class FieldsBody(Body):
    """It holds the fields of a form, as the API reads them from a body."""

    def __init__(self, fields: dict[str, Any]) -> None:
        """Reads nothing from a client."""
        self._content = json.dumps(fields).encode(errors="replace")
        self.announced = self.received = len(self._content)
        self.is_announced = True
        self.is_cut = self.is_too_large = False

    def read(self, limit: int) -> bytes | None:
        return self._content if len(self._content) <= limit else None


def request(visit: Visit, method: str, path: str, **fields: Any) -> dict[str, Any]:
    """Returns what the API answers. Raises what it refuses with: OciError, ChangeRefused, MetadataUnavailable."""
    services = visit.services
    path, _, query = path.partition("?")
    endpoint, route = endpoints().match(method, path, Query(parse_qsl(query)))
    caller = permitted(services, _caller(visit, asked_by(endpoint.permission, route)), endpoint.permission, route)
    context = Context(services, visit.request, FieldsBody(fields), caller, visit.address, VIA)
    with told.telling(told_by(visit.request, caller, visit.address)):
        response = endpoint.handler(context, route)
    noted = {
        "principal": caller.label,
        "address": visit.address,
        "repository": getattr(route, "repository", None),
        "reference": getattr(route, "reference", None) or getattr(route, "digest", None),
    }
    telemetry.note(route=type(route).__name__, action=endpoint.action)
    audit.record(services, visit.request, endpoint, noted, response.status_code, VIA)
    if endpoint.leaves_garbage:
        services.gc_trigger.send()
    answer = response.get_json(silent=True)
    return answer if isinstance(answer, dict) else {}


def _caller(visit: Visit, scopes: list[Scope]) -> Caller:
    if visit.is_open or visit.principal is None:
        return ANYONE_OPEN
    return visit.services.guard.grant(SignedIn(visit.principal, VIA), scopes)
