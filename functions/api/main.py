"""The function `api`: the registry's HTTP interface."""

from __future__ import annotations

import flask
import functions_framework
from flask import Request, Response
from werkzeug.exceptions import HTTPException, InternalServerError

from functions.api import responses
from functions.api.dispatch import handle
from functions.registry import telemetry
from functions.registry.config import is_in_cloud
from functions.registry.wiring import services


def api(request: Request) -> Response:
    try:
        registry = services()
        registry.guard.check(in_cloud=is_in_cloud())
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


def _failed(error: BaseException) -> Response:
    telemetry.log_exception("unexpected error", error, method=flask.request.method, path=flask.request.path)
    return responses.failed()
