"""What tags named before, and what is deleted and can be put back."""

from __future__ import annotations

from typing import Any

from flask import Response

from functions.api.v1.history import routes
from functions.api.v1.insights.cursor_pages import Listing
from functions.api.web.context import Context
from functions.registry.auth.roles import Role
from functions.registry.metadata.history import bindings, deleted
from functions.registry.metadata.lists.keyset import Found, Walk
from functions.registry.oci.errors import NameUnknown


def history(context: Context, route: routes.ListHistory) -> Response:
    """Who did something is shown to who did it, and to administrators."""

    def walker(walk: Walk) -> Found:
        found = bindings.page(context.services.database, route.repository, route.tag, walk)
        if found is None:
            raise NameUnknown(name=route.repository)
        for item in found.items:
            item["actor"] = _shown_actor(context, route.repository, item["actor"])
        return found

    asked = {} if route.tag is None else {"tag": str(route.tag)}
    return Listing(f"/api/v1/repositories/{route.repository}/-/history", route.part, asked).answer(
        context, "history", walker
    )


def _shown_actor(context: Context, repository: str, actor: str) -> str | None:
    caller = context.caller
    is_administrator = caller.is_admin or caller.rank(repository) >= Role.ADMIN
    return actor if is_administrator or actor == caller.label else None


def deleted_repositories(context: Context, route: routes.ListDeletedRepositories) -> Response:
    return _deleted(context, route, "repositories", deleted.list_repositories)


def deleted_tags(context: Context, route: routes.ListDeletedTags) -> Response:
    return _deleted(context, route, "tags", deleted.list_tags)


def _deleted(
    context: Context, route: routes.ListDeletedRepositories | routes.ListDeletedTags, key: str, find: Any
) -> Response:
    asked = {} if route.namespace is None else {"namespace": route.namespace}
    listing = Listing(f"/api/v1/deleted/{key}", route.part, asked)
    return listing.answer(context, key, lambda walk: find(context.services.database, route.namespace, walk))
