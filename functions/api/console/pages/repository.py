"""A repository: its tags with their figures, and its use day by day."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from functions.api.console import drawing
from functions.api.console.lists import ListView
from functions.api.console.pages.finding import filtered
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.visitor import NotShown, Visit
from functions.api.route import Query, name_in
from functions.api.v1.insights import paths
from functions.api.v1.insights.cursor_pages import Listing, asked
from functions.api.v1.insights.routes import SearchTags
from functions.registry.auth.roles import ACTIONS, Role
from functions.registry.metadata.lists import repositories, tags
from functions.registry.metadata.lists.filters import KINDS
from functions.registry.metadata.lists.keyset import cut
from functions.registry.metadata.usage import daily
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.platform import all_written

# What tools that know no referrers name what belongs to an image: signatures, attestations, SBOMs.
AUXILIARY: Final = re.compile(r"sha(256|512)-[0-9a-f]{64,128}(\.[a-z]+)?")
_DAYS: Final = 60


def show(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    route = paths.search_tags(match, filtered(query, "-pushed"))
    assert isinstance(route, SearchTags)  # noqa: S101  # what this parser makes
    name, part, wanted = route.repository, route.part, route.wanted
    listing = Listing(f"/api/v1/repositories/{name}/-/tags", part, asked(wanted))
    going = listing.going(visit.services.settings.pepper)
    insight, rows = visit.ask_in(name, [repositories.reading(name), tags.paging(name, part.order, going.walk, wanted)])
    repository = _known(name, insight)
    view = ListView(f"/console/r/{name}", part, asked(wanted), going.shown(cut(rows[0], part.size)))
    for item in view.items:
        item["platforms"] = all_written(item["platforms"] or [])
        item["is_auxiliary"] = AUXILIARY.fullmatch(item["name"]) is not None
    values = {"repository": repository, "view": view, "kinds": KINDS, "wanted": wanted, "tab": "tags"}
    address = f"/api/v1/repositories/{name}/-/tags?" + urlencode({**asked(wanted), "sort": part.sort})
    return Page(
        "repository.html",
        name,
        "repositories",
        values={**values, "may_delete": may(visit, "delete")},
        json=address,
        command=f"slipway tag list {name}",
    )


def show_usage(visit: Visit, match: re.Match[str], _: Query) -> Answer:
    name = name_in(match)
    last = datetime.now(UTC).date()
    first = last - timedelta(days=_DAYS - 1)
    insight, days = visit.ask_in(name, [repositories.reading(name), daily.reading_repository(name, first, last)])
    repository = _known(name, insight)
    read = daily.each(days[0], first, last) if days else []
    values: dict[str, Any] = {
        "repository": repository,
        "tab": "usage",
        "days": read,
        "pulls": drawing.bars([(day.day, day.pulls) for day in read]),
        "pushes": drawing.bars([(day.day, day.pushes) for day in read]),
        "bytes": drawing.line([(day.day, day.bytes) for day in read]),
    }
    address = f"/api/v1/repositories/{name}/-/daily?from={first}&to={last}"
    return Page("repository_usage.html", name, "repositories", values=values, json=address)


def may(visit: Visit, action: str) -> bool:
    return visit.rank > 0 and action in ACTIONS[Role(visit.rank)]


def _known(name: RepositoryName, found: list[Any]) -> Any:
    if not found:
        raise NotShown(f"There is no repository {name}, or you have no right to pull from it.")
    return found[0]
