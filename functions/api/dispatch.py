"""From a request to an answer: parse, admit, handle, render what that gives or raises, write one log line."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain
from typing import Final

from flask import Request, Response

from functions.api import audit
from functions.api.endpoint import Endpoint, Endpoints
from functions.api.gate import admit
from functions.api.route import Query
from functions.api.tokens import endpoints as tokens
from functions.api.v2 import endpoints as v2
from functions.api.web import responses
from functions.api.web.address import client_address
from functions.api.web.body import Body, Pace
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.api.web.limit import require_within_limit
from functions.registry import telemetry, told
from functions.registry.auth.caller import Caller, IssuerUnavailable
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import ChangeRefused, Followed, MetadataUnavailable
from functions.registry.oci.errors import Denied, OciError, WritesElsewhere
from functions.registry.room import NoRoom
from functions.registry.told import Told
from functions.registry.wiring import Services

_JSON: Final = re.compile(r"application/([\w.-]+\+)?json")
# What is pushed and pulled by. All else is loaded by the first request for it: a start would take a third longer.
CLIENTS: Final = Endpoints([*v2.ENDPOINTS, *tokens.ENDPOINTS])


@cache
def endpoints() -> Endpoints:
    """Returns the table of all endpoints."""
    from functions.api.gitlab import endpoints as gitlab  # noqa: PLC0415
    from functions.api.v1 import table as v1  # noqa: PLC0415

    return Endpoints([*v2.ENDPOINTS, *tokens.ENDPOINTS, *v1.ENDPOINTS, *gitlab.ENDPOINTS])


def handle(services: Services, request: Request) -> Response:
    """Never raises, and never leaves a body unread in the server's hands."""
    with telemetry.recording() as record:
        settings = services.settings
        address = client_address(request, settings.trusted_proxies)
        body = Body(request, address, Pace.of(settings), settings.request_limit_bytes)
        endpoint, response = _answer(services, request, body, address)
        response.headers.add("Docker-Distribution-Api-Version", "registry/2.0")
        audit.record(services, request, endpoint, record.fields, response.status_code)
        services.pulls_and_pushes.add_if_due()
        return finish(services, request, response, body, record)


def finish(services: Services, request: Request, response: Response, body: Body, record: telemetry.Record) -> Response:
    """Returns the answer, behind which nothing is left in the server's hands; it is in the log."""
    if not body.drain():
        # A streamed answer keeps the framework from reading on: into memory, or from a client that is gone.
        response = Response(chain(response.iter_encoded(), body.linger(b"")), response.status_code, response.headers)
        response.headers["Connection"] = "close"
    _log(request, response, body, record, services.settings.project)
    return response


def _answer(services: Services, request: Request, body: Body, address: str) -> tuple[Endpoint | None, Response]:
    endpoint = None
    try:
        telemetry.note(address=address)
        query = Query(list(request.args.items(multi=True))) if request.query_string else Query()
        table = CLIENTS if request.path.startswith(("/v2/", "/token")) else endpoints()
        endpoint, route = table.match(request.method, request.path, query)
        telemetry.note(route=type(route).__name__, repository=getattr(route, "repository", None))
        if reference := getattr(route, "reference", None) or getattr(route, "digest", None):
            telemetry.note(reference=str(reference))
        if endpoint.needs_schema:
            services.schema.require()
        caller = admit(services, request, endpoint, route)
        if caller.kind != "open" and endpoint.is_rate_limited:
            services.rate_limit.take(caller.label if caller.name else address)
        require_within_limit(services.settings, body)
        _require_json(request)
        context = Context(services, request, body, caller, address)
        with told.telling(told_by(request, caller, address)):
            response = endpoint.handler(context, route)
    except OciError as error:
        telemetry.note(code=error.code, reason=error.reason)
        response = responses.refused(error)
    except (ChangeRefused, Followed) as error:
        refusal = Denied(str(error)) if isinstance(error, ChangeRefused) else WritesElsewhere(str(error))
        telemetry.note(code=refusal.code, reason=str(error))
        response = responses.refused(refusal)
    except (MetadataUnavailable, BlobStoreUnavailable, IssuerUnavailable, NoRoom) as error:
        telemetry.note(code="UNAVAILABLE", reason=f"{type(error).__name__}: {error}")
        response = responses.unavailable(is_full=isinstance(error, NoRoom))
    except Exception as error:  # noqa: BLE001  # the last resort: the client sees that something failed, the log sees what
        telemetry.log_exception("unexpected error", error, method=request.method, path=request.path)
        telemetry.note(code="UNKNOWN")
        response = responses.failed()
    else:
        _wake(services, endpoint)
    return endpoint, response


def _wake(services: Services, endpoint: Endpoint) -> None:
    """Wakes those to whom a success leaves something, and who need not come at once."""
    if endpoint.leaves_garbage:
        services.gc_trigger.send()
    if endpoint.makes_events:
        services.deliver_trigger.send()


def told_by(request: Request, caller: Caller, address: str) -> Told:
    """Returns who changes what the handler changes."""
    trace = request.headers.get("X-Cloud-Trace-Context", "").partition("/")[0]
    agent = request.headers.get("User-Agent", "")
    return Told(caller.label, "client", told.Request(request.method, request.host, address, agent, trace))


def _require_json(request: Request) -> None:
    """Another type, or none, is what a foreign page makes a browser send, with the password that it remembers.

    Not so a type that is written in JSON, as that of CNCF Distribution's notifications: a browser asks first.
    """
    is_change = request.method in {"POST", "PUT", "PATCH"} and request.path.startswith("/api/v1/")
    if is_change and not _JSON.fullmatch(request.mimetype):
        raise ParameterInvalid("the body is JSON, also where there is none: Content-Type: application/json")


def _log(request: Request, response: Response, body: Body, record: telemetry.Record, project: str) -> None:
    telemetry.log(
        "ERROR" if response.status_code >= 500 else "INFO",  # noqa: PLR2004  # the class of server errors
        "request",
        method=request.method,
        status=response.status_code,
        bytes_in=body.received,
        bytes_out=response.content_length,
        ms=record.milliseconds,
        database_ms=round(record.database_seconds * 1000, 1),
        pool_ms=round(record.pool_seconds * 1000, 1),
        statements=len(record.statements),
        client=request.headers.get("User-Agent"),
        **record.fields,
        **telemetry.trace(project, request.headers.get("X-Cloud-Trace-Context", "")),
    )
