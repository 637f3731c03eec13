"""The console: one request of a browser. Loaded with the first of them; no pull pays for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from flask import Request, Response

from functions.api.console import forms, rendering
from functions.api.console.rendering import Page, redirect
from functions.api.console.route import Answer, Row
from functions.api.console.table import ROWS
from functions.api.console.visitor import ClaimOutdated, Cookie, NotAllowed, NotShown, SignInNeeded, Visit, set_cookie
from functions.api.dispatch import finish
from functions.api.route import Query
from functions.api.web.address import client_address
from functions.api.web.body import Body, Pace
from functions.api.web.responses import STATUSES
from functions.registry import telemetry
from functions.registry.auth.caller import IssuerUnavailable
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import ChangeRefused, Followed, MetadataUnavailable
from functions.registry.oci.errors import Denied, OciError, TooManyRequests
from functions.registry.wiring import Services

_STATIC: Final = "/console/static/"
_TRY_AGAIN_SECONDS: Final = 5


def handle(services: Services, request: Request) -> Response:
    """Never raises."""
    with telemetry.recording() as record:
        address = client_address(request, services.settings.trusted_proxies)
        body = Body(request, address, Pace.of(services.settings), forms.LARGEST * 2)
        visit = Visit(services, request, address, Cookie.of(request, services.settings))
        telemetry.note(address=address, route="Console")
        response = _answer(visit, body)
        for name, value in rendering.PROTECTION.items():
            response.headers.setdefault(name, value)
        return finish(services, request, response, body, record)


def _answer(visit: Visit, body: Body) -> Response:
    try:
        visit.services.schema.require()
        visit.services.rate_limit.take(visit.address)
        return _shown(visit, _found(visit, body))
    except SignInNeeded:
        telemetry.note(code="UNAUTHORIZED")
        return to_sign_in(visit)
    except (NotShown, NotAllowed, ChangeRefused, Followed, OciError) as refused:
        telemetry.note(code=getattr(refused, "code", "REFUSED"), reason=str(refused))
        return _shown(visit, _refused(refused))
    except (MetadataUnavailable, BlobStoreUnavailable, IssuerUnavailable) as error:
        telemetry.note(code="UNAVAILABLE", reason=f"{type(error).__name__}: {error}")
        return _unavailable(visit)
    except Exception as error:  # noqa: BLE001  # the last resort: people see that something failed, the log sees what
        telemetry.log_exception("unexpected error", error, method=visit.request.method, path=visit.request.path)
        telemetry.note(code="UNKNOWN")
        return _shown(visit, _refusal("It failed", "The registry's log says why.", HTTPStatus.INTERNAL_SERVER_ERROR))


def _found(visit: Visit, body: Body) -> Answer:
    request = visit.request
    if request.path in {"/", "/console"}:
        return redirect("/console/")
    if request.path.startswith(_STATIC):
        return _static(request)
    for row in ROWS:
        match = row.pattern.fullmatch(request.path)
        if match is None:
            continue
        if request.method in {"GET", "HEAD"}:
            query = Query(list(request.args.items(multi=True)))
            try:
                return row.show(visit, match, query)
            except ClaimOutdated:
                return _with_cookie(visit, row.show(visit, match, query))
        if request.method == "POST" and row.do is not None:
            form = _form(visit, row, body)
            return row.do(visit, match, form)
        return _refusal("Not possible", "This page takes no such request.", HTTPStatus.METHOD_NOT_ALLOWED)
    raise NotShown("There is no such page.")


def _form(visit: Visit, row: Row, body: Body) -> forms.Form:
    form = forms.read(visit.request, body)
    if row.has_session:
        try:
            visit.ask([])
        except ClaimOutdated:
            visit.ask([])
        forms.require_token(visit, form, visit.request.path)
    return form


def _static(request: Request) -> Response:
    found = rendering.static(request, request.path.removeprefix(_STATIC))
    if found is None or request.method not in {"GET", "HEAD"}:
        return Response("there is no such file\n", HTTPStatus.NOT_FOUND, content_type="text/plain")
    return found


def _shown(visit: Visit, answer: Answer) -> Response:
    return rendering.render(visit, answer) if isinstance(answer, Page) else answer


def _with_cookie(visit: Visit, answer: Answer) -> Response:
    response = _shown(visit, answer)
    set_cookie(response, visit.services.settings, visit.cookie)
    return response


def to_sign_in(visit: Visit) -> Response:
    request = visit.request
    here = request.full_path.rstrip("?") if request.method == "GET" else request.path
    is_start = here in {"/console/", ""}
    response = redirect("/console/sign-in" + ("" if is_start else f"?next={quote(here, safe='')}"))
    if visit.cookie is not None:
        set_cookie(response, visit.services.settings, None)
    return response


def _refusal(title: str, text: str, status: HTTPStatus) -> Page:
    return Page("error.html", title, status=status, values={"text": text, "retry": False})


def _refused(error: Exception) -> Page:
    if isinstance(error, NotShown):
        return _refusal("Not found", str(error), HTTPStatus.NOT_FOUND)
    if not isinstance(error, OciError):
        return _refusal("Not allowed", str(error), HTTPStatus.FORBIDDEN)
    text = error.reason or error.message
    text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    if isinstance(error, TooManyRequests):
        return _refusal("Too many requests", text, HTTPStatus.TOO_MANY_REQUESTS)
    status = STATUSES[type(error)]
    title = {HTTPStatus.NOT_FOUND: "Not found", HTTPStatus.BAD_REQUEST: "That can't be read"}.get(status, "Refused")
    return _refusal("Not allowed" if isinstance(error, Denied) else title, text, status)


def _unavailable(visit: Visit) -> Response:
    text = "The registry can't reach its database or its bucket just now. This page tries again by itself."
    values = {"text": text, "retry": True}
    page = Page("error.html", "One moment", status=HTTPStatus.SERVICE_UNAVAILABLE, values=values)
    response = rendering.render(visit, page)
    response.headers["Retry-After"] = str(_TRY_AGAIN_SECONDS)
    if visit.request.method == "GET":
        response.headers["Refresh"] = str(_TRY_AGAIN_SECONDS)
    return response
