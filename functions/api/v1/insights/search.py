"""Repositories and tags by a part of their name, for whoever may pull from them."""

from __future__ import annotations

from typing import Final

from flask import Response

from functions.api.gate import visible_to
from functions.api.v1.insights import routes
from functions.api.web.context import Context
from functions.api.web.responses import json_response
from functions.registry.metadata.lists import searches

MOST: Final = 20


def search(context: Context, route: routes.Search) -> Response:
    """`complete` is false where more than twenty fit, or where too many names had to be passed."""
    database, seen_by = context.services.database, visible_to(context.caller)
    if route.repository is None:
        found = searches.repositories(database, route.text, MOST, seen_by)
    else:
        found = searches.tags(database, route.repository, route.text, MOST, seen_by)
    return json_response({"results": found.results, "complete": found.complete})
