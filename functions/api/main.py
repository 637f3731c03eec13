"""The function `api`: the registry's HTTP interface."""

from __future__ import annotations

import flask
import functions_framework
from flask import Request, Response
from werkzeug.exceptions import HTTPException

from functions.api.beneath import refuse_in_json
from functions.api.dispatch import handle
from functions.registry.config import is_in_cloud
from functions.registry.wiring import services

refuse_in_json()


def api(request: Request) -> Response:
    registry = services()
    registry.guard.check(in_cloud=is_in_cloud())
    return handle(registry, request)


# Some paths never come to the function: with a line end, with doubled slashes, /robots.txt. The framework would answer
# them with a page for people, or a redirect; clients are owed an OCI error.
@functions_framework.errorhandler(HTTPException)  # type: ignore[untyped-decorator]  # the framework has no types
def unrouted(_: HTTPException) -> Response:
    return handle(services(), flask.request)
