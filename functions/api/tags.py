"""Tags of a repository, in bytewise order (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from flask import Response

from functions.api.context import Context
from functions.api.pages import name_page
from functions.api.responses import json_response
from functions.registry.metadata import tags
from functions.registry.oci.errors import NameUnknown
from functions.registry.oci.route import ListTags


def list_tags(context: Context, route: ListTags) -> Response:
    names = tags.list_names(context.services.database, route.repository, route.page)
    if names is None:
        raise NameUnknown(name=route.repository)
    shown, headers = name_page(f"/v2/{route.repository}/tags/list", names, route.page)
    return json_response({"name": route.repository, "tags": shown}, **headers)
