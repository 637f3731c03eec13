"""The catalog: every repository that holds something."""

from __future__ import annotations

from flask import Response

from functions.api.context import Context
from functions.api.pages import name_page
from functions.api.responses import json_response
from functions.registry.metadata import repositories
from functions.registry.oci.route import ListRepositories


def list_repositories(context: Context, route: ListRepositories) -> Response:
    names = repositories.list_names(context.services.database, route.page)
    shown, headers = name_page("/v2/_catalog", names, route.page)
    return json_response({"repositories": shown}, **headers)
