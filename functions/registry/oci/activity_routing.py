"""From the paths of the activity to its routes (activity.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from functions.registry.oci.activity import (
    DEFAULT_DAYS,
    MOST_DAYS,
    Activity,
    GetManifestDays,
    GetNamespaceDays,
    GetRepositoryDays,
    GetTagDays,
    GetUsageDays,
    Span,
    VerifyUsage,
)
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ParameterInvalid
from functions.registry.oci.insights_routing import namespace_in
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.route import Query

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(query: Query, name: str) -> date | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ParameterInvalid(f"{name} takes a day, such as 2026-01-31")


def _span(query: Query) -> Span:
    """Raises ParameterInvalid."""
    first, last = _day(query, "from"), _day(query, "to")
    last = last or max(first or date.min, datetime.now(UTC).date())
    if first is None:
        first = last - min(timedelta(days=DEFAULT_DAYS - 1), last - date.min)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise ParameterInvalid(f"from takes a day that is not after to, and at most {MOST_DAYS - 1} days before it")
    return Span(first, last)


def _name(match: re.Match[str]) -> RepositoryName:
    return RepositoryName.parse(match["name"])


Parser = Callable[[re.Match[str], Query], Activity]
ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Parser]]]] = (
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/days"),
        {"GET": lambda match, query: GetRepositoryDays(_name(match), _span(query))},
    ),
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/tags/(?P<tag>[^/]+)/days"),
        {"GET": lambda match, query: GetTagDays(_name(match), Tag.parse(match["tag"]), _span(query))},
    ),
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/manifests/(?P<digest>[^/]+)/days"),
        {"GET": lambda match, query: GetManifestDays(_name(match), Digest.parse(match["digest"]), _span(query))},
    ),
    (
        re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/days"),
        {"GET": lambda match, query: GetNamespaceDays(namespace_in(match), _span(query))},
    ),
    (re.compile(r"/api/v1/usage/days"), {"GET": lambda _, query: GetUsageDays(_span(query))}),
    (re.compile(r"/api/v1/usage/verify"), {"POST": lambda _, __: VerifyUsage()}),
)
