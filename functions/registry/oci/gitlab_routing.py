"""From the paths of GitLab's API to its routes (gitlab.py). It takes and refuses what GitLab's own registry does."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, cast, get_args

from functions.registry.oci.errors import EndpointUnknown
from functions.registry.oci.gitlab import (
    AddSlash,
    CheckGitLab,
    Extent,
    GetDetails,
    GetMigration,
    GetStatistics,
    GetTagDetails,
    GitLab,
    ListBelow,
    ListMigrations,
    ListTagDetails,
    Marker,
    Order,
    PauseMigrations,
    RenameRepository,
    RestartMigration,
    ResumeMigrations,
    TagPage,
)
from functions.registry.oci.gitlab_errors import MigrationInvalid, QueryTypeInvalid, QueryValueInvalid, TagInvalid
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.route import Query

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
    """As it is sent back as `last` or `before`."""
    if marker.published_at is None:
        return marker.name
    return base64.b64encode(f"{marker.published_at}|{marker.name}".encode()).decode()


def _name(match: re.Match[str]) -> RepositoryName:
    return RepositoryName.parse(match["name"])


def _id(match: re.Match[str]) -> int:
    if not _ID.fullmatch(match["id"]):
        raise MigrationInvalid(id=match["id"][:200])
    return int(match["id"])


def _get_details(match: re.Match[str], query: Query) -> GitLab:
    extent = query.get("size") or ""
    if extent not in _EXTENTS:
        raise QueryValueInvalid(parameter="size", takes=[each for each in _EXTENTS if each])
    return GetDetails(_name(match), cast("Extent", extent))


def _move(match: re.Match[str], query: Query) -> GitLab:
    is_dry_run = query.get("dry_run")
    if is_dry_run not in {None, "true", "false"}:
        raise QueryTypeInvalid(parameter="dry_run", takes=["true", "false"])
    return RenameRepository(_name(match), is_dry_run == "true")


def _list_below(match: re.Match[str], query: Query) -> GitLab:
    return ListBelow(_name(match), _size(query), _place(query, "last") or "")


def _list_tags(match: re.Match[str], query: Query) -> GitLab:
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
    return ListTagDetails(_name(match), page, exact)


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
            return Marker(name.replace("\0", ""), at.isoformat())
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


def _get_tag(match: re.Match[str], _: Query) -> GitLab:
    tag = match["tag"]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", tag):
        raise EndpointUnknown
    if not _TAG.fullmatch(tag):
        raise TagInvalid(tagName=tag[:200])
    return GetTagDetails(_name(match), tag)


Parser = Callable[[re.Match[str], Query], GitLab]


def _slashed(parser: Parser) -> Parser:
    def parse(match: re.Match[str], query: Query) -> GitLab:
        # Parsed first all the same: it is known then which parameters an endpoint reads.
        route = parser(match, query)
        return route if match[0].endswith("/") else AddSlash(match[0] + "/")

    return parse


def _endpoint(pattern: str, **parsers: Parser) -> tuple[re.Pattern[str], Mapping[str, Parser | None]]:
    """HEAD is not offered here."""
    return re.compile(pattern), {**{method: _slashed(parser) for method, parser in parsers.items()}, "HEAD": None}


# A name never takes the slash at the end, and the longer paths come first: a repository's name may end as they do.
ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Parser | None]]]] = (
    _endpoint(r"/gitlab/v1/?", GET=lambda _, __: CheckGitLab()),
    _endpoint(r"/gitlab/v1/statistics/?", GET=lambda _, __: GetStatistics()),
    _endpoint(r"/gitlab/v1/background-migrations/?", GET=lambda _, __: ListMigrations()),
    _endpoint(r"/gitlab/v1/background-migrations/pause/?", POST=lambda _, __: PauseMigrations()),
    _endpoint(r"/gitlab/v1/background-migrations/resume/?", POST=lambda _, __: ResumeMigrations()),
    _endpoint(r"/gitlab/v1/background-migrations/(?P<id>[^/]+)/?", GET=lambda match, _: GetMigration(_id(match))),
    _endpoint(r"/gitlab/v1/restart/(?P<id>[^/]+)/?", POST=lambda match, _: RestartMigration(_id(match))),
    _endpoint(r"/gitlab/v1/repository-paths/(?P<name>.+)/repositories/list/?", GET=_list_below),
    _endpoint(r"/gitlab/v1/repositories/(?P<name>.+)/tags/list/?", GET=_list_tags),
    _endpoint(r"/gitlab/v1/repositories/(?P<name>.+)/tags/detail/(?P<tag>[^/]+)/?", GET=_get_tag),
    _endpoint(r"/gitlab/v1/repositories/(?P<name>.*[^/])/?", GET=_get_details, PATCH=_move),
)
