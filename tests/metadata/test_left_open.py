"""What a test leaves open, as one that fails does, is nothing to the next; what it leaves in order is used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from local.postgres import Postgres
from tests.conftest import _TEMPLATE, SharedDatabase, administer
from tests.metadata.build import query, value, wait_until
from tests.sessions import SESSIONS

_PROCESS = "SELECT pg_backend_pid()"
# Imports wait until no older transaction is left, in whichever database of the server.
_OLDEST = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NEW = "SELECT pg_current_xact_id()::text::bigint"


@pytest.fixture
def other_url(postgres: Postgres) -> Iterator[str]:
    """A database that no test empties, as the races have."""
    administer(postgres, f"CREATE DATABASE not_emptied TEMPLATE {_TEMPLATE}")
    yield postgres.url("not_emptied")
    administer(postgres, "DROP DATABASE not_emptied WITH (FORCE)")


def oldest(observer: Connection) -> int:
    ((number,),) = observer.run([(_OLDEST, {})])[0].rows
    return int(number)


@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["here", "in another database"])
def test_a_transaction_that_a_test_leaves_open_ends_with_it(
    request: pytest.FixtureRequest, postgres: Postgres, database_url: str, other_url: str, is_elsewhere: bool
) -> None:
    shared: SharedDatabase = request.getfixturevalue("_shared_database")
    # Whoever looks is in neither: all sessions with the tests' own database end.
    with (
        closing(Connection(postgres.url("postgres"))) as observer,
        closing(Connection(other_url if is_elsewhere else database_url)) as left,
    ):
        left.simple("BEGIN")
        ((mine,),) = left.run([(_NEW, {})])[0].rows
        assert oldest(observer) <= mine
        shared.empty()
        wait_until(lambda: oldest(observer) > mine)


def test_a_session_that_is_left_in_order_is_as_new_for_the_next(database_url: str) -> None:
    # Of a kind of their own: those that other tests have left may be old, and several.
    first, second = (Database(database_url, size=12, wait_seconds=30, lock_seconds=9) for _ in range(2))
    SESSIONS.lend(first)
    process = value(first, _PROCESS)
    query(first, "SET timezone = 'Asia/Tokyo'")
    query(first, "CREATE TEMPORARY TABLE tags AS SELECT 1")
    query(first, "SELECT pg_advisory_lock(7)")
    SESSIONS.close(first)
    SESSIONS.lend(second)
    assert value(second, _PROCESS) == process
    assert value(second, "SELECT current_setting('timezone')") == "UTC"
    assert value(second, "SELECT count(*) FROM tags") == 0
    assert value(second, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    SESSIONS.close(second)


def test_a_session_that_is_broken_is_not_kept(database_url: str) -> None:
    broken = Database(database_url, size=1, lock_seconds=7)
    process = value(broken, _PROCESS)
    with closing(Connection(database_url)) as other:
        other.run([("SELECT pg_terminate_backend(:process, 10000)", {"process": process})])
    SESSIONS.close(broken)
    assert process not in SESSIONS.processes(database_url)
