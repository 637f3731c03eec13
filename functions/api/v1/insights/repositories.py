"""What there is, with its figures: repositories, namespaces, totals and rankings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Response

from functions.api.gate import visible_to
from functions.api.v1.insights import routes
from functions.api.v1.insights.cursor_pages import Listing, asked
from functions.api.web.context import Context
from functions.api.web.errors import ResourceUnknown
from functions.api.web.responses import json_response
from functions.registry.metadata.db import Database
from functions.registry.metadata.lists import namespaces, rankings, repositories
from functions.registry.metadata.lists.filters import RepositoryFilter
from functions.registry.metadata.lists.keyset import Walk
from functions.registry.metadata.usage import counters as usage
from functions.registry.metadata.usage import trends
from functions.registry.oci.errors import NameUnknown

# A ranking is one page: it looks further for its few.
_RANKING_REACH: Final = 10_000


def list_repositories(context: Context, route: routes.SearchRepositories) -> Response:
    wanted, part = route.wanted, route.part
    seen_by = visible_to(context.caller)
    least, most = repositories.bounds(part.order, wanted)
    listing = Listing("/api/v1/repositories", part, asked(wanted), least, most)
    database = context.services.database
    return listing.answer(
        context, "repositories", lambda walk: repositories.page(database, part.order, walk, wanted, seen_by)
    )


def get_repository(context: Context, route: routes.GetRepository) -> Response:
    found = repositories.repository(context.services.database, route.repository)
    if found is None:
        raise NameUnknown(name=route.repository)
    return json_response(found)


def list_namespaces(context: Context, route: routes.SearchNamespaces) -> Response:
    part, wanted, database = route.part, route.wanted, context.services.database
    listing = Listing("/api/v1/namespaces", part, asked(wanted))
    return listing.answer(context, "namespaces", lambda walk: namespaces.page(database, part.order, walk, wanted))


def get_namespace(context: Context, route: routes.GetNamespace) -> Response:
    found = namespaces.namespace(context.services.database, route.namespace)
    if found is None:
        raise ResourceUnknown("nothing was ever pushed to that namespace")
    return json_response(found)


def get_usage(context: Context, _: routes.GetUsage) -> Response:
    return json_response(asdict(usage.of_registry(context.services.database)))


def get_ranking(context: Context, route: routes.GetRanking) -> Response:
    ranked = _RANKINGS[route.ranking](context.services.database, route.size, route.namespace)
    return json_response({"ranking": route.ranking, "repositories": ranked})


Ranking = Callable[[Database, int, str | None], list[dict[str, Any]]]


def _most(order: str) -> Ranking:
    """Returns the last of a sorted list."""

    def rank(database: Database, size: int, namespace: str | None) -> list[dict[str, Any]]:
        walk = Walk(descending=True, size=size, reach=_RANKING_REACH)
        return repositories.page(database, order, walk, RepositoryFilter(namespace=namespace)).items

    return rank


def _longest_unused(database: Database, size: int, namespace: str | None) -> list[dict[str, Any]]:
    """Ranks by the last pull, those never pulled first. What was pushed to of late may be about to be used."""
    late = datetime.now(UTC) - timedelta(days=trends.DAYS)
    wanted = RepositoryFilter(namespace=namespace, pushed_before=late)
    walk = Walk(descending=False, size=size, reach=_RANKING_REACH)
    return repositories.page(database, "pulled", walk, wanted).items


_RANKINGS: Final[dict[str, Ranking]] = {
    "largest": _most("size"),
    "most-pulled": _most("pulls"),
    "most-active": rankings.most_active,
    "longest-unused": _longest_unused,
    "most-wasteful": _most("untagged"),
    "fastest-growing": rankings.fastest_growing,
}
