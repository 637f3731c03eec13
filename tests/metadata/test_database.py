"""The pool gives each thread a connection that works, runs again what got in others' way, and says what failed."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functions.registry import telemetry
from functions.registry.metadata.content import repositories, tags
from functions.registry.metadata.db import STATEMENTS, Conflict, Database, MetadataUnavailable, Session, Statement
from functions.registry.metadata.driver import DriverError
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import (
    APP,
    OpenTransaction,
    push_image,
    query,
    set_grace,
    setting,
    value,
    wait_until,
    wait_until_blocked,
)
from tests.metadata.proxy import Proxy

PATIENCE = 60
NOBODY = RepositoryName("no/body")
PROCESS = "SELECT pg_backend_pid()"


def lock_row(session: Session, event: str) -> None:
    """Takes the lock of one row of a table that no other session of a test touches."""
    session._connection.run([("UPDATE gc_settings SET grace = grace WHERE event = :event", {"event": event})])


def fail(session: Session, sql: str) -> None:
    session._connection.run([(sql, {})])


def test_no_two_statements_have_one_name() -> None:
    with pytest.raises(ValueError, match="repositories_exists"):
        Statement("repositories_exists", int, "SELECT 1")
    assert STATEMENTS["repositories_exists"].sql != "SELECT 1"


def test_statements_are_counted_in_the_record_of_the_work_in_hand(database: Database) -> None:
    with telemetry.recording() as record:
        repositories.exists(database, APP)
        database.batch(repositories.creating(APP))
    assert record.statements == ["repositories_exists", "repositories_create_namespace", "repositories_create"]
    assert record.database_seconds > 0


def test_connections_are_used_again(proxy: Proxy) -> None:
    database = Database(proxy.url, size=8)
    for _ in range(5):
        repositories.exists(database, APP)
    assert proxy.accepted == 1
    database.close()


def test_there_are_never_more_connections_than_the_size_says(proxy: Proxy) -> None:
    database = Database(proxy.url, size=4)
    inside, release = threading.Semaphore(0), threading.Event()

    def work(session: Session) -> int:
        inside.release()
        assert release.wait(PATIENCE)
        return session.count(repositories._EXISTS(repository=APP))

    with ThreadPoolExecutor(6) as pool:
        working = [pool.submit(database.transaction, work) for _ in range(6)]
        try:
            assert all(inside.acquire(timeout=PATIENCE) for _ in range(2))
            assert not inside.acquire(timeout=0.05), "a third one came in, where two are kept for reads"
            assert repositories.exists(database, APP) is False
        finally:
            release.set()
        assert [done.result(PATIENCE) for done in working] == [0] * 6
    assert proxy.accepted == 3
    database.close()


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(database: Database, database_url: str) -> None:
    process = value(database, PROCESS)
    other = Database(database_url, size=1)
    query(other, "SELECT pg_terminate_backend(:process)", process=process)
    left = "SELECT count(*) FROM pg_stat_activity WHERE pid = :process"
    wait_until(lambda: value(other, left, process=process) == 0)
    assert repositories.exists(database, APP) is False
    assert value(database, PROCESS) != process
    other.close()


def test_a_connection_cut_in_the_middle_is_unavailable_and_the_next_statement_gets_a_new_one(proxy: Proxy) -> None:
    database = Database(proxy.url, size=1)
    repositories.exists(database, APP)
    proxy.cuts_answers = True
    with pytest.raises(MetadataUnavailable):
        repositories.exists(database, APP)
    with pytest.raises(MetadataUnavailable):
        repositories.exists(database, APP)
    proxy.cuts_answers = False
    assert repositories.exists(database, APP) is False
    assert proxy.accepted == 3
    database.close()


def test_a_session_ended_in_the_middle_is_unavailable(database: Database) -> None:
    with pytest.raises(MetadataUnavailable):
        database.transaction(lambda session: fail(session, "SELECT pg_terminate_backend(pg_backend_pid())"))
    assert repositories.exists(database, APP) is False


def test_what_can_not_be_reached_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        for url in (f"postgresql://postgres@/postgres?host={tmp_path}", f"postgresql://postgres@127.0.0.1:{port}/x"):
            database = Database(url, size=1)
            for _ in range(2):
                with pytest.raises(MetadataUnavailable):
                    repositories.exists(database, APP)


def test_a_server_that_has_no_connection_left_is_unavailable(database: Database, database_url: str) -> None:
    name = value(database, "SELECT CAST(current_database() AS text)")
    query(database, "DROP ROLE IF EXISTS guest")
    query(database, "CREATE ROLE guest LOGIN")
    query(database, f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    guest = Database(database_url.replace("postgres@", "guest@"), size=1)
    with pytest.raises(MetadataUnavailable):
        repositories.exists(guest, APP)
    query(database, f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    query(database, "DROP ROLE guest")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)", MetadataUnavailable),
        ("DO $$ BEGIN RAISE SQLSTATE '53300'; END $$", MetadataUnavailable),
        ("DO $$ BEGIN RAISE SQLSTATE '57P03'; END $$", MetadataUnavailable),
        ("DO $$ BEGIN RAISE SQLSTATE '08006'; END $$", MetadataUnavailable),
        ("INSERT INTO manifest_children VALUES (NULL, NULL)", Conflict),
        ("SELECT 1/0", DriverError),
    ],
)
def test_errors_become_what_the_caller_can_act_on(database: Database, sql: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        database.transaction(lambda session: session._connection.simple(sql))
    assert repositories.exists(database, APP) is False


def test_a_conflict_names_the_constraint_or_the_column(database: Database) -> None:
    def conflict_of(sql: str) -> str:
        with pytest.raises(Conflict) as caught:
            database.transaction(lambda session: fail(session, sql))
        return caught.value.constraint

    assert conflict_of("INSERT INTO tags (repository_id, name, manifest_id) VALUES (1, 'a', 7)").startswith("tags_")
    assert conflict_of("INSERT INTO manifest_children VALUES (NULL, 1)") == "parent_id"
    assert conflict_of("INSERT INTO gc_settings VALUES ('push', '1 hour')") == "gc_settings_pkey"


def test_a_lock_that_is_not_had_in_time_is_unavailable(database: Database, database_url: str) -> None:
    with OpenTransaction(database_url) as other:
        other.run("LOCK TABLE repositories IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MetadataUnavailable, match="55P03"):
            database.transaction(
                lambda session: session._connection.simple("SET LOCAL lock_timeout = 20; TABLE repositories")
            )


def test_a_transaction_is_whole_or_nothing(database: Database) -> None:
    class Interrupted(Exception):
        pass

    def work(session: Session) -> None:
        session.batch(repositories.creating(APP))
        raise Interrupted

    with pytest.raises(Interrupted):
        database.transaction(work)
    assert not repositories.exists(database, APP)
    database.transaction(lambda session: session.batch(repositories.creating(APP)))
    assert repositories.exists(database, APP)


def test_of_two_in_a_deadlock_one_is_run_again_and_both_succeed(impatient_database: Database) -> None:
    meeting = threading.Barrier(2, timeout=PATIENCE)
    runs: list[str] = []

    def crosswise(first: str, second: str) -> None:
        def work(session: Session) -> None:
            runs.append(first)
            lock_row(session, first)
            if runs.count(first) == 1:
                meeting.wait()
            lock_row(session, second)

        impatient_database.transaction(work)

    with ThreadPoolExecutor() as pool:
        both = [pool.submit(crosswise, "push", "lease"), pool.submit(crosswise, "lease", "push")]
        for done in both:
            done.result(PATIENCE)
    assert len(runs) == 3


def test_a_serialization_failure_is_run_again_and_given_up_after_the_third(database_url: str) -> None:
    with setting(database_url, "default_transaction_isolation", "repeatable read"):
        database, other = Database(database_url, size=1), Database(database_url, size=1)
        runs: list[int] = []

        def work(session: Session, disturbed: int) -> None:
            session.count(repositories._EXISTS(repository=APP))  # from here on it sees the past
            runs.append(len(runs))
            if len(runs) <= disturbed:
                set_grace(other, push=len(runs))
            lock_row(session, "push")

        database.transaction(lambda session: work(session, disturbed=2))
        assert runs == list(range(3))
        runs.clear()
        with pytest.raises(MetadataUnavailable, match="40001"):
            database.transaction(lambda session: work(session, disturbed=3))
        assert runs == list(range(3))
        database.close()
        other.close()


def test_a_batch_in_a_deadlock_is_run_again(database: Database, database_url: str) -> None:
    for repository in (APP, NOBODY):
        push_image(database, repository, "one")
    database.close()  # a setting of the database is read when a session starts
    calls = [tags._DELETE(repository=repository, tag=Tag("one")) for repository in (APP, NOBODY)]
    with (
        setting(database_url, "deadlock_timeout", "500ms"),
        OpenTransaction(database_url) as other,
        ThreadPoolExecutor() as pool,
    ):
        other.run("SET deadlock_timeout = '1min'")  # so that the batch is the one to give way
        tags.delete(other, NOBODY, Tag("one"))
        batch = pool.submit(database.batch, calls)
        wait_until_blocked(database)
        # It holds the tag of APP: each now waits for the other.
        assert pool.submit(tags.delete, other, APP, Tag("one")).result(PATIENCE) is True
        other.commit()
        assert [outcome.count for outcome in batch.result(PATIENCE)] == [0, 0]
