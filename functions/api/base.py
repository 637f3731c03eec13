"""`/v2/`: the registry says that it is one."""

from __future__ import annotations

from flask import Response

from functions.api.context import Context
from functions.api.responses import json_response
from functions.registry.oci.route import CheckVersion


def check(_: Context, __: CheckVersion) -> Response:
    return json_response({})
