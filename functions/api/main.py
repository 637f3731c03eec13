"""The function `api`: the registry's HTTP interface."""

from __future__ import annotations

import flask
import functions_framework
from flask import Request, Response
from werkzeug.exceptions import HTTPException, InternalServerError

from functions.api.dispatch import handle
from functions.api.web import browsers, responses, startup
from functions.api.web.beneath import refuse_in_json
from functions.registry import telemetry
from functions.registry.config import Settings, is_in_cloud
from functions.registry.wiring import services

refuse_in_json()
telemetry.take_logging()


def api(request: Request) -> Response:
    try:
        registry = services()
        registry.guard.check(in_cloud=is_in_cloud())
        if request.path == startup.PATH:
            return startup.answer(registry.database)
        if browsers.is_for_console(request) and _has_console(registry.settings):
            # Imported here: no pull pays for it.
            from functions.api.console import main as console  # noqa: PLC0415

            return console.handle(registry, request)
        return handle(registry, request)
    except Exception as error:  # noqa: BLE001  # the last resort: the framework would answer with a page for people
        return _failed(error)


# Some paths never come to the function: with a line end, with doubled slashes, /robots.txt. The framework would answer
# them with a page for people, or a redirect; clients are owed an OCI error.
@functions_framework.errorhandler(HTTPException)  # type: ignore[untyped-decorator]  # the framework has no types
def unrouted(_: HTTPException) -> Response:
    return api(flask.request)


# What the framework itself raises, before the function or after it.
@functions_framework.errorhandler(500)  # type: ignore[untyped-decorator]  # as above
def failed(error: InternalServerError) -> Response:
    return _failed(error.original_exception or error)


def _has_console(settings: Settings) -> bool:
    """Where another issuer signs people in, it has pages of its own."""
    return settings.console == "on" and settings.access != "external"


def _failed(error: BaseException) -> Response:
    telemetry.log_exception("unexpected error", error, method=flask.request.method, path=flask.request.path)
    return responses.failed()


def for_browsers(response: Response) -> Response:
    browsers.protect(response)
    try:
        origins = services().settings.cors_origins
    except Exception:  # noqa: BLE001  # what is wrong with the settings has been logged, and answered by this response
        origins = frozenset()
    browsers.share(flask.request, response, origins)
    return response


# The framework runs this file within its application. All that leaves it passes here, also what the framework answers.
if flask.has_app_context():
    flask.current_app.after_request(for_browsers)
