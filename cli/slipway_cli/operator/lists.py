"""`repositories`, `tags` and `namespaces`: what there is, with figures, in any order."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final

from functions.registry.metadata.lists import namespaces as listed_namespaces
from functions.registry.metadata.lists import repositories as listed_repositories
from functions.registry.metadata.lists import tags as listed_tags
from functions.registry.metadata.lists.filters import (
    KINDS,
    NAMESPACE_ORDERS,
    REPOSITORY_ORDERS,
    TAG_ORDERS,
    NamespaceFilter,
    RepositoryFilter,
    TagFilter,
)
from functions.registry.metadata.lists.keyset import Found, Walk
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName
from slipway_cli.operator.shared import CommandRefused, Desk, add_command, add_subject, number, show

_PAGE: Final = 1000
_MOST: Final = 1_000_000
_REPOSITORY: Final = ("name", "bytes", "manifests", "tags", "pulls", "pushed_at", "pulled_at", "untagged_bytes")
_TAG: Final = ("name", "kind", "size", "pulls", "pushed_at", "pulled_at", "digest")
_NAMESPACE: Final = ("name", "bytes", "repositories", "tags", "pulls", "pushed_at", "pulled_at")


def add_commands(subjects: Any) -> None:
    repositories = add_subject(subjects, "repositories", "what there is, how large it is and how much it is used")
    command = _listing(repositories, _list_repositories, REPOSITORY_ORDERS)
    command.add_argument("--namespace", help="only those of this namespace")
    command.add_argument("--kind", choices=KINDS, help="only those that hold something of it")
    tags = add_subject(subjects, "tags", "a repository's tags and what they point at")
    command = _listing(tags, _list_tags, TAG_ORDERS)
    command.add_argument("repository", type=_repository)
    command.add_argument("--kind", choices=KINDS, help="only what is of this kind")
    namespaces = add_subject(subjects, "namespaces", "how much there is in each, and how much it is used")
    _listing(namespaces, _list_namespaces, NAMESPACE_ORDERS)


def _listing(commands: Any, run: Callable[[Desk, argparse.Namespace], None], orders: Sequence[str]) -> Any:
    command = add_command(commands, "list", run, "sizes in bytes, times in UTC")
    sorts = [*orders, *(f"-{order}" for order in orders)]
    latest = "by what; --sort=-ORDER has the largest or the latest first"
    command.add_argument(
        "--sort", choices=sorts, default="name", metavar="ORDER", help=f"{latest}: {', '.join(orders)}"
    )
    command.add_argument("--name", help="only those with this in their name")
    command.add_argument("--limit", type=number(1, _MOST), default=_PAGE, help=f"at most so many ({_PAGE})")
    return command


def _repository(text: str) -> RepositoryName:
    try:
        return RepositoryName.parse(text)
    except NameInvalid as invalid:
        raise argparse.ArgumentTypeError(str(invalid)) from invalid


def _list_repositories(desk: Desk, options: argparse.Namespace) -> None:
    wanted = RepositoryFilter(namespace=options.namespace, name=options.name, kind=options.kind)
    _show(_REPOSITORY, options, lambda order, walk: listed_repositories.page(desk.database, order, walk, wanted))


def _list_tags(desk: Desk, options: argparse.Namespace) -> None:
    wanted = TagFilter(options.name, options.kind)
    _show(_TAG, options, lambda order, walk: listed_tags.page(desk.database, options.repository, order, walk, wanted))


def _list_namespaces(desk: Desk, options: argparse.Namespace) -> None:
    wanted = NamespaceFilter(options.name)
    _show(_NAMESPACE, options, lambda order, walk: listed_namespaces.page(desk.database, order, walk, wanted))


def _show(titles: Sequence[str], options: argparse.Namespace, walker: Callable[[str, Walk], Found | None]) -> None:
    """As many as are wanted, page by page. Raises CommandRefused."""
    order, descending = options.sort.removeprefix("-"), options.sort.startswith("-")
    found = walker(order, Walk(descending, min(options.limit, _PAGE)))
    items: list[dict[str, Any]] = []
    while found is not None:
        items += found.items
        if found.more is None or len(items) == options.limit:
            rows = ([_cell(item, title) for title in titles] for item in items)
            show([title.removesuffix("_at") for title in titles], rows)
            return
        found = walker(order, Walk(descending, min(options.limit - len(items), _PAGE), found.more))
    raise CommandRefused(f"there is no repository {options.repository}")


def _cell(item: dict[str, Any], name: str) -> Any:
    """A time as far as its minutes."""
    value = item[name]
    return value[:16].replace("T", " ") if value and name.endswith("_at") else value
