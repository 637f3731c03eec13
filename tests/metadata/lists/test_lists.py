"""Lists in every order, both ways, against a sorted model; and what filters, grants and a walk's reach do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

import pytest

from functions.registry.metadata.access import grants, principals
from functions.registry.metadata.access.grants import NOBODY
from functions.registry.metadata.db import Database
from functions.registry.metadata.lists import namespaces, rankings, repositories, tags
from functions.registry.metadata.lists.filters import (
    NAMESPACE_ORDERS,
    REPOSITORY_ORDERS,
    TAG_ORDERS,
    NamespaceFilter,
    RepositoryFilter,
    TagFilter,
)
from functions.registry.metadata.lists.keyset import Found, Walk
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import APP, push_image, push_index, put, query
from tests.metadata.list_rows import (
    MANY_TAGS,
    NAMESPACES,
    collect,
    fill_repositories,
    fill_tags,
    known_namespaces,
    known_repositories,
    known_tags,
    manifest,
)

Lister = Callable[[Walk], Found | None]
ALL = RepositoryFilter()


def walked(lister: Lister, *, descending: bool, size: int = 1, reach: int = 1000) -> list[str]:
    """All names, page by page."""
    return [name for page in pages(lister, descending=descending, size=size, reach=reach) for name in page]


def pages(lister: Lister, *, descending: bool = False, size: int = 1, reach: int = 1000) -> Iterator[list[str]]:
    after = None
    while True:
        found = lister(Walk(descending, size, after, reach=reach))
        assert found is not None
        assert len(found.items) == len(found.positions) <= size
        yield [item["name"] for item in found.items]
        after = found.more
        if after is None:
            return


@pytest.mark.parametrize("order", REPOSITORY_ORDERS)
def test_repositories_in_every_order_both_ways(database: Database, order: str) -> None:
    fill_repositories(database)
    known = known_repositories(database)
    robot = principals.create_robot(database, "ci")
    for namespace in NAMESPACES:
        grants.add(database, robot.id, f"{namespace}/**", "reader")
    for descending in (False, True):
        expected = known.sorted_by(order, descending=descending)
        assert walked(partial(repositories.page, database, order, wanted=ALL), descending=descending) == expected
        of_ash = partial(repositories.page, database, order, wanted=RepositoryFilter(namespace="ash"))
        assert walked(of_ash, descending=descending) == [name for name in expected if name.startswith("ash/")]
        visible = partial(repositories.page, database, order, wanted=ALL, visible_to=robot.id)
        assert walked(visible, descending=descending) == [name for name in expected if "/" in name]


@pytest.mark.parametrize("order", TAG_ORDERS)
def test_tags_in_every_order_both_ways(database: Database, order: str) -> None:
    fill_tags(database)
    known = known_tags(database)
    lister = partial(tags.page, database, MANY_TAGS, order, wanted=TagFilter())
    for descending in (False, True):
        assert walked(lister, descending=descending) == known.sorted_by(order, descending=descending)


@pytest.mark.parametrize("order", NAMESPACE_ORDERS)
def test_namespaces_in_every_order_both_ways(database: Database, order: str) -> None:
    fill_repositories(database)
    known = known_namespaces(database)
    lister = partial(namespaces.page, database, order, wanted=NamespaceFilter())
    for descending in (False, True):
        assert walked(lister, descending=descending) == known.sorted_by(order, descending=descending)


MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


FILTERS = {
    RepositoryFilter(name="r1"): "name LIKE '%r1%'",
    RepositoryFilter(name="single"): "name LIKE 'single%'",
    RepositoryFilter(name="_"): "false",
    RepositoryFilter(namespace="beech", untagged=True): "name LIKE 'beech/%' AND untagged > 0",
    RepositoryFilter(untagged=False): "untagged = 0",
    RepositoryFilter(min_size=500): "bytes >= 500",
    RepositoryFilter(max_size=500): "bytes <= 500",
    RepositoryFilter(min_size=1, max_size=0): "false",
    RepositoryFilter(pushed_after=MOMENT): "pushed_at >= '2026-01-02'",
    RepositoryFilter(pushed_before=MOMENT): "pushed_at < '2026-01-02'",
    RepositoryFilter(pulled_after=MOMENT): "pulled_at >= '2026-01-02'",
    RepositoryFilter(pulled_before=MOMENT): "pulled_at < '2026-01-02'",
    RepositoryFilter(kind="other"): "true",
    RepositoryFilter(kind="chart"): "false",
    RepositoryFilter(namespace="nowhere"): "false",
}


@pytest.mark.parametrize("order", REPOSITORY_ORDERS)
def test_a_filter_lets_through_what_it_says_in_every_order(database: Database, order: str) -> None:
    fill_repositories(database, 18)
    known = known_repositories(database)
    for wanted, condition in FILTERS.items():
        sql = f"SELECT name FROM repositories JOIN repository_usage ON repository_id = id WHERE manifests > 0 AND {condition}"  # noqa: E501, S608  # a test's own
        expected = {name for (name,) in query(database, sql)}
        least, most = repositories.bounds(order, wanted)
        for descending in (False, True):
            found = repositories.page(database, order, Walk(descending, 100, None, least, most), wanted)
            names = [item["name"] for item in found.items]
            assert names == [name for name in known.sorted_by(order, descending=descending) if name in expected], wanted
            assert found.more is None


def test_a_filter_of_kinds(database: Database) -> None:
    image = push_image(database, APP, "image")
    push_index(database, APP, "index", of=[image])
    push_image(database, RepositoryName("team/plain"), "image")
    found = repositories.page(database, "name", Walk(descending=False, size=9), RepositoryFilter(kind="index"))
    assert [item["name"] for item in found.items] == [APP]
    assert found.items[0]["kinds"] == {"image": 1, "index": 1}
    listed = tags.page(database, APP, "name", Walk(descending=False, size=9), TagFilter(kind="image"))
    assert listed is not None
    assert [item["name"] for item in listed.items] == ["image"]


@pytest.mark.parametrize("order", REPOSITORY_ORDERS)
@pytest.mark.parametrize("descending", [False, True])
def test_a_page_looks_no_further_than_its_reach_and_goes_on_there(
    database: Database, order: str, descending: bool
) -> None:
    fill_repositories(database, 18)
    rare = known_repositories(database).sorted_by("name")[7]
    lister = partial(repositories.page, database, order, wanted=RepositoryFilter(name=rare))
    found = list(pages(lister, descending=descending, size=1, reach=4))
    assert [name for page in found for name in page] == [rare]
    assert 18 // 4 <= len(found) <= 18 // 4 + 2


@pytest.mark.parametrize(
    ("patterns", "seen"),
    [
        (["ash/r03"], lambda name: name == "ash/r03"),
        (["ash/r1*"], lambda name: name.startswith("ash/r1")),
        (["*/r1*"], lambda name: "/r1" in name),
        (["**"], lambda _: True),
        (["single09", "beech/**"], lambda name: name == "single09" or name.startswith("beech/")),
        (["nowhere/**"], lambda _: False),
        ([], lambda _: False),
    ],
)
def test_only_what_there_is_a_grant_for(database: Database, patterns: list[str], seen: Callable[[str], bool]) -> None:
    fill_repositories(database, 27)
    robot = principals.create_robot(database, "ci")
    for pattern in patterns:
        grants.add(database, robot.id, pattern, "reader")
    for order in REPOSITORY_ORDERS:
        expected = [name for name in known_repositories(database).sorted_by(order) if seen(name)]
        lister = partial(repositories.page, database, order, wanted=ALL, visible_to=robot.id)
        assert walked(lister, descending=False, size=3) == expected
        of_ash = partial(
            repositories.page, database, order, wanted=RepositoryFilter(namespace="ash"), visible_to=robot.id
        )
        assert walked(of_ash, descending=False, size=3) == [name for name in expected if name.startswith("ash/")]


def test_what_anyone_may_see_and_grants_in_many_namespaces(database: Database) -> None:
    fill_repositories(database, 27)
    grants.add(database, None, "ash/r03", "reader")
    lister = partial(repositories.page, database, "size", wanted=ALL, visible_to=NOBODY)
    assert walked(lister, descending=True) == ["ash/r03"]
    robot = principals.create_robot(database, "ci")
    for number in range(25):
        grants.add(database, robot.id, f"elsewhere{number}/**", "reader")
    lister = partial(repositories.page, database, "size", wanted=ALL, visible_to=robot.id)
    assert walked(lister, descending=True) == ["ash/r03"]


def test_a_page_stays_what_it_is_when_rows_come_and_go(database: Database) -> None:
    fill_repositories(database, 18)
    expected = known_repositories(database).sorted_by("name")
    first = repositories.page(database, "name", Walk(descending=False, size=5), ALL)
    gone = "UPDATE repository_usage SET manifests = 0 WHERE repository_id IN (SELECT id FROM repositories WHERE name = :name)"  # noqa: E501
    query(database, gone, name=expected[4])
    put(database, RepositoryName("aaa/new"), manifest(1))
    second = repositories.page(database, "name", Walk(descending=False, size=5, after=first.more), ALL)
    assert [item["name"] for item in second.items] == expected[5:10]
    back = repositories.page(database, "name", Walk(descending=True, size=9, after=second.positions[0]), ALL)
    assert [item["name"] for item in back.items] == [*expected[3::-1], "aaa/new"]


def test_what_is_shown_of_a_repository(database: Database) -> None:
    image = push_image(database, APP, "v1")
    push_image(database, APP)
    query(database, "UPDATE repositories SET keep_untagged = true, grace = '2 hours' WHERE name = :name", name=APP)
    shown = repositories.repository(database, APP)
    assert shown is not None
    size = sum(len(content) for content in (*image.blobs, image.manifest))
    assert shown["bytes"] >= size
    counted = {"blobs": 6, "manifests": 2, "tags": 1, "pulls": 0, "kinds": {"image": 2}, "pulled_at": None}
    assert {name: value for name, value in shown.items() if name in counted} == counted
    assert (shown["name"], shown["namespace"]) == (APP, "team")
    assert (shown["keep_untagged"], shown["grace_seconds"]) == (True, 7200)
    assert shown["pushed_at"] is not None
    assert datetime.fromisoformat(shown["pushed_at"]) <= datetime.now(UTC)
    [listed] = repositories.page(database, "name", Walk(descending=False, size=9), ALL).items
    of_one = {"keep_untagged": True, "grace_seconds": 7200, "undo_seconds": None, "restorable_bytes": 0}
    assert {**listed, **of_one} == shown
    assert repositories.repository(database, RepositoryName("not/there")) is None


def test_a_namespaces_figures_are_those_of_now(database: Database) -> None:
    push_image(database, APP, "v1")
    query(database, "INSERT INTO quotas (namespace, repositories) VALUES ('team', 5)")
    shown = namespaces.namespace(database, "team")
    assert shown is not None
    assert (shown["repositories"], shown["tags"], shown["manifests"], shown["blobs"]) == (1, 1, 1, 3)
    assert shown["quota"] == {"bytes": None, "repositories": 5}
    [listed] = namespaces.page(database, "size", Walk(descending=True, size=9), NamespaceFilter()).items
    assert {**listed, "undo_seconds": None} == shown
    assert namespaces.namespace(database, "nowhere") is None


DAYS = """
    INSERT INTO repository_days (repository_id, day, pushes, pulls, bytes)
    SELECT id, current_date - CAST(:ago AS int), :pushes, :pulls, :bytes FROM repositories WHERE name = :name
