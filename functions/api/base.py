"""`/v2/`: the registry says that it is one."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from functions.api.context import Context
from functions.api.responses import empty, json_response
from functions.registry.config import Settings
from functions.registry.oci.route import CheckVersion, ListMethods


def check(context: Context, _: CheckVersion) -> Response:
    """GitLab takes a registry without its headers for one that can't delete tags."""
    headers = {
        **gitlab_headers(context.services.settings),
        "Gitlab-Container-Registry-Features": "tag_delete",
        "Gitlab-Container-Registry-Database-Enabled": "true",
    }
    return json_response({}, **headers)


def gitlab_headers(settings: Settings) -> dict[str, str]:
    return {"Gitlab-Container-Registry-Version": settings.gitlab_version}


def list_methods(_: Context, route: ListMethods) -> Response:
    return empty(HTTPStatus.OK, {"Allow": ", ".join(route.allow), "Content-Length": "0"})
