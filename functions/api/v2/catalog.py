"""The catalog: every repository that holds something and that the caller may see."""

from __future__ import annotations

from flask import Response

from functions.api.gate import visible_to
from functions.api.v2.routes import ListRepositories
from functions.api.web.context import Context
from functions.api.web.pages import name_page
from functions.api.web.responses import json_response
from functions.registry.metadata.content import repositories


def list_repositories(context: Context, route: ListRepositories) -> Response:
    names = repositories.list_names(context.services.database, route.page, visible_to(context.caller))
    shown, headers = name_page("/v2/_catalog", names, route.page)
    return json_response({"repositories": shown}, **headers)
