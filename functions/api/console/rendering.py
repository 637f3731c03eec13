"""How the console's pages are made of templates: escaped everywhere, by one policy for browsers, small on the wire."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from flask import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from functions.api.console import figures
from functions.api.console.visitor import Visit

ROOT: Final = Path(__file__).parent
# No exceptions: there is neither script nor style in any page.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
PROTECTION: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_SMALLEST_COMPRESSED: Final = 1000
THEMES: Final = ("light", "dark")
THEME_COOKIE: Final = "slipway-theme"


@dataclass(frozen=True, slots=True)
class Page:
    """It is a template with its values. `title` is the heading, `here` the entry of the navigation that it is under.

    `json` is the address of the API that gives the same, `command` the command line's way to it.
    """

    template: str
    title: str
    here: str = ""
    status: int = 200
    json: str = ""
    command: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    compressed: bytes
    media_type: str


@cache
def environment() -> Environment:
    """Returns what makes pages: all is escaped, and shown without signs that a terminal or a reader obeys."""
    made = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=figures.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(figures.FILTERS)
    made.globals.update(static=static_path, pages_for=pages_for, **figures.GLOBALS)
    return made


def pages_for(visit: Visit) -> list[tuple[str, str, str]]:
    """Returns the navigation: name, address and title of what the visitor may look at."""
    pages = [("repositories", "/console/repositories", "Repositories")]
    if visit.authority.over_all:
        pages += [("usage", "/console/usage", "Usage")]
    if visit.authority.is_some:
        pages += [("lifecycle", "/console/lifecycle", "Lifecycle"), ("access", "/console/access", "Access")]
        pages += [("events", "/console/events", "Events")]
    if visit.authority.over_all:
        pages += [("trail", "/console/trail", "Audit trail"), ("operations", "/console/operations", "Operations")]
    return pages


@cache
def static_files() -> dict[str, StaticFile]:
    """Returns them by their name, which has a hash of what is in them: a browser keeps them for ever."""
    found = {}
    for path in sorted((ROOT / "static").iterdir()):
        content = path.read_bytes()
        name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
        found[name] = StaticFile(content, gzip.compress(content, 9, mtime=0), _TYPES[path.suffix[1:]])
    return found


def static_path(name: str) -> str:
    stem, _, suffix = name.partition(".")
    for known in static_files():
        if known.startswith(f"{stem}.") and known.endswith(f".{suffix}"):
            return f"/console/static/{known}"
    raise LookupError(name)


def static(request: Request, name: str) -> Response | None:
    found = static_files().get(name)
    if found is None:
        return None
    is_compressed = _takes_gzip(request)
    response = Response(found.compressed if is_compressed else found.content, content_type=found.media_type)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.headers.update({**PROTECTION, "Cache-Control": _FOR_EVER})
    return response


def render(visit: Visit, page: Page) -> Response:
    theme = visit.request.cookies.get(THEME_COOKIE, "")
    text = (
        environment()
        .get_template(page.template)
        .render(
            page=page,
            visit=visit,
            host=host(visit),
            theme=theme if theme in THEMES else "auto",
            address=visit.request.full_path.rstrip("?"),
            form_token=visit.form_token,
            **page.values,
        )
    )
    return _answer(visit.request, text, page.status)


def redirect(path: str) -> Response:
    response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
    response.headers.remove("Content-Type")
    return response


def host(visit: Visit) -> str:
    """Returns where clients reach the registry: as the settings say, and else as the browser came."""
    settings = visit.services.settings
    if settings.registry_host:
        return settings.registry_host
    if settings.access == "token" and "://" in settings.token_realm:
        return settings.token_realm.partition("://")[2].partition("/")[0]
    return visit.request.host


def _answer(request: Request, text: str, status: int) -> Response:
    content = text.encode(errors="replace")
    response = Response(content, status, content_type="text/html; charset=utf-8")
    if len(content) >= _SMALLEST_COMPRESSED and _takes_gzip(request):
        response.set_data(gzip.compress(content, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.vary.add("Cookie")
    response.headers.update(PROTECTION)
    return response


def _takes_gzip(request: Request) -> bool:
    return request.accept_encodings.quality("gzip") > 0
