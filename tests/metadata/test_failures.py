"""Whoever guesses waits longer and longer; others, and the owner elsewhere, do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.registry.metadata import failures
from functions.registry.metadata.db import Database
from functions.registry.metadata.failures import Keys
from tests.metadata.build import query, value

PEPPER = b"pepper"
GUESSED = Keys.of(PEPPER, "ada", "192.0.2.1")
ELSEWHERE = Keys.of(PEPPER, "ada", "198.51.100.7")
NEIGHBOUR = Keys.of(PEPPER, "bob", "192.0.2.1")


def fail(database: Database, times: int, keys: Keys = GUESSED) -> None:
    for _ in range(times):
        failures.count_failure(database, keys)


def pass_time(database: Database, seconds: int) -> None:
    query(
        database, "UPDATE sign_in_failures SET last_failed_at = last_failed_at - make_interval(secs => :s)", s=seconds
    )


@pytest.mark.parametrize(
    ("times", "seconds"), [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (12, 128), (14, 300), (60, 300)]
)
def test_the_delay_doubles_after_a_few_failures(database: Database, times: int, seconds: int) -> None:
    fail(database, times)
    assert failures.delay(database, GUESSED) == seconds


def test_a_delay_runs_out(database: Database) -> None:
    fail(database, 8)
    pass_time(database, 5)
    assert failures.delay(database, GUESSED) == 3
    pass_time(database, 3)
    assert failures.delay(database, GUESSED) == 0
    fail(database, 1)
    assert failures.delay(database, GUESSED) == 16


def test_the_owner_elsewhere_waits_a_second_at_most(database: Database) -> None:
    fail(database, 40)
    assert failures.delay(database, ELSEWHERE) == 1
    pass_time(database, 1)
    assert failures.delay(database, ELSEWHERE) == 0
    assert failures.delay(database, GUESSED) == 299


def test_an_address_waits_after_many_failures_whomever_it_guesses(database: Database) -> None:
    for number in range(49):
        fail(database, 1, Keys.of(PEPPER, f"user {number}", "192.0.2.1"))
    assert failures.delay(database, NEIGHBOUR) == 0
    for number in range(4):
        fail(database, 1, Keys.of(PEPPER, f"another {number}", "192.0.2.1"))
    assert failures.delay(database, NEIGHBOUR) == 8


def test_a_success_forgets_the_pair_and_the_user_but_not_the_address(database: Database) -> None:
    fail(database, 55)
    failures.forget(database, ELSEWHERE)
    assert failures.delay(database, ELSEWHERE) == 0
    failures.forget(database, GUESSED)
    assert failures.delay(database, GUESSED) == failures.delay(database, NEIGHBOUR) == 32


def test_an_hour_later_all_is_forgotten(database: Database) -> None:
    fail(database, 20)
    pass_time(database, 3601)
    assert failures.delay(database, GUESSED) == 0
    fail(database, 1)
    assert failures.delay(database, GUESSED) == 0
    assert value(database, "SELECT max(failures) FROM sign_in_failures") == 1


def test_old_rows_go_in_batches(database: Database) -> None:
    for number in range(5):
        fail(database, 1, Keys.of(PEPPER, f"user {number}", f"address {number}"))
    pass_time(database, 3601)
    fail(database, 1)
    assert [failures.expire(database, 10) for _ in range(3)] == [10, 5, 0]
    assert value(database, "SELECT count(*) FROM sign_in_failures") == 3


def test_failures_at_once_are_all_counted(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda keys: failures.count_failure(database, keys), [GUESSED, NEIGHBOUR] * 20))
    assert value(database, "SELECT max(failures) FROM sign_in_failures") == 40


def test_the_table_tells_nobody_who_they_are(database: Database) -> None:
    assert Keys.of(PEPPER, "ada", "192.0.2.1") == GUESSED
    assert not {*GUESSED.all()} & {*Keys.of(b"another", "ada", "192.0.2.1").all()}
    assert len({*GUESSED.all(), *ELSEWHERE.all(), *NEIGHBOUR.all()}) == 7
    assert Keys.of(PEPPER, "a\0b", "c").pair != Keys.of(PEPPER, "a", "b\0c").pair
    fail(database, 1, Keys.of(PEPPER, "\0\ud800", "unknown"))
    assert value(database, "SELECT relpersistence FROM pg_class WHERE relname = 'sign_in_failures'") == "u"
