"""Trusts are found by their issuer, and go with their principal."""

from __future__ import annotations

import pytest

from functions.registry.metadata import principals, trusts
from functions.registry.metadata.db import Conflict, Database
from functions.registry.metadata.trusts import Trust

ISSUER = "https://issuer.example"
CLAIMS = {"repository_id": "1", "ref": "refs/heads/*"}


def test_a_trust_is_found_by_its_issuer_with_its_principal(database: Database) -> None:
    robot = principals.create_robot(database, "ci", "team")
    first = trusts.add(database, robot.id, ISSUER, CLAIMS)
    second = trusts.add(database, robot.id, ISSUER, {"repository_id": "2"})
    elsewhere = trusts.add(database, robot.id, f"{ISSUER}/other", CLAIMS)
    assert trusts.list_for(database, ISSUER) == [
        Trust(first, ISSUER, CLAIMS, robot),
        Trust(second, ISSUER, {"repository_id": "2"}, robot),
    ]
    assert [trust.id for trust in trusts.list_of(database, robot.id)] == [first, second, elsewhere]
    assert trusts.list_for(database, "https://nobody.example") == []


def test_a_disabled_principal_is_trusted_with_nothing(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    trusts.add(database, robot.id, ISSUER, CLAIMS)
    principals.disable(database, robot.id)
    assert trusts.list_for(database, ISSUER) == []
    assert len(trusts.list_of(database, robot.id)) == 1


def test_a_trust_is_removed_by_its_owner_only(database: Database) -> None:
    robot, other = principals.create_robot(database, "ci"), principals.create_robot(database, "other")
    trust = trusts.add(database, robot.id, ISSUER, CLAIMS)
    assert trusts.remove(database, other.id, trust) is False
    assert trusts.remove(database, robot.id, trust) is True
    assert trusts.list_for(database, ISSUER) == []


def test_a_trust_in_anybody_is_refused(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    for principal_id, claims in ((robot.id, {}), (robot.id + 1, CLAIMS)):
        with pytest.raises(Conflict):
            trusts.add(database, principal_id, ISSUER, claims)
