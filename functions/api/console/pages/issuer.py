"""Signing in by the organisation's own issuer: the browser goes there by a link, and comes back with a code.

A cookie of its own binds both ends to one browser, for ten minutes; where to go on stands in it, never in an address.
"""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response

from functions.api import audit
from functions.api.console.forms import next_path
from functions.api.console.pages.signing_in import opened
from functions.api.console.rendering import Page, redirect, render
from functions.api.console.route import Answer
from functions.api.console.visitor import NotShown, Visit, cookie_name, is_secure
from functions.api.route import Query
from functions.registry import telemetry
from functions.registry.auth.attempt import Attempt
from functions.registry.auth.caller import IssuerUnavailable
from functions.registry.auth.signed_in import IdentityUnknown, SignInRefused, SignInThrottled
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.access.identities import UNKNOWN, VIA

_SECONDS: Final = 600
_COOKIE: Final = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_=-]{0,2000})")
_ERROR: Final = re.compile(r"[a-z_]{1,60}")
_FOREIGN: Final = (
    "This answer belongs to a sign-in that another browser began, that is older than ten minutes, or that is over."
    " Begin anew, at the address at which you want to use the console."
)


def show_way(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    """Sends the browser to the issuer."""
    _require_issuer(visit)
    attempt = Attempt.new()
    try:
        response = redirect(visit.services.guard.issuer_sign_in.address(attempt))
    except IssuerUnavailable:
        return _failed(visit, _silent(visit), HTTPStatus.SERVICE_UNAVAILABLE)
    going_to = base64.urlsafe_b64encode(next_path(query.get("next")).encode()).decode()
    response.set_cookie(_name(visit), f"{attempt.ticket}.{going_to}", _SECONDS, **_how(visit))
    return response


def show_back(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    """Opens a session for whoever the issuer says that it is, if this browser asked for that."""
    _require_issuer(visit)
    begun = _COOKIE.fullmatch(visit.request.cookies.get(_name(visit), ""))
    attempt = None if begun is None else Attempt.of(begun[1])
    if begun is None or attempt is None or not attempt.is_state(query.get("state") or ""):
        telemetry.note(reason="the state is not this browser's")
        return _failed(visit, _FOREIGN, HTTPStatus.BAD_REQUEST)
    if query.get("iss") not in {None, visit.services.settings.console_issuer}:
        other = "Another issuer answered than the one that was asked."
        return _over(visit, _failed(visit, other, HTTPStatus.BAD_REQUEST))
    if error := query.get("error"):
        told = error if _ERROR.fullmatch(error) else "an error of its own"
        return _over(visit, _failed(visit, f"{_host(visit)} let nobody in: it says {told}.", HTTPStatus.FORBIDDEN))
    going_to = next_path(base64.urlsafe_b64decode(begun[2] + "==").decode(errors="replace"))
    return _over(visit, _signed_in(visit, attempt, query.get("code") or "", going_to))


def _signed_in(visit: Visit, attempt: Attempt, code: str, going_to: str) -> Answer:
    try:
        principal = visit.services.guard.issuer_sign_in.sign_in(attempt, code, visit.address)
    except IdentityUnknown as unknown:
        return _unknown(visit, unknown)
    except SignInThrottled as throttled:
        text = f"Too many sign-ins failed from your address: try again in {throttled.retry_after_seconds} seconds."
        return _failed(visit, text, HTTPStatus.TOO_MANY_REQUESTS)
    except IssuerUnavailable:
        return _failed(visit, _silent(visit), HTTPStatus.SERVICE_UNAVAILABLE)
    except SignInRefused as refused:
        telemetry.note(reason=str(refused))
        return _failed(visit, f"The sign-in was refused: {refused}.", HTTPStatus.UNAUTHORIZED)
    return opened(visit, principal, None, VIA, going_to)


def _unknown(visit: Visit, unknown: IdentityUnknown) -> Answer:
    """Says what an administrator needs to let the person in, and tells the trail, where administrators find it."""
    subject, email = audit.text(unknown.subject), audit.text(unknown.email)
    if visit.services.refusals.lets(visit.address, f"{UNKNOWN} {subject}"):
        details = {"via": VIA, "issuer": visit.services.settings.console_issuer, "email": email}
        reason = "no user has this identity"
        audit.write(visit.services, Event(UNKNOWN, "denied", "", subject, visit.address, reason, details))
    values = {"issuer": _host(visit), "subject": unknown.subject, "email": unknown.email, "error": ""}
    return Page("issuer.html", "Not known here yet", status=HTTPStatus.FORBIDDEN, values=values)


def _failed(visit: Visit, error: str, status: int) -> Answer:
    return Page("issuer.html", "Not signed in", status=status, values={"issuer": _host(visit), "error": error})


def _silent(visit: Visit) -> str:
    return f"{_host(visit)} doesn't answer as it should just now: try again in a moment."


def _over(visit: Visit, answer: Answer) -> Response:
    """Takes the cookie away: an attempt is good once."""
    response = render(visit, answer) if isinstance(answer, Page) else answer
    response.delete_cookie(_name(visit), **_how(visit))
    return response


def _require_issuer(visit: Visit) -> None:
    if visit.is_open or not visit.services.settings.console_issuer:
        raise NotShown("Nobody signs in to this registry by another issuer.")


def _host(visit: Visit) -> str:
    return urlsplit(visit.services.settings.console_issuer).netloc


def _name(visit: Visit) -> str:
    return f"{cookie_name(visit.services.settings)}-sign-in"


def _how(visit: Visit) -> dict[str, Any]:
    """Lax: the browser comes back from another site."""
    return {"path": "/", "secure": is_secure(visit.services.settings), "httponly": True, "samesite": "Lax"}
