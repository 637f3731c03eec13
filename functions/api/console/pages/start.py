"""The start page: search, what needs an administrator, what was lately pushed and pulled."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.visitor import Visit
from functions.api.route import Query
from functions.registry.metadata.console import attention
from functions.registry.metadata.db import Call
from functions.registry.metadata.lists import repositories
from functions.registry.metadata.lists.filters import RepositoryFilter
from functions.registry.metadata.lists.keyset import Walk, cut
from functions.registry.metadata.usage import counters

_FEW: Final = 8
_EVER: Final = datetime(1970, 1, 2, tzinfo=UTC)


def show(visit: Visit, _: re.Match[str], __: Query) -> Answer:
    walk = Walk(descending=True, size=_FEW)
    pulled = RepositoryFilter(pulled_after=_EVER)
    calls: list[Call[Any]] = [
        repositories.paging("pushed", walk, RepositoryFilter(), visit.seen_by),
        repositories.paging("pulled", walk, pulled, visit.seen_by),
    ]
    if visit.seen_by is None:
        calls += [counters.reading_registry(), *attention.asking()]
    lately_pushed, lately_pulled, *rest = visit.ask(calls)
    values: dict[str, Any] = {
        "pushed": cut(lately_pushed[0], _FEW).items,
        "pulled": cut(lately_pulled[0], _FEW).items,
        "totals": rest[0][0] if rest else None,
        "ending": rest[1] if rest else [],
        "full": rest[2] if rest else [],
        "held": rest[4] if rest else [],
        "is_overdue": bool(rest and rest[3] and rest[3][0]),
    }
    return Page("start.html", "Slipway", values=values, json="/api/v1/repositories?sort=-pushed", command="slipway ls")
