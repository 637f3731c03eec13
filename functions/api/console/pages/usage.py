"""How much there is and how it is used: by namespace, by day, and the repositories at the top."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from functions.api.console import drawing
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.visitor import Visit
from functions.api.route import Query
from functions.registry.metadata.db import Call
from functions.registry.metadata.lists import namespaces, rankings, repositories
from functions.registry.metadata.lists.filters import NamespaceFilter, RepositoryFilter
from functions.registry.metadata.lists.keyset import Walk, cut
from functions.registry.metadata.usage import counters, daily

SPANS: Final = (30, 90, 365)
_TILES: Final = 30
_FEW: Final = 8
# Where a name is written on its tile.
_WIDE, _HIGH = 60, 22
_CHARACTER: Final = 7.6
_LARGE_CHARACTER, _LARGE_HIGH = 17, 44


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    asked = query.get("days") or ""
    span = int(asked) if asked in {str(days) for days in SPANS} else SPANS[1]
    last = datetime.now(UTC).date()
    first = last - timedelta(days=span - 1)
    walk = Walk(descending=True, size=_FEW)
    calls: list[Call[Any]] = [
        counters.reading_registry(),
        namespaces.paging("size", Walk(descending=True, size=_TILES), NamespaceFilter()),
        daily.reading_registry(first, last),
        repositories.paging("size", walk, RepositoryFilter()),
        repositories.paging("pulls", walk, RepositoryFilter()),
        repositories.paging("untagged", walk, RepositoryFilter(untagged=True)),
        rankings.growing(_FEW),
    ]
    totals, spaces, stored, largest, pulled, untagged, growing = visit.ask_as_administrator(calls)
    found = cut(spaces[0], _TILES)
    days = daily.each(stored[0], first, last)
    values: dict[str, Any] = {
        "totals": totals[0],
        "namespaces": found.items,
        "more_namespaces": found.more is not None,
        "tiles": _tiles([(item["name"], item["bytes"]) for item in found.items]),
        "span": span,
        "spans": SPANS,
        "days": days,
        "pulls": drawing.bars([(day.day, day.pulls) for day in days]),
        "pushes": drawing.bars([(day.day, day.pushes) for day in days]),
        "bytes": drawing.line([(day.day, day.bytes) for day in days]),
        "largest": cut(largest[0], _FEW).items,
        "most_pulled": [item for item in cut(pulled[0], _FEW).items if item["pulls"]],
        "untagged": cut(untagged[0], _FEW).items,
        "growing": (growing[0] or []) if growing else [],
    }
    address = f"/api/v1/usage/daily?from={first}&to={last}"
    return Page("usage.html", "Usage", "usage", values=values, json=address, command="slipway usage show")


def _tiles(found: list[tuple[str, int]]) -> list[tuple[drawing.Tile, str, bool]]:
    """Returns each with as much of its name as fits on it, and whether all of it does on a narrow screen, larger."""
    shown = []
    for tile in drawing.treemap(found):
        fits = int((tile.width - 10) / _CHARACTER)
        label = tile.name if len(tile.name) <= fits else tile.name[: max(fits - 1, 0)] + "…"
        is_large = tile.width >= len(tile.name) * _LARGE_CHARACTER + 14 and tile.height >= _LARGE_HIGH
        shown.append((tile, label if tile.width >= _WIDE and tile.height >= _HIGH else "", is_large))
    return shown
