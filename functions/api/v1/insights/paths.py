"""The paths of the insights, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from functions.api.route import NAME, Query, Route, choice_of, name_in
from functions.api.v1.insights.routes import (
    DEFAULT_DAYS,
    DEFAULT_RANKING_SIZE,
    DEFAULT_SIZE,
    LARGEST_RANKING_SIZE,
    LARGEST_SIZE,
    MOST_DAYS,
    RANKINGS,
    DescribeManifest,
    GetConfig,
    GetManifestDaily,
    GetNamespace,
    GetNamespaceDaily,
    GetRanking,
    GetRepositoryDaily,
    GetTag,
    GetTagDaily,
    GetUsageDaily,
    Part,
    Search,
    SearchNamespaces,
    SearchRepositories,
    SearchTags,
    Span,
)
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.lists.filters import (
    KINDS,
    NAMESPACE_ORDERS,
    REPOSITORY_ORDERS,
    TAG_ORDERS,
    NamespaceFilter,
    RepositoryFilter,
    TagFilter,
)
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag

SEARCH: Final = r"/api/v1/search"
REPOSITORIES: Final = r"/api/v1/repositories"
REPOSITORY: Final = rf"/api/v1/repositories/{NAME}"
# No name has a part that is `-` alone: it ends the name.
TAGS: Final = rf"{REPOSITORY}/-/tags"
TAG: Final = rf"{REPOSITORY}/-/tags/(?P<tag>[^/]+)"
MANIFEST: Final = rf"{REPOSITORY}/-/manifests/(?P<digest>[^/]+)"
CONFIG: Final = rf"{MANIFEST}/config"
NAMESPACES: Final = r"/api/v1/namespaces"
NAMESPACE: Final = r"/api/v1/namespaces/(?P<namespace>[^/]+)"
USAGE: Final = r"/api/v1/usage"
RANKING: Final = r"/api/v1/rankings/(?P<ranking>[^/]+)"
REPOSITORY_DAILY: Final = rf"{REPOSITORY}/-/daily"
TAG_DAILY: Final = rf"{TAG}/daily"
MANIFEST_DAILY: Final = rf"{MANIFEST}/daily"
NAMESPACE_DAILY: Final = rf"{NAMESPACE}/daily"
USAGE_DAILY: Final = r"/api/v1/usage/daily"
RECOUNT: Final = r"/api/v1/usage/recount"

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
LONGEST_CURSOR: Final = 1000

_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_NAMESPACE: Final = re.compile(r"[a-z0-9._-]{1,255}")
_PART_OF_NAME: Final = re.compile(r"[a-z0-9._/-]{1,255}")
_SOUGHT: Final = re.compile(r"[a-z0-9._/-]{1,255}(:[A-Za-z0-9._-]{0,128})?")
_PART_OF_TAG: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CURSOR: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_CURSOR}}}")


def _number(query: Query, name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (_WHOLE.fullmatch(text) and 1 <= int(text) <= most):
        raise ParameterInvalid(f"{name} must be an integer from 1 to {most}")
    return int(text)


def _text(query: Query, name: str, form: re.Pattern[str], takes: str) -> str | None:
    text = query.get(name)
    if text is not None and not form.fullmatch(text):
        raise ParameterInvalid(f"{name} must be {takes}")
    return text


def _bytes(query: Query, name: str) -> int | None:
    text = _text(query, name, _WHOLE, "a number of bytes, of at most 18 digits")
    return None if text is None else int(text)


def _moment(query: Query, name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParameterInvalid(f"{name} must be a time of ISO 8601, such as 2026-01-31T12:00:00Z") from error


def namespace_of_query(query: Query) -> str | None:
    """Reads `namespace`."""
    return _text(query, "namespace", _NAMESPACE, "the name of a namespace")


def part_of(query: Query, orders: Sequence[str], default: str = "name") -> Part:
    """Reads `sort`, `n` and `cursor`."""
    sort = choice_of(query, "sort", [*orders, *(f"-{order}" for order in orders)]) or default
    return Part(
        order=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        size=_number(query, "n", DEFAULT_SIZE, LARGEST_SIZE),
        cursor=_text(query, "cursor", _CURSOR, "what next or previous of an answer gave"),
    )


def search(_: re.Match[str], query: Query) -> Route:
    text = _text(query, "q", _SOUGHT, "a part of a repository's name, or a repository, a colon and how its tags begin")
    if text is None:
        raise ParameterInvalid("q is missing")
    before, colon, after = text.partition(":")
    return Search(after, before) if colon else Search(before, None)


def search_repositories(_: re.Match[str], query: Query) -> Route:
    untagged = choice_of(query, "untagged", ("true", "false"))
    wanted = RepositoryFilter(
        namespace=namespace_of_query(query),
        name=_text(query, "name", _PART_OF_NAME, "a part of a repository's name"),
        kind=choice_of(query, "kind", KINDS),
        min_size=_bytes(query, "min_size"),
        max_size=_bytes(query, "max_size"),
        pushed_after=_moment(query, "pushed_after"),
        pushed_before=_moment(query, "pushed_before"),
        pulled_after=_moment(query, "pulled_after"),
        pulled_before=_moment(query, "pulled_before"),
        untagged=None if untagged is None else untagged == "true",
    )
    return SearchRepositories(part_of(query, REPOSITORY_ORDERS), wanted)


def search_tags(match: re.Match[str], query: Query) -> Route:
    name = _text(query, "name", _PART_OF_TAG, "a part of a tag")
    wanted = TagFilter(name, choice_of(query, "kind", KINDS))
    return SearchTags(name_in(match), part_of(query, TAG_ORDERS), wanted)


def search_namespaces(_: re.Match[str], query: Query) -> Route:
    name = _text(query, "name", _NAMESPACE, "a part of a namespace's name")
    return SearchNamespaces(part_of(query, NAMESPACE_ORDERS), NamespaceFilter(name))


def _namespace_in(match: re.Match[str]) -> str:
    """Reads the namespace of a path. Raises ResourceUnknown for what can't be one."""
    if not _NAMESPACE.fullmatch(match["namespace"]):
        raise ResourceUnknown("no such namespace")
    return match["namespace"]


