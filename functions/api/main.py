"""The function `api`: the registry's HTTP interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flask
from flask import Request, Response

from functions.api.dispatch import handle
from functions.api.web import browsers, responses, startup
from functions.api.web.beneath import read_in_pieces, refuse_in_json, stay_with_connections, write_in_time
from functions.registry import telemetry
from functions.registry.config import Settings, is_in_cloud
from functions.registry.wiring import services

refuse_in_json()
read_in_pieces()
stay_with_connections()
write_in_time()
telemetry.take_logging()


def api(request: Request) -> Response:
    """Answers a request. Never raises."""
    try:
        response = _answer(request)
    except Exception as error:  # noqa: BLE001  # the last resort: the framework would answer with a page for people
        telemetry.log_exception("unexpected error", error, method=request.method, path=request.path)
        response = responses.failed()
    return _for_browsers(request, response)


def _answer(request: Request) -> Response:
    registry = services()
    registry.guard.check(in_cloud=is_in_cloud())
    if request.path == startup.PATH:
        return startup.answer(registry.database)
    if browsers.is_for_console(request) and _has_console(registry.settings):
        # Imported here: no pull pays for it.
        from functions.api.console import main as console  # noqa: PLC0415

        return console.handle(registry, request)
    return handle(registry, request)


def _has_console(settings: Settings) -> bool:
    """Where another issuer signs people in, it has pages of its own."""
    return settings.console == "on" and settings.access != "external"


def _for_browsers(request: Request, response: Response) -> Response:
    browsers.protect(response)
    try:
        origins = services().settings.cors_origins
    except Exception:  # noqa: BLE001  # what is wrong with the settings has been logged, and answered by this response
        origins = frozenset()
    browsers.share(request, response, origins)
    return response


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Stands where Flask would look for what answers a path (WSGI, PEP 3333). There is one function for all of them.

    Flask would take a third of the time of a pull for that (docs/adr/0037), and refuse some paths by itself: with a
    line end, with doubled slashes, /robots.txt. Clients are owed an OCI error there.
    """
    return api(Request(environ))(environ, start_response)


# The framework runs this file within its application.
if flask.has_app_context():
    flask.current_app.wsgi_app = application  # type: ignore[method-assign]