"""
ACTIVITY = [  # repository, days ago, pushes, pulls
    ("ash/r03", 0, 2, 3),
    ("ash/r03", 29, 0, 4),
    ("ash/r03", 30, 100, 0),
    ("beech/r01", 1, 1, 9),
    ("cedar/r02", 40, 99, 0),
]
SCANS = [  # repository, days ago, bytes
    ("ash/r03", 45, 100),
    ("ash/r03", 31, 300),
    ("ash/r03", 3, 900),
    ("ash/r06", 20, 600),  # no older one
    ("ash/r06", 10, 800),
    ("beech/r04", 60, 2000),  # it shrank
    ("beech/r07", 60, 1),  # it grew before
]


def test_the_most_active_of_the_last_thirty_days(database: Database) -> None:
    fill_repositories(database, 6)
    for name, ago, pushed, pulled in ACTIVITY:
        query(database, DAYS, name=name, ago=ago, pushes=pushed, pulls=pulled, bytes=None)
    assert rankings.most_active(database, 10, None) == []
    collect(database)
    ranked = rankings.most_active(database, 10, None)
    shown = [(item["name"], item["recent_pushes"], item["recent_pulls"]) for item in ranked]
    assert shown == [("beech/r01", 1, 9), ("ash/r03", 2, 7)]
    assert [item["name"] for item in rankings.most_active(database, 1, None)] == ["beech/r01"]
    assert [item["name"] for item in rankings.most_active(database, 10, "ash")] == ["ash/r03"]
    assert rankings.most_active(database, 10, "nowhere") == []


def test_the_fastest_growing_of_the_last_thirty_days(database: Database) -> None:
    fill_repositories(database, 9)
    query(database, "UPDATE repository_usage SET pushed_at = now(), manifest_bytes = 1000")
    old = "UPDATE repositories SET created_at = now() - interval '1 year' WHERE name = ANY (CAST(:names AS text[]))"
    query(database, old, names=["ash/r03", "ash/r06", "beech/r01", "beech/r04", "beech/r07", "single00"])
    for name, ago, size in SCANS:
        query(database, DAYS, name=name, ago=ago, pushes=0, pulls=0, bytes=size)
    quiet = "UPDATE repository_usage SET pushed_at = now() - interval '40 days' WHERE repository_id = (SELECT id FROM repositories WHERE name = 'beech/r07')"  # noqa: E501
    query(database, quiet)
    assert rankings.fastest_growing(database, 100, None) == []
    collect(database)
    ranked = {item["name"]: item["gained_bytes"] for item in rankings.fastest_growing(database, 100, None)}
    young = {"cedar/r02", "cedar/r05", "cedar/r08"}
    assert {name: ranked.pop(name) for name in young} == dict.fromkeys(young, 1000)
    assert ranked == {"ash/r03": 700, "ash/r06": 400}
    assert [item["name"] for item in rankings.fastest_growing(database, 1, "ash")] == ["ash/r03"]


def test_a_tags_page_of_an_unknown_repository_and_of_an_empty_one(database: Database) -> None:
    query(database, "INSERT INTO namespaces (name) VALUES ('team')")
    query(database, "INSERT INTO repositories (namespace_id, name) SELECT id, 'team/app' FROM namespaces")
    part = Walk(descending=False, size=9)
    assert tags.page(database, RepositoryName("not/there"), "size", part, TagFilter()) is None
    found = tags.page(database, APP, "size", part, TagFilter())
    assert found is not None
    assert (found.items, found.more) == ([], None)
