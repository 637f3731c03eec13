"""Whoever guesses waits longer and longer; others, and the owner elsewhere, do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.registry.metadata.access import failed_sign_ins
from functions.registry.metadata.access.failed_sign_ins import Keys
from functions.registry.metadata.db import Call, Database, Session
from tests.metadata.build import deadlocks, query, value

PEPPER = b"pepper"
GUESSED = Keys.of(PEPPER, "ada", "192.0.2.1")
ELSEWHERE = Keys.of(PEPPER, "ada", "198.51.100.7")
NEIGHBOUR = Keys.of(PEPPER, "bob", "192.0.2.1")


COUNT = """
    INSERT INTO sign_in_failures AS known (key, failures, last_failed_at)
    SELECT key, :times, now() FROM unnest(CAST(:keys AS bytea[])) AS failed (key) ORDER BY key
    ON CONFLICT (key) DO UPDATE
       SET failures = :times
                      + CASE WHEN known.last_failed_at > now() - interval '1 hour' THEN known.failures ELSE 0 END,
           last_failed_at = now()
"""


class Undone(Exception):
    """args[0] is what was found."""


def fail(database: Database, times: int, keys: Keys = GUESSED) -> None:
    """So often, without the waiting in between."""
    if times:
        query(database, COUNT, keys=keys.all(), times=times)


def delay(database: Database, keys: Keys) -> int:
    """What the next attempt would have to wait. Nothing is counted."""

    def work(session: Session) -> None:
        call: Call[Any] = failed_sign_ins._ATTEMPT(
            keys=keys.all(), free=failed_sign_ins._FREE, longest=failed_sign_ins._LONGEST
        )
        raise Undone(session.one_or_none(call))

    with pytest.raises(Undone) as undone:
        database.transaction(work)
    seconds: int = undone.value.args[0]
    return seconds


def pass_time(database: Database, seconds: int) -> None:
    query(
        database, "UPDATE sign_in_failures SET last_failed_at = last_failed_at - make_interval(secs => :s)", s=seconds
    )


@pytest.mark.parametrize(
    ("times", "seconds"), [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (12, 128), (14, 300), (60, 300)]
)
def test_the_delay_doubles_after_a_few_failures(database: Database, times: int, seconds: int) -> None:
    fail(database, times)
    assert delay(database, GUESSED) == seconds


def test_a_delay_runs_out(database: Database) -> None:
    fail(database, 8)
    pass_time(database, 5)
    assert delay(database, GUESSED) == 3
    pass_time(database, 3)
    assert delay(database, GUESSED) == 0
    fail(database, 1)
    assert delay(database, GUESSED) == 16


def test_the_owner_elsewhere_waits_a_second_at_most(database: Database) -> None:
    fail(database, 40)
    assert delay(database, ELSEWHERE) == 1
    pass_time(database, 1)
    assert delay(database, ELSEWHERE) == 0
    assert delay(database, GUESSED) == 299


def test_an_address_waits_after_many_failures_whomever_it_guesses(database: Database) -> None:
    for number in range(49):
        fail(database, 1, Keys.of(PEPPER, f"user {number}", "192.0.2.1"))
    assert delay(database, NEIGHBOUR) == 0
    for number in range(4):
        fail(database, 1, Keys.of(PEPPER, f"another {number}", "192.0.2.1"))
    assert delay(database, NEIGHBOUR) == 8


def test_a_success_forgets_the_pair_and_the_user_but_not_the_address(database: Database) -> None:
    fail(database, 55)
    failed_sign_ins.succeed(database, ELSEWHERE)
    assert delay(database, ELSEWHERE) == 0
    failed_sign_ins.succeed(database, GUESSED)
    assert delay(database, GUESSED) == delay(database, NEIGHBOUR) == 16, "but for the attempt that was right"


def test_an_hour_later_all_is_forgotten(database: Database) -> None:
    fail(database, 20)
    pass_time(database, 3601)
    assert delay(database, GUESSED) == 0
    fail(database, 1)
    assert delay(database, GUESSED) == 0
    assert value(database, "SELECT max(failures) FROM sign_in_failures") == 1


def test_old_rows_go_in_batches(database: Database) -> None:
    for number in range(5):
        fail(database, 1, Keys.of(PEPPER, f"user {number}", f"address {number}"))
    pass_time(database, 3601)
    fail(database, 1)
    assert [failed_sign_ins.expire(database, 10) for _ in range(3)] == [10, 5, 0]
    assert value(database, "SELECT count(*) FROM sign_in_failures") == 3


def test_attempts_at_once_are_counted_before_they_are_looked_at(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: failed_sign_ins.attempt(database, GUESSED), range(40)))
    assert sum(seconds == 0 for seconds in waits) == 5
    assert value(database, "SELECT max(failures) FROM sign_in_failures") == 5


def test_attempts_of_many_at_once_wait_for_no_other_crosswise(database: Database) -> None:
    before = deadlocks(database)
    others = [Keys.of(PEPPER, f"user {number % 4}", f"address {number % 3}") for number in range(40)]

    def sign_in(keys: Keys) -> None:
        failed_sign_ins.attempt(database, keys)
        failed_sign_ins.succeed(database, keys)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign_in, others))
    assert deadlocks(database) == before


def test_who_is_no_name_counts_for_the_address_alone(database: Database) -> None:
    waits = [failed_sign_ins.attempt_from(database, GUESSED) for _ in range(60)]
    assert waits[:50] == [0] * 50
    assert all(waits[50:])
    assert delay(database, NEIGHBOUR) == 1
    assert delay(database, ELSEWHERE) == 0


def test_the_table_tells_nobody_who_they_are(database: Database) -> None:
    assert Keys.of(PEPPER, "ada", "192.0.2.1") == GUESSED
    assert not {*GUESSED.all()} & {*Keys.of(b"another", "ada", "192.0.2.1").all()}
    assert len({*GUESSED.all(), *ELSEWHERE.all(), *NEIGHBOUR.all()}) == 7
    assert Keys.of(PEPPER, "a\0b", "c").pair != Keys.of(PEPPER, "a", "b\0c").pair
    fail(database, 1, Keys.of(PEPPER, "\0\ud800", "unknown"))
    assert (
        value(database, "SELECT relpersistence FROM pg_class WHERE oid = CAST('sign_in_failures' AS regclass)") == "u"
    )
