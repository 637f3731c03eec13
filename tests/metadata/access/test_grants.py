"""A principal has the best role that a pattern of its own, or of anyone's, gives it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.registry.metadata.access import grants, principals
from functions.registry.metadata.access.grants import Bounds, Grant, GrantRefused, Standing, TooManyGrants
from functions.registry.metadata.access.patterns import PatternInvalid
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import Database
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page
from tests.metadata.build import push_image, start_upload

NAMES = ["team/app", "team/app/deep", "team/other", "other/app", "team"]


@pytest.fixture
def robot(database: Database) -> Principal:
    return principals.create_robot(database, "ci")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("team/app", ["team/app"]),
        ("team/*", ["team/app", "team/other"]),
        ("team/**", ["team/app", "team/app/deep", "team/other"]),
        ("**", NAMES),
        ("*", ["team"]),
        ("*/app", ["team/app", "other/app"]),
        ("t*/app", ["team/app"]),
        ("team**", ["team/app", "team/app/deep", "team/other", "team"]),
        ("tea", []),
    ],
)
def test_a_role_is_in_what_the_pattern_matches(
    database: Database, robot: Principal, pattern: str, matched: list[str]
) -> None:
    grants.add(database, robot.id, pattern, "writer")
    assert grants.roles(database, robot.id, NAMES) == dict.fromkeys(matched, 2)
    assert grants.roles(database, None, NAMES) == {}
    assert grants.roles(database, robot.id, []) == {}


def test_a_standing_is_what_one_administers(database: Database, robot: Principal) -> None:
    root = principals.create_user(database, "root", is_admin=True)
    grants.add(database, robot.id, "team/**", "admin")
    grants.add(database, robot.id, "other/**", "maintainer")
    grants.add(database, robot.id, "other/app", "admin")
    grants.add(database, root.id, "**", "reader")
    assert grants.standing(database, robot.id) == Standing(is_admin=False, patterns=["team/**"])
    assert grants.standing(database, root.id) == Standing(is_admin=True, patterns=[])
    principals.disable(database, robot.id)
    assert grants.standing(database, robot.id) is None
    assert grants.standing(database, root.id + 1) is None


def test_grants_of_a_namespace_are_those_that_match_nothing_else(database: Database, robot: Principal) -> None:
    for pattern in ("team/b", "team/**", "team", "team**", "team*/x", "team-x/a", "team.x", "team0/a", "tea/m", "**"):
        grants.add(database, robot.id, pattern, "reader")
    grants.add(database, None, "team/a", "reader")

    def patterns(size: int, after: Grant | None = None, principal_id: int | None = None) -> list[str]:
        return [each.pattern for each in grants.list_page(database, size, after, principal_id, "team")]

    assert patterns(10) == ["team/**", "team/a", "team/b"]
    assert patterns(1) == ["team/**", "team/a"]
    first, *_ = grants.list_page(database, 1, namespace="team")
    assert patterns(1, first) == ["team/a", "team/b"]
    assert patterns(10, None, robot.id) == ["team/**", "team/b"]
    assert grants.list_page(database, 10, namespace="te") == []


def test_the_best_of_ones_own_and_of_anyones(database: Database, robot: Principal) -> None:
    other = principals.create_user(database, "ada")
    grants.add(database, robot.id, "team/*", "reader")
    grants.add(database, robot.id, "team/app", "maintainer")
    grants.add(database, None, "team/app", "reader")
    grants.add(database, None, "public/**", "reader")
    grants.add(database, other.id, "**", "admin")
    asked = ["team/app", "team/other", "public/x", "private/x"]
    assert grants.roles(database, robot.id, asked) == {"team/app": 3, "team/other": 1, "public/x": 1}
    assert grants.roles(database, None, asked) == {"team/app": 1, "public/x": 1}
    assert grants.roles(database, other.id, asked) == dict.fromkeys(asked, 4)
    assert grants.roles(database, other.id + 1, asked) == {"team/app": 1, "public/x": 1}


def test_a_name_that_is_asked_twice_or_is_odd_does_no_harm(database: Database, robot: Principal) -> None:
    grants.add(database, robot.id, "null", "reader")
    assert grants.roles(database, robot.id, ["null", "null", '"', "{}", ""]) == {"null": 1}


def test_a_pattern_has_one_role_the_latest(database: Database, robot: Principal) -> None:
    for principal_id in (robot.id, None):
        first = grants.add(database, principal_id, "team/*", "reader")
        assert grants.add(database, principal_id, "team/*", "reader") == first
    assert grants.add(database, robot.id, "team/*", "admin") != first
    assert [(grant.principal, grant.role) for grant in grants.list_page(database, 10)] == [
        ("ci", "admin"),
        (None, "reader"),
    ]


def test_anyone_may_read_and_no_more(database: Database) -> None:
    for role in ("writer", "maintainer", "admin"):
        with pytest.raises(GrantRefused, match="anyone may be reader"):
            grants.add(database, None, "team/*", role)


def test_what_makes_no_sense_is_refused(database: Database, robot: Principal) -> None:
    with pytest.raises(GrantRefused, match="no role owner"):
        grants.add(database, robot.id, "team/*", "owner")
    with pytest.raises(GrantRefused, match="no such principal"):
        grants.add(database, robot.id + 1, "team/*", "reader")
    with pytest.raises(PatternInvalid):
        grants.add(database, robot.id, "team/?", "reader")


def test_grants_come_by_pattern_a_page_and_one_more_at_a_time(database: Database, robot: Principal) -> None:
    for pattern in ("b", "a", "c"):
        grants.add(database, robot.id, pattern, "writer")
    grants.add(database, None, "b", "reader")
    first = grants.list_page(database, 2)
    assert [(grant.principal, grant.pattern) for grant in first] == [("ci", "a"), ("ci", "b"), (None, "b")]
    assert [grant.pattern for grant in grants.list_page(database, 2, after=first[1])] == ["b", "c"]
    own = grants.list_page(database, 2, principal_id=robot.id)
    assert [grant.pattern for grant in own] == ["a", "b", "c"]
    assert [grant.pattern for grant in grants.list_page(database, 2, own[1], robot.id)] == ["c"]


def test_a_grant_that_is_removed_gives_nothing_more(database: Database, robot: Principal) -> None:
    grant = grants.add(database, robot.id, "team/*", "writer")
    assert grants.get(database, grant) == Grant(grant, "ci", "team/*", "writer")
    assert grants.remove(database, grant) is True
    assert grants.remove(database, grant) is False
    assert grants.get(database, grant) is None
    assert grants.roles(database, robot.id, NAMES) == {}


def visible(database: Database, principal_id: int, page: Page | None = None) -> list[str]:
    return repositories.list_names(database, page or Page(), visible_to=principal_id)


@pytest.fixture
def crowd(database: Database) -> list[str]:
    names = ["a", "a-b/x", "a/app", "a/lib", "a0/app", "b/app", "b/app/deep", "c/app"]
    for name in names:
        push_image(database, RepositoryName(name))
    return names


def test_the_catalog_shows_what_one_may_see_in_full_pages(
    database: Database, robot: Principal, crowd: list[str]
) -> None:
    start_upload(database, RepositoryName("b/unfinished"))
    grants.add(database, robot.id, "*/app", "writer")
    grants.add(database, robot.id, "b/**", "reader")
    grants.add(database, None, "a", "reader")
    seen = ["a", "a/app", "a0/app", "b/app", "b/app/deep", "c/app"]
    assert visible(database, robot.id) == seen
    assert visible(database, robot.id, Page(2)) == seen[:3]
    assert visible(database, robot.id, Page(2, "a/app")) == seen[2:5]
    assert visible(database, robot.id, Page(2, "b/app")) == seen[4:]
    assert visible(database, grants.NOBODY) == ["a"]
    assert repositories.list_names(database, Page()) == crowd


def test_the_catalog_is_empty_without_a_grant_and_whole_with_the_widest(
    database: Database, robot: Principal, crowd: list[str]
) -> None:
    assert visible(database, robot.id) == []
    grants.add(database, robot.id, "**", "reader")
    assert visible(database, robot.id) == crowd
    assert visible(database, grants.NOBODY) == []


def test_a_namespace_has_no_more_grants_than_it_may(database: Database, robot: Principal) -> None:
    bounds = Bounds(all=4, each=2, starred=5)
    grants.add(database, None, "team/*/a", "reader", bounds)
    for pattern in ("team/*/b", "team/*a**"):
        with pytest.raises(TooManyGrants, match="5 characters from a star on"):
            grants.add(database, None, pattern, "reader", bounds)
    grants.add(database, None, "team/b*", "reader", bounds)
    with pytest.raises(TooManyGrants, match="at most 4 grants, 2 of them for one principal or for anyone"):
        grants.add(database, None, "team/c", "reader", bounds)
    for pattern in ("team/a", "team/**"):
        grants.add(database, robot.id, pattern, "reader", bounds)
    with pytest.raises(TooManyGrants):
        grants.add(database, robot.id, "team/c", "reader", bounds)
    assert grants.add(database, robot.id, "team/a", "writer", bounds), "one that is there is changed"
    for pattern in ("other/a", "**", "t*/a"):
        assert grants.add(database, robot.id, pattern, "reader", bounds), "it is of no namespace, or of another one"


def test_the_bound_holds_for_many_at_once(database: Database, robot: Principal) -> None:
    def add(number: int) -> bool:
        try:
            return grants.add(database, robot.id, f"team/{number}", "reader", Bounds(10, 10, 10)) > 0
        except TooManyGrants:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(40))) == 10


@pytest.mark.parametrize("glob", ["team/*a*", "team/**", "team/*/x**", "**", "t*/app"])
def test_the_catalog_has_what_any_grant_matches(database: Database, robot: Principal, glob: str) -> None:
    """Page by page, from one's own grants and those of anyone."""
    names = ["other/app", "team/app", "team/app/x", "team/b/xy", "team/banana", "team/c"]
    for name in names:
        push_image(database, RepositoryName.parse(name), "v1")
    grants.add(database, robot.id, glob, "reader")
    grants.add(database, None, "team/c", "reader")
    grants.add(database, None, "other/none*", "reader")
    expected = sorted({*grants.roles(database, robot.id, names), *grants.roles(database, None, names)})
    found: list[str] = []
    while page := repositories.list_names(database, Page(1, found[-1] if found else ""), robot.id):
        found.append(page[0])
    assert found == expected
