"""The paths of repository management, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from functions.api.route import NAME, Parser, Query, Route, page_of
from functions.api.v1.management.routes import ListQuotas
from functions.api.web.errors import ParameterInvalid
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import parse_namespace

REPOSITORY: Final = rf"/api/v1/repositories/{NAME}"
MOVE: Final = rf"{REPOSITORY}/-/move"
DELETE_TAGS: Final = rf"{REPOSITORY}/-/delete-tags"
NAMESPACE: Final = r"/api/v1/namespaces/(?P<namespace>[^/]+)"
QUOTA: Final = r"/api/v1/namespaces/(?P<namespace>[^/]+)/quota"
QUOTAS: Final = r"/api/v1/quotas"


def in_namespace(route: Callable[[str], Route]) -> Parser:
    """Returns the parser of a route that has a namespace's name and nothing else."""

    def parse(match: re.Match[str], _: Query) -> Route:
        try:
            return route(parse_namespace(match["namespace"]))
        except NameInvalid as invalid:
            raise ParameterInvalid(f"namespace must be {invalid.reason}") from invalid

    return parse


def list_quotas(_: re.Match[str], query: Query) -> Route:
    return ListQuotas(page_of(query))
