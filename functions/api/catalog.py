"""The catalog: every repository that holds something and that the caller may see."""

from __future__ import annotations

from flask import Response

from functions.api.context import Context
from functions.api.pages import name_page
from functions.api.responses import json_response
from functions.registry.auth.caller import Caller
from functions.registry.metadata import repositories
from functions.registry.metadata.grants import NOBODY
from functions.registry.oci.errors import Denied
from functions.registry.oci.route import ListRepositories


def list_repositories(context: Context, route: ListRepositories) -> Response:
    names = repositories.list_names(context.services.database, route.page, visible_to(context.caller))
    shown, headers = name_page("/v2/_catalog", names, route.page)
    return json_response({"repositories": shown}, **headers)


def visible_to(caller: Caller) -> int | None:
    """The principal whose grants decide; None where all may be seen."""
    if caller.is_admin:
        return None
    if caller.kind == "external":
        # Another issuer knows no grants of ours: it gives the catalog as a whole, or not at all.
        if not caller.catalog:
            raise Denied("the token has no right to the catalog")
        return None
    return caller.principal_id or NOBODY
