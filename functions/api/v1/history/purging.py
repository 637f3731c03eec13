"""What was deleted in a repository, deleted for good."""

from __future__ import annotations

from typing import Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.tag_protection import require_deletable, require_removable
from functions.api.v1.history import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.api.web.json_body import flag, tag_list
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.history import purging
from functions.registry.oci.errors import NameUnknown

MOST_TAGS: Final = 1000


def purge(context: Context, route: routes.Purge) -> Response:
    """Deletes for good what some tags named before, or all that can be put back."""
    fields = json_body.read(context, {}, {"tags": tag_list(MOST_TAGS), "all": flag})
    tags = fields.get("tags")
    if (tags is None) != fields.get("all", False):
        raise ParameterInvalid("the body has tags, or all with the value true")
    if tags is None:
        require_removable(context, route.repository)
    for tag in tags or ():
        require_deletable(context, route.repository, tag)
    rank = context.caller.rank(route.repository)
    done = purging.purge(context.services.database, route.repository, tags, rank)
    if done is None:
        raise NameUnknown(name=route.repository)
    [shown] = rows([done])
    asked = {"all": True} if tags is None else {"tags": tags}
    registry_changed(context, "tags.purge", route.repository, namespace_of(route.repository), **asked, **shown)
    return answer({"name": route.repository, **shown})
