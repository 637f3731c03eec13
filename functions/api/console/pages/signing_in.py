"""Signing in and out, and the list of one's own sessions."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from flask import Response

from functions.api import audit
from functions.api.basic_auth import refusing
from functions.api.console.forms import Form, next_path
from functions.api.console.rendering import THEME_COOKIE, THEMES, Page, redirect
from functions.api.console.route import Answer
from functions.api.console.visitor import Cookie, Visit, is_secure, set_cookie
from functions.api.route import Query
from functions.api.v1.access.console_links import PURPOSE as LINK
from functions.registry import telemetry
from functions.registry.auth.secrets import Peppers
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.console import sessions
from functions.registry.metadata.console.sessions import NewSession
from functions.registry.oci.errors import TooManyRequests, Unauthorized

_LONGEST_AGENT: Final = 200
_WRONG: Final = "Wrong name or secret, or it has expired or was revoked."
_THEME_SECONDS: Final = 365 * 86_400


def show_sign_in(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    if visit.is_open:
        return redirect("/console/")
    return _sign_in_page(visit, next_path(query.get("next")))


def sign_in(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    """Opens a session with a new cookie, whatever cookie came."""
    if visit.is_open:
        return redirect("/console/")
    name, going_to = form.get("name", ""), next_path(form.get("next"))
    telemetry.note(account=name)
    visit.services.rate_limit.take(visit.address)
    try:
        signed_in = refusing(
            visit.services, lambda sign_in: sign_in.sign_in(name, form.get("password", ""), visit.address)
        )
    except Unauthorized:
        _told_refused(visit, name)
        return _sign_in_page(visit, going_to, name, _WRONG, HTTPStatus.UNAUTHORIZED)
    except TooManyRequests as throttled:
        reason = f"{throttled.reason[:1].upper()}{throttled.reason[1:]}." if throttled.reason else "Wait a little."
        return _sign_in_page(visit, going_to, name, reason, HTTPStatus.TOO_MANY_REQUESTS)
    if signed_in.principal.kind != "user" or signed_in.via not in {"secret", "password"}:
        reason = "Robots and jobs don't use the console: sign in as a user."
        return _sign_in_page(visit, going_to, name, reason, HTTPStatus.FORBIDDEN)
    return opened(visit, signed_in.principal, signed_in.secret_id, signed_in.via, going_to)


def show_link(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    """Shows a page with one button: a link that is only looked at, by whatever previews links, is not used up."""
    if visit.is_open:
        return redirect("/console/")
    code = query.get("code") or ""
    return Page("link.html", "Sign in", values={"code": code[:100], "error": ""})


def use_link(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    if visit.is_open:
        return redirect("/console/")
    hashes = Peppers(visit.services.settings.pepper).hashes_for(LINK, form.get("code", ""))
    principal = sessions.take_link(visit.services.database, hashes)
    if principal is None or principal.kind != "user":
        _told_refused(visit, "")
        error = "This link was used, or a minute has passed: run `slipway console` again."
        return Page("link.html", "Sign in", status=HTTPStatus.UNAUTHORIZED, values={"code": "", "error": error})
    return opened(visit, principal, None, "link", "/console/")


def show_sessions(visit: Visit, _: re.Match[str], __: Query) -> Answer:
    calls = [] if visit.is_open or visit.cookie is None else [sessions.listing(visit.cookie.principal_id)]
    read = visit.ask(calls)
    hashes = visit.cookie.hashes(visit.services.settings) if visit.cookie and not visit.is_open else []
    return Page("sessions.html", "Where you are signed in", values={"found": read[0] if read else [], "mine": hashes})


def end_session(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    session = form.get("session", "")
    if visit.principal is not None and re.fullmatch(r"[0-9a-f]{64}", session):
        sessions.close(visit.services.database, visit.principal.id, [bytes.fromhex(session)])
    return redirect("/console/sessions")


def sign_out(visit: Visit, _: re.Match[str], __: Form) -> Answer:
    response = redirect("/console/sign-in")
    if visit.principal is not None and visit.cookie is not None:
        hashes = visit.cookie.hashes(visit.services.settings)
        sessions.close(visit.services.database, visit.principal.id, hashes)
        _told(visit, "console.sign-out", visit.principal)
    set_cookie(response, visit.services.settings, None)
    return response


def show_nothing(_: Visit, __: re.Match[str], ___: Query) -> Answer:
    return redirect("/console/")


def set_theme(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    """Keeps light, dark, or as the system has it, in a cookie of its own."""
    response = redirect(next_path(form.get("next")))
    theme = form.get("theme", "")
    if theme in THEMES:
        secure = is_secure(visit.services.settings)
        response.set_cookie(
            THEME_COOKIE, theme, _THEME_SECONDS, path="/console/", secure=secure, httponly=True, samesite="Lax"
        )
    else:
        response.delete_cookie(THEME_COOKIE, path="/console/")
    return response


def opened(visit: Visit, principal: Principal, secret_id: str | None, via: str, going_to: str) -> Response:
    """Opens a session with a new cookie, and goes on."""
    settings, cookie = visit.services.settings, Cookie.made_for(principal)
    agent = audit.text(visit.request.headers.get("User-Agent"))[:_LONGEST_AGENT]
    new = NewSession(cookie.hashes(settings)[0], principal.id, secret_id, via, agent, visit.address)
    sessions.open_session(visit.services.database, new)
    _told(visit, "console.sign-in", principal, via=via)
    response = redirect(going_to)
    set_cookie(response, settings, cookie)
    return response


def _told(visit: Visit, action: str, principal: Principal, **details: str) -> None:
    audit.write(
        visit.services, Event(action, "success", principal.label, principal.label, visit.address, None, details)
    )


def _told_refused(visit: Visit, name: str) -> None:
    """Tells the trail as the token endpoint does: of the same there is one row a minute."""
    if visit.services.refusals.lets(visit.address, "console.sign-in"):
        reason = "wrong name or secret"
        event = Event("console.sign-in", "denied", audit.text(name), "", visit.address, reason, {"via": "console"})
        audit.write(visit.services, event)


def _sign_in_page(visit: Visit, going_to: str, name: str = "", error: str = "", status: int = HTTPStatus.OK) -> Page:
    issuer = urlsplit(visit.services.settings.console_issuer).netloc
    values = {"next": going_to, "name": name, "error": error, "issuer": issuer}
    return Page("sign_in.html", "Sign in", status=status, values=values)
