"""Tags of a repository, in bytewise order (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from flask import Response

from functions.api.v2.routes import ListTags
from functions.api.web.context import Context
from functions.api.web.pages import name_page
from functions.api.web.responses import json_response
from functions.registry.imports.unions import with_old_tags
from functions.registry.metadata.content import tags
from functions.registry.oci.errors import NameUnknown


def list_tags(context: Context, route: ListTags) -> Response:
    services = context.services
    names = tags.list_names(services.database, route.repository, route.page)
    names = with_old_tags(services.database, services.imports, route.repository, route.page, names)
    if names is None:
        raise NameUnknown(name=route.repository)
    shown, headers = name_page(f"/v2/{route.repository}/tags/list", names, route.page)
    return json_response({"name": route.repository, "tags": shown}, **headers)
