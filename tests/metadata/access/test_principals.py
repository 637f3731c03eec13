"""Users and robots come, are disabled and go; the first administrator is there from the start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from functions.registry.metadata.access import credentials, grants, principals, trusted_publishers
from functions.registry.metadata.access.principals import (
    LastAdministrator,
    Principal,
    PrincipalExists,
    PrincipalInvalid,
)
from functions.registry.metadata.db import Conflict, Database, Session, Statement
from functions.registry.oci.page import Page
from tests.metadata.build import value, wait_until_blocked

HASH = b"h" * 32


def test_a_principal_is_found_by_its_name(database: Database) -> None:
    user = principals.create_user(database, "ada@example.org")
    robot = principals.create_robot(database, "ci", "team")
    assert user == Principal(user.id, "user", "ada@example.org", None, is_admin=False, disabled=False)
    assert robot == Principal(robot.id, "robot", "ci", "team", is_admin=False, disabled=False)
    assert principals.create_user(database, "root", is_admin=True).is_admin
    assert principals.get(database, "ci") == robot
    assert principals.get(database, "CI") is None
    assert min(user.id, robot.id) > grants.NOBODY


def test_users_and_robots_share_their_names(database: Database) -> None:
    principals.create_user(database, "ci")
    for create in (principals.create_user, principals.create_robot):
        with pytest.raises(PrincipalExists, match="called ci"):
            create(database, "ci")


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "-a", "a:b", "a/b", "a" * 129, "ä", "a\n", "token", "oidc", "anonymous"]
)
def test_a_name_that_would_be_mistaken_is_refused(database: Database, name: str) -> None:
    with pytest.raises(PrincipalInvalid):
        principals.create_user(database, name)


def test_principals_come_by_name_a_page_and_one_more_at_a_time(database: Database) -> None:
    for name, namespace in (("d", None), ("b", "team"), ("c", "other"), ("a", "team")):
        principals.create_robot(database, name, namespace)

    def names(page: Page, namespace: str | None = None) -> list[str]:
        return [principal.name for principal in principals.list_page(database, page, namespace)]

    assert names(Page()) == ["a", "b", "c", "d"]
    assert names(Page(1, "a")) == ["b", "c"]
    assert names(Page(), "team") == ["a", "b"]
    assert names(Page(1, "a"), "team") == ["b"]


def test_disabling_is_for_as_long_as_it_is_wanted(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    for change, disabled in ((principals.disable, True), (principals.enable, False)):
        assert change(database, robot.id) is True
        found = principals.get(database, "ci")
        assert found is not None
        assert found.disabled is disabled
    assert principals.disable(database, robot.id + 1) is False
    assert principals.enable(database, robot.id + 1) is False


def test_the_last_administrator_stays(database: Database) -> None:
    first, second = (principals.create_user(database, name, is_admin=True) for name in ("first", "second"))
    robot = principals.create_robot(database, "ci")
    assert principals.disable(database, first.id)
    for take_away in (principals.disable, principals.delete):
        with pytest.raises(LastAdministrator, match="only administrator"):
            take_away(database, second.id)
    assert principals.delete(database, first.id), "who is disabled administers nothing"
    assert principals.delete(database, robot.id)
    principals.create_user(database, "third", is_admin=True)
    assert principals.delete(database, second.id)


@pytest.mark.parametrize("take", [principals.disable, principals.delete])
@pytest.mark.parametrize("other", [principals._DISABLE, principals._DELETE])
def test_two_administrators_do_not_take_each_other_away(
    database: Database, database_url: str, take: Callable[[Database, int], bool], other: Statement[int]
) -> None:
    first, second = (principals.create_user(database, name, is_admin=True) for name in ("first", "second"))
    with closing(Database(database_url, size=1)) as slow, slow._pool.connection(may_block=False) as connection:
        # As `_take_away` does, and then it takes its time to commit.
        session = Session(connection)
        connection.simple("BEGIN")
        session.batch([principals._LOCK_ADMINISTRATORS()])
        session.batch([other(id=first.id)])
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(take, database, second.id)
            wait_until_blocked(database)
            connection.simple("COMMIT")
            with pytest.raises(LastAdministrator):
                waiting.result(10)
    left = value(database, "SELECT count(*) FROM principals WHERE is_admin AND NOT is_disabled")
    assert left == 1


def test_a_crowd_of_administrators_leaves_one(database: Database) -> None:
    made = [principals.create_user(database, f"admin{number}", is_admin=True) for number in range(8)]

    def delete(principal: Principal) -> bool:
        try:
            return principals.delete(database, principal.id)
        except LastAdministrator:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(delete, made)) == [False, *[True] * 7]
    assert value(database, "SELECT count(*) FROM principals WHERE is_admin") == 1


def test_only_users_have_passwords(database: Database) -> None:
    user, robot = principals.create_user(database, "ada"), principals.create_robot(database, "ci")
    assert principals.set_password(database, user.id, "$argon2id$") is True
    assert principals.set_password(database, user.id, None) is True
    assert principals.set_password(database, robot.id, "$argon2id$") is False


def test_deleting_takes_all_that_hangs_on_it(database: Database) -> None:
    robot = principals.create_robot(database, "ci")
    credentials.add_secret(database, robot.id, "ci", "abc", HASH)
    trusted_publishers.add(database, robot.id, "https://issuer", {"sub": "1"})
    grants.add(database, robot.id, "team/**", "writer")
    assert principals.delete(database, robot.id) is True
    assert principals.delete(database, robot.id) is False
    for table in ("secrets", "trusted_publishers", "grants"):
        assert value(database, f"SELECT count(*) FROM {table}") == 0  # noqa: S608


def test_eight_that_start_at_once_make_one_first_administrator(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: principals.ensure_admin(database, "admin", "abc", HASH), range(8))
        assert set(made) == {True}
    stored = credentials.find_secret(database, "abc")
    assert stored is not None
    assert (stored.principal.name, stored.principal.is_admin, stored.hash) == ("admin", True, HASH)
    assert value(database, "SELECT count(*) FROM secrets") == 1


def test_a_new_first_secret_is_the_same_administrators(database: Database) -> None:
    assert principals.ensure_admin(database, "admin", "abc", HASH)
    assert principals.ensure_admin(database, "admin", "xyz", HASH)
    assert value(database, "SELECT count(*) FROM principals") == 1
    assert value(database, "SELECT count(*) FROM secrets") == 2


def test_the_first_secret_is_good_also_after_its_pepper_is_gone(database: Database) -> None:
    assert principals.ensure_admin(database, "admin", "abc", HASH)
    assert principals.ensure_admin(database, "admin", "abc", b"another" + HASH)
    assert value(database, "SELECT hash FROM secrets") == b"another" + HASH
    robot = principals.create_robot(database, "ci")
    credentials.add_secret(database, robot.id, "its own", "xyz", HASH)
    assert principals.ensure_admin(database, "admin", "xyz", b"another" + HASH) is False
    stored = credentials.find_secret(database, "xyz")
    assert stored is not None
    assert stored.hash == HASH


def test_a_revoked_first_secret_stays_revoked(database: Database) -> None:
    principals.ensure_admin(database, "admin", "abc", HASH)
    admin = principals.get(database, "admin")
    assert admin is not None
    assert credentials.revoke_secret(database, admin.id, "abc")
    principals.ensure_admin(database, "admin", "abc", b"another" + HASH)
    stored = credentials.find_secret(database, "abc")
    assert stored is not None
    assert stored.is_revoked
    assert stored.hash == HASH


@pytest.mark.parametrize("kind", ["user", "robot"])
def test_somebody_who_has_the_name_becomes_no_administrator_by_it(database: Database, kind: str) -> None:
    if kind == "user":
        principals.create_user(database, "admin")
    else:
        principals.create_robot(database, "admin", "team")
    assert principals.ensure_admin(database, "admin", "abc", HASH) is False
    assert credentials.find_secret(database, "abc") is None


def test_a_user_in_a_namespace_is_refused(database: Database) -> None:
    with pytest.raises(Conflict):
        principals._create(database, "user", "ada", "team", is_admin=False)