def get_ranking(match: re.Match[str], query: Query) -> Route:
    if match["ranking"] not in RANKINGS:
        raise ResourceUnknown(f"rankings are {', '.join(RANKINGS)}")
    return GetRanking(
        match["ranking"], _number(query, "n", DEFAULT_RANKING_SIZE, LARGEST_RANKING_SIZE), namespace_of_query(query)
    )


def get_tag(match: re.Match[str], query: Query) -> Route:
    return GetTag(name_in(match), Tag.parse(match["tag"]), _moment(query, "at"))


def describe_manifest(match: re.Match[str], _: Query) -> Route:
    return DescribeManifest(name_in(match), Digest.parse(match["digest"]))


def get_config(match: re.Match[str], _: Query) -> Route:
    return GetConfig(name_in(match), Digest.parse(match["digest"]))


def get_namespace(match: re.Match[str], _: Query) -> Route:
    return GetNamespace(_namespace_in(match))


def _day(query: Query, name: str) -> date | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ParameterInvalid(f"{name} must be a day, such as 2026-01-31")


def _span(query: Query) -> Span:
    """Raises ParameterInvalid."""
    first, last = _day(query, "from"), _day(query, "to")
    last = last or max(first or date.min, datetime.now(UTC).date())
    if first is None:
        first = last - min(timedelta(days=DEFAULT_DAYS - 1), last - date.min)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise ParameterInvalid(f"from must be a day that is not after to, and at most {MOST_DAYS - 1} days before it")
    return Span(first, last)


def get_repository_days(match: re.Match[str], query: Query) -> Route:
    return GetRepositoryDaily(name_in(match), _span(query))


def get_tag_days(match: re.Match[str], query: Query) -> Route:
    return GetTagDaily(name_in(match), Tag.parse(match["tag"]), _span(query))


def get_manifest_days(match: re.Match[str], query: Query) -> Route:
    return GetManifestDaily(name_in(match), Digest.parse(match["digest"]), _span(query))


def get_namespace_days(match: re.Match[str], query: Query) -> Route:
    return GetNamespaceDaily(_namespace_in(match), _span(query))


def get_usage_days(_: re.Match[str], query: Query) -> Route:
    return GetUsageDaily(_span(query))
