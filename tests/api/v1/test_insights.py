"""Lists with figures: their parameters, their cursors, and ways through them in both directions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from functions.api.v1.insights.routes import DEFAULT_RANKING_SIZE, DEFAULT_SIZE, LARGEST_RANKING_SIZE, LARGEST_SIZE
from functions.registry.auth.sealing import Seal
from functions.registry.metadata.lists.filters import NAMESPACE_ORDERS, REPOSITORY_ORDERS, TAG_ORDERS
from functions.registry.metadata.lists.keyset import REACH
from functions.registry.metadata.lists.tags import LARGEST_LISTED_INDEX, MOST_DETAILS, MOST_REFERRERS
from functions.registry.metadata.usage.trends import DAYS
from tests.conftest import ROOT
from tests.metadata.build import query
from tests.metadata.list_rows import (
    MANY_TAGS,
    Known,
    fill_repositories,
    fill_tags,
    known_namespaces,
    known_repositories,
    known_tags,
)
from tests.support import Registry

REPOSITORIES = "/api/v1/repositories"
TAGS = f"{REPOSITORIES}/{MANY_TAGS}/-/tags"
NAMESPACES = "/api/v1/namespaces"


def links(registry: Registry, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    """An answer and the links of its header, by relation."""
    response = registry.get(path)
    assert response.status_code == 200, response.text
    header = response.headers.get("Link", "")
    found = {relation: target for target, relation in re.findall(r'<([^>]+)>; rel="(\w+)"', header)}
    body: dict[str, Any] = response.get_json()
    assert {"next": body["next"], "previous": body["previous"]} == {
        "next": _cursor(found.get("next")),
        "previous": _cursor(found.get("prev")),
    }
    return body, found


def _cursor(link: str | None) -> str | None:
    return link and re.search(r"cursor=([\w-]+)", link)[1]  # type: ignore[index]  # each link has one


def pages(registry: Registry, path: str | None, key: str, relation: str) -> Iterator[tuple[list[str], str]]:
    """Names, and the page they are on, along the links of one relation."""
    while path:
        body, found = links(registry, path)
        yield [item["name"] for item in body[key]], path
        path = found.get(relation)


@pytest.mark.parametrize(
    ("path", "key", "orders"),
    [
        (REPOSITORIES, "repositories", REPOSITORY_ORDERS),
        (TAGS, "tags", TAG_ORDERS),
        (NAMESPACES, "namespaces", NAMESPACE_ORDERS),
    ],
)
def test_every_order_forwards_and_backwards_one_by_one(
    registry: Registry, path: str, key: str, orders: tuple[str, ...]
) -> None:
    database = registry.services.database
    fill_tags(database) if key == "tags" else fill_repositories(database, 27)
    known = {"repositories": known_repositories, "tags": known_tags, "namespaces": known_namespaces}[key](database)
    for order, sign in itertools.product(orders, ("", "-")):
        expected = known.sorted_by(order, descending=bool(sign))
        forwards = list(pages(registry, f"{path}?sort={sign}{order}&n=1", key, "next"))
        assert [name for names, _ in forwards for name in names] == expected
        _, last = forwards[-1]
        backwards = list(pages(registry, last, key, "prev"))
        assert [name for names, _ in backwards for name in names] == expected[::-1]


@pytest.fixture
def filled(registry: Registry) -> Registry:
    fill_repositories(registry.services.database, 12)
    return registry


def known(registry: Registry) -> Known:
    return known_repositories(registry.services.database)


def test_pages_of_several_and_the_parameters_that_a_link_keeps(filled: Registry) -> None:
    expected = [name for name in known(filled).sorted_by("size", descending=True) if "/" in name]
    query_string = "sort=-size&n=4&name=%2F&untagged=false&pushed_before=2030-01-01T00:00:00Z"
    query(filled.services.database, "UPDATE repository_usage SET untagged = 0")
    forwards = list(pages(filled, f"{REPOSITORIES}?{query_string}", "repositories", "next"))
    assert [names for names, _ in forwards] == [expected[:4], expected[4:8], expected[8:]]
    assert "n=4" in forwards[1][1]
    backwards = list(pages(filled, forwards[-1][1], "repositories", "prev"))
    assert [names for names, _ in backwards] == [expected[8:], expected[4:8], expected[:4]]


def test_the_way_back_from_where_nothing_is_left(filled: Registry) -> None:
    first, found = links(filled, f"{REPOSITORIES}?n=6")
    names = [item["name"] for item in first["repositories"]]
    behind = "UPDATE repository_usage SET manifests = 0 WHERE repository_id IN (SELECT id FROM repositories WHERE name > :name)"  # noqa: E501
    query(filled.services.database, behind, name=names[-1])
    empty, found = links(filled, found["next"])
    assert (empty["repositories"], empty["next"]) == ([], None)
    again, found = links(filled, found["prev"])
    assert [item["name"] for item in again["repositories"]] == names
    query(filled.services.database, "UPDATE repository_usage SET manifests = 0")
    gone, found = links(filled, f"{REPOSITORIES}?n=6")
    assert (gone["repositories"], found) == ([], {})


BAD = {
    "n": ["0", "-1", "1001", "1.5", "", "x", "9" * 30],
    "sort": ["", "-", "--size", "SIZE", "bytes", "size,name"],
    "cursor": ["", "x", "AAAA", "é", "a b", "A" * 1001, "null"],
    "kind": ["", "images", "Image"],
    "name": ["", "a b", "A*", "%00", "é", "a" * 256],
    "namespace": ["", "a/b", "A", "%00", "a" * 256],
    "min_size": ["", "-1", "1.5", "x", "9" * 19],
    "max_size": ["", "-1", "1e3", "x", "9" * 19],
    "pushed_after": ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00%2B23:59"],
    "pushed_before": ["", "1", "2026-01-01T25:00:00Z"],
    "pulled_after": ["", "2026-02-30"],
    "pulled_before": ["", "infinity", "9999-12-31T23:59:59-23:59"],
    "untagged": ["", "1", "True", "yes"],
}
TAKEN = {
    REPOSITORIES: set(BAD),
    TAGS: {"n", "sort", "cursor", "kind", "name"},
    NAMESPACES: {"n", "sort", "cursor", "name"},
}


@pytest.mark.parametrize("path", TAKEN)
def test_a_parameter_that_is_malformed_or_out_of_range_is_named(registry: Registry, path: str) -> None:
    fill_tags(registry.services.database, 1)
    assert registry.get(path).status_code == 200
    for parameter in TAKEN[path]:
        for value in BAD[parameter]:
            response = registry.get(f"{path}?{parameter}={value}")
            assert (response.status_code, registry.error_code(response)) == (400, "INVALID_PARAMETER"), value
            assert response.get_json()["errors"][0]["message"].startswith(f"{parameter} must be "), value


@pytest.mark.parametrize("query_string", ["n=1", "n=1000", "sort=-untagged", "min_size=0", "pushed_after=2026-01-01"])
def test_parameters_at_their_limits(filled: Registry, query_string: str) -> None:
    assert filled.get(f"{REPOSITORIES}?{query_string}").status_code == 200


def test_a_cursor_is_good_for_the_list_that_gave_it_and_for_no_other(filled: Registry) -> None:
    body, _ = links(filled, f"{REPOSITORIES}?sort=size&n=2&name=r")
    cursor = body["next"]
    assert filled.get(f"{REPOSITORIES}?sort=size&n=5&name=r&cursor={cursor}").status_code == 200
    foreign = [
        f"{REPOSITORIES}?sort=-size&name=r",
        f"{REPOSITORIES}?sort=pulls&name=r",
        f"{REPOSITORIES}?sort=size",
        f"{REPOSITORIES}?sort=size&name=b",
        f"{REPOSITORIES}?sort=size&name=r&namespace=ash",
        f"{NAMESPACES}?sort=size&name=r",
    ]
    for path in foreign:
        response = filled.get(f"{path}&cursor={cursor}")
        assert (response.status_code, filled.error_code(response)) == (400, "INVALID_PARAMETER"), path
        assert "cursor" in response.get_json()["errors"][0]["message"]


def test_a_cursor_that_was_tampered_with_is_refused(filled: Registry) -> None:
    body, _ = links(filled, f"{REPOSITORIES}?n=2")
    cursor = body["next"]
    changed = [cursor[:-1], cursor + "A", cursor[1:], cursor[::-1], cursor.swapcase(), f"{cursor}=", f"{cursor}%0a"]
    changed += [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    changed.append(Seal("another pepper").close(b'[false,["a",1]]', "/api/v1/repositories?sort=name"))
    for text in changed:
        response = filled.get(f"{REPOSITORIES}?n=2&cursor={text}")
        assert response.status_code == 400, text


STATEMENTS = {
    REPOSITORIES: ["list_repositories_by_name_up_of_registry"],
    f"{REPOSITORIES}?sort=-size": ["list_repositories_by_size_down_of_registry"],
    f"{REPOSITORIES}?sort=pulled&namespace=ash": ["list_repositories_by_pulled_up_of_namespace"],
    f"{REPOSITORIES}/{MANY_TAGS}": ["list_repository"],
    TAGS: ["tag_details_by_name_up"],
    f"{TAGS}?sort=-pushed": ["tag_details_by_pushed_down"],
    f"{TAGS}/v01": ["tag_details_of_tag"],
    f"{NAMESPACES}?sort=-repositories": ["list_namespaces_by_repositories_down"],
    f"{NAMESPACES}/ash": ["list_namespace"],
    "/api/v1/usage": ["usage_of_registry"],
    "/api/v1/rankings/largest": ["list_repositories_by_size_down_of_registry"],
    "/api/v1/rankings/most-pulled?namespace=ash": ["list_repositories_by_pulls_down_of_namespace"],
    "/api/v1/rankings/longest-unused": ["list_repositories_by_pulled_up_of_registry"],
    "/api/v1/rankings/most-wasteful": ["list_repositories_by_untagged_down_of_registry"],
    "/api/v1/rankings/most-active": ["list_most_active_of_registry"],
    "/api/v1/rankings/fastest-growing?namespace=ash": ["list_fastest_growing_of_namespace"],
}


def test_each_is_one_statement(registry: Registry) -> None:
    fill_tags(registry.services.database, 3)
    for path, statements in STATEMENTS.items():
        assert registry.get(path).status_code == 200, path
        assert registry.statements("GET", path) == statements


def test_numbers_on_the_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert f"`n` is {DEFAULT_SIZE} if left out, and {LARGEST_SIZE} at most" in page
    assert f"`n` is {DEFAULT_RANKING_SIZE} if left out, {LARGEST_RANKING_SIZE} at most" in page
    assert f"A filter is asked of {REACH} entries" in page
    assert f"of one of {LARGEST_LISTED_INDEX >> 10} KiB at most" in page
    assert f"of the last {DAYS} days" in page
    assert (MOST_REFERRERS, MOST_DETAILS) == (100, 1000)
    assert "a hundred at most" in page
    assert "a thousand at most" in page
