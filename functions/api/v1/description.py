"""The API's description (OpenAPI 3.1), for programs that read such things. Written by hand; tests keep it true."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from flask import Response

from functions.api.v1.routes import GetDescription
from functions.api.web.context import Context

_FILE: Final = Path(__file__).with_name("openapi.json")


def get(_: Context, __: GetDescription) -> Response:
    response = Response(_document(), content_type="application/json")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


@cache
def _document() -> bytes:
    return _FILE.read_bytes()
