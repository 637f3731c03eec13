"""`/v2/`: the registry says that it is one."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from functions.api.route import ListMethods
from functions.api.v2.routes import CheckVersion
from functions.api.web.context import Context
from functions.api.web.responses import empty, gitlab_headers, json_response


def check(context: Context, _: CheckVersion) -> Response:
    """GitLab takes a registry without its headers for one that can't delete tags."""
    headers = {
        **gitlab_headers(context.services.settings),
        "Gitlab-Container-Registry-Features": "tag_delete",
        "Gitlab-Container-Registry-Database-Enabled": "true",
    }
    return json_response({}, **headers)


def list_methods(_: Context, route: ListMethods) -> Response:
    return empty(HTTPStatus.OK, {"Allow": ", ".join(route.allow), "Content-Length": "0"})
