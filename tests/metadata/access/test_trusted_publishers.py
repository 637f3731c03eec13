"""Trusted publishers are found by their issuer and tenant, and go with their principal."""

from __future__ import annotations

import pytest

from functions.registry.metadata.access import grants, principals, trusted_publishers
from functions.registry.metadata.access.trusted_publishers import Candidate, Sought, TooManyTrustedPublishers
from functions.registry.metadata.db import Conflict, Database

ISSUER = "https://issuer.example"
CLAIMS = {"repository_id": "1", "ref": "refs/heads/*"}


TENANT = [{"repository_id": "1"}, {"repository_owner_id": "7"}]


def found(database: Database, robot: str | None = None, asked: tuple[str, ...] = ()) -> list[Candidate]:
    claims = {"repository_id": "1", "repository_owner_id": "7", "ref": "refs/heads/main", "event": "push"}
    return trusted_publishers.matching(database, Sought(ISSUER, TENANT, claims, ["ref"], robot, asked))


def test_a_trusted_publisher_is_found_by_its_issuer_and_tenant_with_its_principal(database: Database) -> None:
    robot = principals.create_robot(database, "ci", "team")
    first = trusted_publishers.add(database, robot.id, ISSUER, CLAIMS)
    owner = trusted_publishers.add(database, robot.id, ISSUER, {"repository_owner_id": "7"})
    other = trusted_publishers.add(database, robot.id, ISSUER, {"repository_id": "2"})
    elsewhere = trusted_publishers.add(database, robot.id, f"{ISSUER}/other", CLAIMS)
    assert found(database) == [
        Candidate(first, CLAIMS, robot, has_role=False),
        Candidate(owner, {"repository_owner_id": "7"}, robot, has_role=False),
    ]
    assert [publisher.id for publisher in trusted_publishers.list_of(database, robot.id)] == [
        first,
        owner,
        other,
        elsewhere,
    ]


def test_those_that_may_be_meant_come_first(database: Database) -> None:
    """Others with the same tenant push nobody out, however many they are."""
    crowd = principals.create_robot(database, "crowd", "evil")
    for number in range(150):
        trusted_publishers.add(database, crowd.id, ISSUER, {"repository_id": "1", "event": f"none {number}"})
        trusted_publishers.add(database, crowd.id, ISSUER, {"repository_id": "1", "repository_owner_id": "7"})
    robot = principals.create_robot(database, "ci", "team")
    grants.add(database, robot.id, "team/**", "writer")
    mine = trusted_publishers.add(database, robot.id, ISSUER, CLAIMS)
    candidates = found(database, asked=("team/app",))
    assert candidates[0] == Candidate(mine, CLAIMS, robot, has_role=True)
    assert len(candidates) == 100
    assert [each.id for each in found(database, robot="ci")] == [mine]
    assert found(database, robot="nobody") == []


def test_a_role_counts_where_it_is_the_robots_own(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    trusted_publishers.add(database, robot.id, ISSUER, CLAIMS)
    grants.add(database, None, "team/app", "reader")
    assert not found(database, asked=("team/app",))[0].has_role
    grants.add(database, robot.id, "*/app", "reader")
    assert found(database, asked=("other/app2", "team/app"))[0].has_role
    assert not found(database, asked=("team/app2",))[0].has_role


def test_a_disabled_principal_is_trusted_with_nothing(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    trusted_publishers.add(database, robot.id, ISSUER, CLAIMS)
    principals.disable(database, robot.id)
    assert found(database) == []
    assert len(trusted_publishers.list_of(database, robot.id)) == 1


def test_a_trusted_publisher_is_removed_by_its_owner_only(database: Database) -> None:
    robot, other = principals.create_robot(database, "ci"), principals.create_robot(database, "other")
    publisher = trusted_publishers.add(database, robot.id, ISSUER, CLAIMS)
    assert trusted_publishers.remove(database, other.id, publisher) is False
    assert trusted_publishers.remove(database, robot.id, publisher) is True
    assert found(database) == []


def test_a_trusted_publisher_in_anybody_is_refused(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    for principal_id, claims in ((robot.id, {}), (robot.id + 1, CLAIMS)):
        with pytest.raises(Conflict):
            trusted_publishers.add(database, principal_id, ISSUER, claims)


def test_the_robots_of_a_namespace_have_no_more_trusted_publishers_than_they_may(database: Database) -> None:
    one, two = principals.create_robot(database, "one", "team"), principals.create_robot(database, "two", "team")
    for robot in (one, two):
        trusted_publishers.add(database, robot.id, ISSUER, CLAIMS, most=2)
    with pytest.raises(TooManyTrustedPublishers, match="at most 2 trusted publishers"):
        trusted_publishers.add(database, one.id, ISSUER, CLAIMS, most=2)
    free = principals.create_robot(database, "free")
    for _ in range(3):
        trusted_publishers.add(database, free.id, ISSUER, CLAIMS, most=2)
