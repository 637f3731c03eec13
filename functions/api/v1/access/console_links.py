"""Links that sign a person in to the console, once: the command line hands one to a browser."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Response

from functions.api.audit import access_changed
from functions.api.v1.access import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ResourceExists
from functions.api.web.responses import answer
from functions.registry.auth.secrets import Peppers, make_secret
from functions.registry.metadata.console import sessions
from functions.registry.oci.errors import Denied

PURPOSE: Final = "console link"


def add(context: Context, _: routes.AddConsoleLink) -> Response:
    """Answers with a path: the caller knows at which host it asked."""
    json_body.read(context, {}, {})
    caller, settings = context.caller, context.services.settings
    if settings.console == "off" or caller.kind in {"open", "external"}:
        raise ResourceExists("there is no console here that anybody signs in to")
    if caller.kind != "user" or caller.principal_id is None or not caller.catalog or caller.is_read_only:
        # A token for a repository alone, which a program may hold, is not to become all that its owner may do.
        raise Denied("a link is for a user, signed in by a secret or by a token of the scope registry:catalog:*")
    code = make_secret().text
    hashed = Peppers(settings.pepper).hashes_for(PURPOSE, code)[0]
    sessions.add_link(context.services.database, hashed, caller.principal_id)
    access_changed(context, "console.link", caller.label, None)
    shown = {"path": f"/console/link?code={code}", "expires_in": sessions.LINK_SECONDS}
    return answer(shown, HTTPStatus.CREATED)
