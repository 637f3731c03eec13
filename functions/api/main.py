"""The function `api`: the registry's HTTP interface."""

from __future__ import annotations

from flask import Request, Response

from functions.api.dispatch import handle
from functions.registry.wiring import services


def api(request: Request) -> Response:
    return handle(services(), request)
