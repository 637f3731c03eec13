"""One row for each endpoint: how it is asked for, who may ask, who answers, and what the audit trail calls it.

Every API lists its rows in its folder's `endpoints.py`; dispatch.py joins them. CONTRIBUTING.md shows how to add one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from flask import Response

from functions.api.permission import AdministratorOf, Permission, RightTo
from functions.api.route import NAME, InRepository, ListMethods, Parser, Query, Route
from functions.api.web.context import Context
from functions.registry.oci.errors import EndpointUnknown, MethodNotAllowed

Handler = Callable[[Context, Any], Response]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ACTION: Final = re.compile(r"[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+")


@dataclass(frozen=True, slots=True)
class LaterHandler:
    """A handler of a module that is loaded by the first request which needs it."""

    module: str
    name: str

    def __call__(self, context: Context, route: Route) -> Response:
        handler: Handler = getattr(import_module(self.module), self.name)
        return handler(context, route)


class Later:
    """Stands for a module of handlers in a table of endpoints.

    Most instances serve pulls and pushes alone, and start in less time without the rest.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> LaterHandler:
        return LaterHandler(self._module, name)


class EndpointIncomplete(Exception):
    """A row of the endpoints' table lacks something, or contradicts itself or another row."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`path` is a regular expression of the whole path, percent-decoded; `action` is a public word.

    A row without a path is reached by way of others: OPTIONS of a path, GitLab's paths without their slash.
    Raises EndpointIncomplete, when its table is loaded.
    """

    method: str
    path: str | None
    route: type[Route]
    parse: Parser | None
    handler: Handler
    permission: Permission
    action: str
    # Whether a success is written to the audit trail; a refusal always is. Administration writes its own, with details.
    is_audited: bool = False
    # Whether the database's schema has to be this release's. Probes ask endpoints that need none.
    needs_schema: bool = True
    # Whether requests count against the rate limit. Clients find out what a registry is by endpoints that don't.
    is_rate_limited: bool = True
    # Whether a success may leave garbage: garbage collection is woken then.
    leaves_garbage: bool = False
    # Whether a success may be an event: whoever delivers those is woken then.
    makes_events: bool = False
    # Whether HEAD is answered as GET is.
    answers_head: bool = True

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise EndpointIncomplete(f"{self.route.__name__}: {self.method} is not a method")
        if (self.path is None) != (self.parse is None):
            raise EndpointIncomplete(f"{self.route.__name__}: a path needs a parser, and a parser a path")
        if not _ACTION.fullmatch(self.action):
            raise EndpointIncomplete(f"{self.route.__name__}: an action is written as object.verb, not {self.action!r}")
        if isinstance(self.permission, RightTo) and not issubclass(self.route, InRepository):
            raise EndpointIncomplete(f"{self.route.__name__}: a right holds in a repository, and the route has none")
        if self.permission == AdministratorOf() and "namespace" not in self.route.__dataclass_fields__:
            raise EndpointIncomplete(f"{self.route.__name__}: the route has no namespace to administer")


class Endpoints:
    """A table of endpoints.

    Raises EndpointIncomplete for two rows of one route, or of one method and path.
    """

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        self.rows: Final = tuple(rows)
        self._by_route: Final = {row.route: row for row in rows}
        by_path: dict[str, dict[str, Endpoint]] = {}
        for row in sorted(rows, key=_takes_the_rest):
            if row.path is not None and by_path.setdefault(row.path, {}).setdefault(row.method, row) is not row:
                raise EndpointIncomplete(f"two endpoints answer {row.method} {row.path}")
        if len(self._by_route) != len(self.rows):
            raise EndpointIncomplete("two endpoints have one route")
        self.paths: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Endpoint]]]] = [
            (re.compile(path), methods) for path, methods in by_path.items()
        ]

    def match(self, method: str, path: str, query: Query) -> tuple[Endpoint, Route]:
        """Returns the endpoint and the parsed route of a request; `path` is percent-decoded.

        Raises EndpointUnknown, MethodNotAllowed, and whatever the parser of the path and the query raises.
        """
        for pattern, methods in self.paths:
            match = pattern.fullmatch(path)
            if match is not None:
                route = _parse(method, methods, match, query)
                return self._by_route[type(route)], route
        raise EndpointUnknown


def _takes_the_rest(row: Endpoint) -> bool:
    """Tells whether a path ends in a repository's name: longer paths with the same beginning are tried first."""
    return row.path is not None and row.path.endswith(NAME)


def _parse(method: str, methods: Mapping[str, Endpoint], match: re.Match[str], query: Query) -> Route:
    if method == "OPTIONS":
        return ListMethods(allowed(methods))
    endpoint = methods.get(method)
    if endpoint is None and method == "HEAD" and "GET" in methods and methods["GET"].answers_head:
        endpoint = methods["GET"]
    if endpoint is None or endpoint.parse is None:
        raise MethodNotAllowed(allowed(methods))
    return endpoint.parse(match, query)


def allowed(methods: Mapping[str, Endpoint]) -> tuple[str, ...]:
    """Returns what an `Allow` header lists (RFC 9110 section 10.2.1)."""
    has_head = "GET" in methods and methods["GET"].answers_head
    return tuple(sorted({*methods, *(["HEAD"] if has_head else [])}))
