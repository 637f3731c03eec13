"""Secrets, passwords and refresh tokens are found as long as they are good, and known once they are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from functions.registry.metadata.access import credentials, principals, trusted_publishers
from functions.registry.metadata.access.credentials import SignedIn
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Conflict, Database
from tests.metadata.build import query, value

HASH, OTHER_HASH = b"h" * 32, b"o" * 32
ISSUER = "https://issuer.example"


def soon(hours: float = 1) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


@pytest.fixture
def robot(database: Database) -> Principal:
    return principals.create_robot(database, "ci", "team")


def used_at(database: Database) -> datetime | None:
    found: datetime | None = value(database, "SELECT last_used_at FROM secrets")
    return found


def test_a_secret_is_found_with_its_principal(database: Database, robot: Principal) -> None:
    expires_at = soon()
    credentials.add_secret(database, robot.id, "runner", "abc", HASH, expires_at)
    found = credentials.find_secret(database, "abc")
    assert found is not None
    assert (found.principal, found.id, found.hash, found.expires_at) == (robot, "abc", HASH, expires_at)
    assert (found.is_expired, found.is_revoked) == (False, False)
    assert "hhhh" not in repr(found)
    assert credentials.find_secret(database, "abcd") is None


def test_an_expired_a_revoked_and_a_disabled_one_are_told(database: Database, robot: Principal) -> None:
    credentials.add_secret(database, robot.id, "old", "old", HASH, soon(-1))
    credentials.add_secret(database, robot.id, "bad", "bad", HASH)
    assert credentials.revoke_secret(database, robot.id, "bad") is True
    principals.disable(database, robot.id)
    old, bad = credentials.find_secret(database, "old"), credentials.find_secret(database, "bad")
    assert old is not None
    assert bad is not None
    assert (old.is_expired, old.is_revoked) == (True, False)
    assert (bad.is_expired, bad.is_revoked) == (False, True)
    assert old.principal.disabled


def test_a_secret_is_revoked_once_and_by_its_owner_only(database: Database, robot: Principal) -> None:
    other = principals.create_robot(database, "other")
    credentials.add_secret(database, robot.id, "ci", "abc", HASH)
    assert credentials.revoke_secret(database, other.id, "abc") is False
    assert credentials.revoke_secret(database, robot.id, "abc") is True
    assert credentials.revoke_secret(database, robot.id, "abc") is False


def test_secrets_are_listed_without_what_signs_in(database: Database, robot: Principal) -> None:
    credentials.add_secret(database, robot.id, "first", "one", HASH)
    credentials.add_secret(database, robot.id, "second", "two", OTHER_HASH, soon())
    credentials.revoke_secret(database, robot.id, "one")
    first, second = credentials.list_secrets(database, robot.id)
    assert (first.id, first.name, first.revoked_at is None) == ("one", "first", False)
    assert (second.id, second.expires_at is None, second.last_used_at) == ("two", False, None)
    assert credentials.list_secrets(database, robot.id + 1) == []


def test_an_id_belongs_to_one_secret_of_a_principal_that_is_there(database: Database, robot: Principal) -> None:
    credentials.add_secret(database, robot.id, "ci", "abc", HASH)
    for principal_id, secret_id in ((robot.id, "abc"), (robot.id + 1, "xyz")):
        with pytest.raises(Conflict):
            credentials.add_secret(database, principal_id, "ci", secret_id, HASH)


def test_a_use_is_written_down_once_an_hour_and_only_if_it_is_one(database: Database, robot: Principal) -> None:
    credentials.add_secret(database, robot.id, "ci", "abc", HASH)
    credentials.find_secret(database, "abc")
    credentials.find_secret(database, "abc", [OTHER_HASH])
    assert used_at(database) is None
    credentials.find_secret(database, "abc", [HASH])
    first = used_at(database)
    assert first is not None
    credentials.find_secret(database, "abc", [HASH])
    assert used_at(database) == first
    query(database, "UPDATE secrets SET last_used_at = last_used_at - interval '61 minutes'")
    with ThreadPoolExecutor(8) as pool:
        assert None not in pool.map(lambda _: credentials.find_secret(database, "abc", [HASH]), range(8))
    later = used_at(database)
    assert later is not None
    assert later > first


def test_a_secret_that_is_used_is_kept_by_the_newest_pepper(database: Database, robot: Principal) -> None:
    credentials.add_secret(database, robot.id, "ci", "abc", OTHER_HASH)
    credentials.find_secret(database, "abc", [HASH])
    credentials.find_secret(database, "abc", [OTHER_HASH])
    assert value(database, "SELECT hash FROM secrets") == OTHER_HASH
    found = credentials.find_secret(database, "abc", [HASH, OTHER_HASH])
    assert found is not None
    assert found.hash == OTHER_HASH, "as it was when it was shown"
    assert value(database, "SELECT hash FROM secrets") == HASH
    credentials.revoke_secret(database, robot.id, "abc")
    credentials.find_secret(database, "abc", [OTHER_HASH, HASH])
    assert value(database, "SELECT hash FROM secrets") == HASH


def test_a_password_is_a_users(database: Database, robot: Principal) -> None:
    user = principals.create_user(database, "ada")
    found = credentials.find_password(database, "ada")
    assert found is not None
    assert (found.principal, found.hash) == (user, None)
    principals.set_password(database, user.id, "$argon2id$")
    found = credentials.find_password(database, "ada")
    assert found is not None
    assert found.hash == "$argon2id$"
    assert "argon2id" not in repr(found)
    assert credentials.find_password(database, robot.name) is None
    assert credentials.find_password(database, "nobody") is None


def remember(database: Database, principal: Principal, hours: float = 1, **source: object) -> SignedIn:
    signed_in = SignedIn(principal, "secret", is_read_only=True, claims={"ref": "main"}, **source)  # type: ignore[arg-type]  # as the test says
    credentials.add_refresh_token(database, HASH, signed_in, soon(hours))
    return signed_in


def test_a_refresh_token_is_found_by_any_of_its_hashes(database: Database, robot: Principal) -> None:
    signed_in = remember(database, robot)
    assert credentials.find_refresh_token(database, [OTHER_HASH, HASH]) == signed_in
    assert credentials.find_refresh_token(database, [OTHER_HASH]) is None


def test_a_refresh_token_ends_at_its_time(database: Database, robot: Principal) -> None:
    remember(database, robot, hours=-1)
    assert credentials.find_refresh_token(database, [HASH]) is None


def test_a_refresh_token_ends_with_its_principal(database: Database, robot: Principal) -> None:
    remember(database, robot)
    principals.disable(database, robot.id)
    assert credentials.find_refresh_token(database, [HASH]) is None
    principals.enable(database, robot.id)
    assert credentials.find_refresh_token(database, [HASH]) is not None
    principals.delete(database, robot.id)
    assert credentials.find_refresh_token(database, [HASH]) is None


def test_a_refresh_token_ends_with_its_secret(database: Database, robot: Principal) -> None:
    credentials.add_secret(database, robot.id, "ci", "abc", OTHER_HASH)
    remember(database, robot, secret_id="abc")
    assert credentials.find_refresh_token(database, [HASH]) is not None
    query(database, "UPDATE secrets SET expires_at = now()")
    assert credentials.find_refresh_token(database, [HASH]) is None
    query(database, "UPDATE secrets SET expires_at = NULL")
    credentials.revoke_secret(database, robot.id, "abc")
    assert credentials.find_refresh_token(database, [HASH]) is None


def test_a_refresh_token_ends_with_its_trusted_publisher(database: Database, robot: Principal) -> None:
    publisher = trusted_publishers.add(database, robot.id, ISSUER, {"sub": "1"})
    remember(database, robot, trusted_publisher_id=publisher)
    assert trusted_publishers.remove(database, robot.id, publisher)
    assert credentials.find_refresh_token(database, [HASH]) is None


def test_a_new_password_ends_what_the_old_one_is_remembered_by(database: Database) -> None:
    user = principals.create_user(database, "ada")
    credentials.add_secret(database, user.id, "laptop", "abc", OTHER_HASH)
    remember(database, user)
    credentials.add_refresh_token(database, OTHER_HASH, SignedIn(user, "secret", secret_id="abc"), soon())
    principals.set_password(database, user.id, "$argon2id$")
    assert credentials.find_refresh_token(database, [HASH]) is None
    assert credentials.find_refresh_token(database, [OTHER_HASH]) is not None


def test_a_token_of_an_issuer_is_used_once(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda _: credentials.use_token_once(database, ISSUER, "jti", soon()), range(8)))
    assert sorted(used) == [False] * 7 + [True]
    assert credentials.use_token_once(database, ISSUER, "another", soon()) is True
    assert credentials.use_token_once(database, "https://another.example", "jti", soon()) is True
    assert credentials.use_token_once(database, ISSUER, "\0\ud800" + "x" * 9000, soon()) is True


def test_what_has_expired_is_forgotten_in_batches(database: Database, robot: Principal) -> None:
    for number in range(5):
        credentials.use_token_once(database, ISSUER, f"old {number}", soon(-1))
        credentials.add_refresh_token(database, bytes([number]), SignedIn(robot, "secret"), soon(-1))
    credentials.use_token_once(database, ISSUER, "new", soon())
    remember(database, robot)
    assert [credentials.expire(database, 3) for _ in range(3)] == [6, 4, 0]
    assert credentials.use_token_once(database, ISSUER, "new", soon()) is False
    assert credentials.find_refresh_token(database, [HASH]) is not None
