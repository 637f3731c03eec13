"""The paths of GitLab's API, and the parsers that make routes of them: they refuse what GitLab's registry refuses."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Final, cast, get_args

from functions.api.gitlab.routes import (
    AddSlash,
    Extent,
    GetDetails,
    GetMigration,
    GetTagDetails,
    ListBelow,
    ListTagDetails,
    RenameRepository,
    RestartMigration,
)
from functions.api.route import Parser, Query, Route, name_in
from functions.api.web.gitlab_errors import MigrationInvalid, QueryTypeInvalid, QueryValueInvalid, TagInvalid
from functions.registry.metadata.gitlab.pages import Marker, Order, TagPage
from functions.registry.oci.errors import EndpointUnknown

# A name never takes the slash at the end.
CHECK: Final = r"/gitlab/v1/?"
STATISTICS: Final = r"/gitlab/v1/statistics/?"
MIGRATIONS: Final = r"/gitlab/v1/background-migrations/?"
PAUSE: Final = r"/gitlab/v1/background-migrations/pause/?"
RESUME: Final = r"/gitlab/v1/background-migrations/resume/?"
MIGRATION: Final = r"/gitlab/v1/background-migrations/(?P<id>[^/]+)/?"
RESTART: Final = r"/gitlab/v1/restart/(?P<id>[^/]+)/?"
BELOW: Final = r"/gitlab/v1/repository-paths/(?P<name>.+)/repositories/list/?"
TAGS: Final = r"/gitlab/v1/repositories/(?P<name>.+)/tags/list/?"
TAG: Final = r"/gitlab/v1/repositories/(?P<name>.+)/tags/detail/(?P<tag>[^/]+)/?"
REPOSITORY: Final = r"/gitlab/v1/repositories/(?P<name>.*[^/])/?"

DEFAULT_SIZE: Final = 100
LARGEST_SIZE: Final = 1000
ORDERS: Final = {
    str(order): order
    for order in (Order("name"), Order("name", True), Order("published_at"), Order("published_at", True))
}

_EXTENTS: Final = get_args(Extent)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_ID: Final = re.compile(r"[0-9]{1,18}")
_PART: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def marker_text(marker: Marker) -> str:
    """Writes a marker as it is sent back as `last` or `before`."""
    if marker.published_at is None:
        return marker.name
    return base64.b64encode(f"{marker.published_at:%Y-%m-%dT%H:%M:%S.%fZ}|{marker.name}".encode()).decode()


def _id(match: re.Match[str]) -> int:
    if not _ID.fullmatch(match["id"]):
        raise MigrationInvalid(id=match["id"][:200])
    return int(match["id"])


def get_details(match: re.Match[str], query: Query) -> Route:
    extent = query.get("size") or ""
    if extent not in _EXTENTS:
        raise QueryValueInvalid(parameter="size", takes=[each for each in _EXTENTS if each])
    return GetDetails(name_in(match), cast("Extent", extent))


def move(match: re.Match[str], query: Query) -> Route:
    is_dry_run = query.get("dry_run")
    if is_dry_run not in {None, "true", "false"}:
        raise QueryTypeInvalid(parameter="dry_run", takes=["true", "false"])
    return RenameRepository(name_in(match), is_dry_run == "true")


def list_below(match: re.Match[str], query: Query) -> Route:
    return ListBelow(name_in(match), _size(query), _place(query, "last") or "")


def list_tags(match: re.Match[str], query: Query) -> Route:
    last, before = _place(query, "last"), _place(query, "before")
    if last is not None and before is not None:
        raise QueryValueInvalid(parameter="before", takes="what last is not given with")
    part, exact = _filter(query, "name", _PART), _filter(query, "name_exact", _TAG)
    if part and exact:
        raise QueryValueInvalid(parameter="name_exact", takes="what name is not given with")
    shows_referrers, types = query.get("referrers") == "true", query.get("referrer_type") or ""
    page = TagPage(
        size=_size(query),
        last=None if last is None else _marker(last),
        before=None if before is None else _marker(before),
        part=part,
        sort=_sort(query),
        referrers=tuple(kind.strip().lower() for kind in types.split(",") if kind.strip()) if shows_referrers else None,
    )
    return ListTagDetails(name_in(match), page, exact)


def _size(query: Query) -> int:
    text = query.get("n")
    if text is None:
        return DEFAULT_SIZE
    if not _NUMBER.fullmatch(text):
        raise QueryTypeInvalid(parameter="n", takes=f"a whole number from 1 to {LARGEST_SIZE}")
    size = int(text)
    if not 1 <= size <= LARGEST_SIZE:
        raise QueryValueInvalid(parameter="n", takes=f"a whole number from 1 to {LARGEST_SIZE}")
    return size


def _place(query: Query, parameter: str) -> str | None:
    """It need not be there, and only a part of it has to look like a tag: it may be a repository's name."""
    text = query.get(parameter)
    if text is None:
        return None
    if not _TAG.search(text):
        raise QueryValueInvalid(parameter=parameter, takes=_TAG.pattern)
    return text.replace("\0", "")


def _marker(text: str) -> Marker:
    """What is no time with a name is a name. A plus sign that wasn't escaped has become a space on the way."""
    try:
        decoded = base64.b64decode(text.replace(" ", "+"), validate=True).decode()
        published_at, divider, name = decoded.partition("|")
        if divider and name:
            at = datetime.fromisoformat(published_at)
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
            return Marker(name.replace("\0", ""), at)
    except (ValueError, OverflowError):
        pass
    return Marker(text)


def _filter(query: Query, parameter: str, pattern: re.Pattern[str]) -> str:
    text = query.get(parameter) or ""
    if text and not pattern.fullmatch(text):
        raise QueryValueInvalid(parameter=parameter, takes=pattern.pattern)
    return text


def _sort(query: Query) -> Order | None:
    text = query.get("sort")
    if text is None:
        return None
    order = ORDERS.get(text.strip().lower())
    if order is None:
        raise QueryValueInvalid(parameter="sort", takes=list(ORDERS))
    return order


def get_tag(match: re.Match[str], _: Query) -> Route:
    tag = match["tag"]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", tag):
        raise EndpointUnknown
    if not _TAG.fullmatch(tag):
        raise TagInvalid(tagName=tag[:200])
    return GetTagDetails(name_in(match), tag)


def get_migration(match: re.Match[str], _: Query) -> Route:
    return GetMigration(_id(match))


def restart_migration(match: re.Match[str], _: Query) -> Route:
    return RestartMigration(_id(match))


def slashed(parser: Parser) -> Parser:
    """Returns a parser that leads to the path with a slash at its end, where that is missing."""

    def parse(match: re.Match[str], query: Query) -> Route:
        # Parsed first all the same: it is known then which parameters an endpoint reads.
        route = parser(match, query)
        return route if match[0].endswith("/") else AddSlash(match[0] + "/")

    return parse
