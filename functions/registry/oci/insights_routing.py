"""From the paths of the insights to their routes (insights.py). What is malformed or out of range is refused here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ParameterInvalid, ResourceUnknown
from functions.registry.oci.insights import (
    DEFAULT_RANKS,
    DEFAULT_SIZE,
    KINDS,
    LARGEST_SIZE,
    MOST_RANKS,
    NAMESPACE_ORDERS,
    RANKINGS,
    REPOSITORY_ORDERS,
    TAG_ORDERS,
    DescribeManifest,
    GetNamespace,
    GetRanking,
    GetRepository,
    GetTag,
    GetUsage,
    Insight,
    NamespaceFilter,
    Part,
    RepositoryFilter,
    SearchNamespaces,
    SearchRepositories,
    SearchTags,
    TagFilter,
)
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.route import Query

LONGEST_CURSOR: Final = 1000

_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_NAMESPACE: Final = re.compile(r"[a-z0-9._-]{1,255}")
_PART_OF_NAME: Final = re.compile(r"[a-z0-9._/-]{1,255}")
_PART_OF_TAG: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CURSOR: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_CURSOR}}}")


def _number(query: Query, name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (_WHOLE.fullmatch(text) and 1 <= int(text) <= most):
        raise ParameterInvalid(f"{name} takes a whole number from 1 to {most}")
    return int(text)


def _choice(query: Query, name: str, choices: Sequence[str]) -> str | None:
    text = query.get(name)
    if text is not None and text not in choices:
        raise ParameterInvalid(f"{name} takes one of {', '.join(choices)}")
    return text


def _text(query: Query, name: str, form: re.Pattern[str], takes: str) -> str | None:
    text = query.get(name)
    if text is not None and not form.fullmatch(text):
        raise ParameterInvalid(f"{name} takes {takes}")
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
        raise ParameterInvalid(f"{name} takes a time of ISO 8601, such as 2026-01-31T12:00:00Z") from error


def _namespace(query: Query) -> str | None:
    return _text(query, "namespace", _NAMESPACE, "the name of a namespace")


def _part(query: Query, orders: Sequence[str]) -> Part:
    sort = _choice(query, "sort", [*orders, *(f"-{order}" for order in orders)]) or "name"
    return Part(
        order=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        size=_number(query, "n", DEFAULT_SIZE, LARGEST_SIZE),
        cursor=_text(query, "cursor", _CURSOR, "what next or previous of an answer gave"),
    )


def _search_repositories(_: re.Match[str], query: Query) -> Insight:
    untagged = _choice(query, "untagged", ("true", "false"))
    wanted = RepositoryFilter(
        namespace=_namespace(query),
        name=_text(query, "name", _PART_OF_NAME, "a part of a repository's name"),
        kind=_choice(query, "kind", KINDS),
        min_size=_bytes(query, "min_size"),
        max_size=_bytes(query, "max_size"),
        pushed_after=_moment(query, "pushed_after"),
        pushed_before=_moment(query, "pushed_before"),
        pulled_after=_moment(query, "pulled_after"),
        pulled_before=_moment(query, "pulled_before"),
        untagged=None if untagged is None else untagged == "true",
    )
    return SearchRepositories(_part(query, REPOSITORY_ORDERS), wanted)


def _search_tags(match: re.Match[str], query: Query) -> Insight:
    name = _text(query, "name", _PART_OF_TAG, "a part of a tag")
    wanted = TagFilter(name, _choice(query, "kind", KINDS))
    return SearchTags(RepositoryName.parse(match["name"]), _part(query, TAG_ORDERS), wanted)


def _search_namespaces(_: re.Match[str], query: Query) -> Insight:
    name = _text(query, "name", _NAMESPACE, "a part of a namespace's name")
    return SearchNamespaces(_part(query, NAMESPACE_ORDERS), NamespaceFilter(name))


def namespace_in(match: re.Match[str]) -> str:
    """Of a path. Raises ResourceUnknown for what can't be one."""
    if not _NAMESPACE.fullmatch(match["namespace"]):
        raise ResourceUnknown("no such namespace")
    return match["namespace"]


def _get_ranking(match: re.Match[str], query: Query) -> Insight:
    if match["ranking"] not in RANKINGS:
        raise ResourceUnknown(f"rankings are {', '.join(RANKINGS)}")
    return GetRanking(match["ranking"], _number(query, "n", DEFAULT_RANKS, MOST_RANKS), _namespace(query))


Parser = Callable[[re.Match[str], Query], Insight]
# No name has a part that is `-` alone: it ends the name.
ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Parser]]]] = (
    (re.compile(r"/api/v1/repositories"), {"GET": _search_repositories}),
    (re.compile(r"/api/v1/repositories/(?P<name>.+)/-/tags"), {"GET": _search_tags}),
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/tags/(?P<tag>[^/]+)"),
        {"GET": lambda match, _: GetTag(RepositoryName.parse(match["name"]), Tag.parse(match["tag"]))},
    ),
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/manifests/(?P<digest>[^/]+)"),
        {"GET": lambda match, _: DescribeManifest(RepositoryName.parse(match["name"]), Digest.parse(match["digest"]))},
    ),
    (re.compile(r"/api/v1/namespaces"), {"GET": _search_namespaces}),
    (
        re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)"),
        {"GET": lambda match, _: GetNamespace(namespace_in(match))},
    ),
    (re.compile(r"/api/v1/usage"), {"GET": lambda _, __: GetUsage()}),
    (re.compile(r"/api/v1/rankings/(?P<ranking>[^/]+)"), {"GET": _get_ranking}),
)
# What is behind all other paths below a repository's: other routes share it.
OF_REPOSITORY: Final[Mapping[str, Parser]] = {
    "GET": lambda match, _: GetRepository(RepositoryName.parse(match["name"]))
}
