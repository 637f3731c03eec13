"""The paths of history and undo, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from functions.api.route import NAME, Parser, Query, Route, name_in
from functions.api.v1.history.routes import ListHistory
from functions.api.v1.insights.paths import namespace_of_query, part_of
from functions.api.v1.insights.routes import Part
from functions.registry.oci.name import Tag

REPOSITORY: Final = rf"/api/v1/repositories/{NAME}"
HISTORY: Final = rf"{REPOSITORY}/-/history"
RESTORE: Final = rf"{REPOSITORY}/-/restore"
RESTORE_REPOSITORY: Final = rf"{REPOSITORY}/-/restore-repository"
PURGE: Final = rf"{REPOSITORY}/-/purge"
PURGE_REPOSITORY: Final = rf"{REPOSITORY}/-/purge-repository"
DELETED_REPOSITORIES: Final = r"/api/v1/deleted/repositories"
DELETED_TAGS: Final = r"/api/v1/deleted/tags"
# What happened last comes first, unless it is asked for otherwise.
NEWEST: Final = "-until"
ORDERS: Final = ("until",)
DELETED: Final = "-deleted"
DELETED_ORDERS: Final = ("deleted",)


def list_history(match: re.Match[str], query: Query) -> Route:
    tag = query.get("tag")
    part = part_of(query, ORDERS, NEWEST)
    return ListHistory(name_in(match), None if tag is None else Tag.parse(tag), part)


def list_deleted(route: Callable[[str | None, Part], Route]) -> Parser:
    """Returns the parser of a list of what is deleted."""
    return lambda _, query: route(namespace_of_query(query), part_of(query, DELETED_ORDERS, DELETED))
