"""The catalog: every repository that holds something and that the caller may see."""

from __future__ import annotations

from flask import Response

from functions.api.gate import visible_to
from functions.api.v2.routes import ListRepositories
from functions.api.web.context import Context
from functions.api.web.pages import name_page
from functions.api.web.responses import json_response
from functions.registry.imports.unions import with_old_repositories
from functions.registry.metadata.content import repositories


def list_repositories(context: Context, route: ListRepositories) -> Response:
    services, visible = context.services, visible_to(context.caller)
    names = repositories.list_names(services.database, route.page, visible)
    names = with_old_repositories(services.database, services.imports, route.page, visible, names)
    shown, headers = name_page("/v2/_catalog", names, route.page)
    return json_response({"repositories": shown}, **headers)
