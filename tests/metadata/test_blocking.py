"""What waits for the locks of others holds up only its like, for seconds, and is then told to come again."""

from __future__ import annotations

import importlib
import pkgutil
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from functions.registry import metadata, telemetry
from functions.registry.metadata.content import blobs, manifests, moves, repositories
from functions.registry.metadata.db import STATEMENTS, Database, MetadataUnavailable, Session
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import APP, OTHER, OpenTransaction, push_image, put, query, value, wait_until_blocked

for _module in pkgutil.walk_packages(metadata.__path__, f"{metadata.__name__}."):
    importlib.import_module(_module.name)

PATIENCE = 60
# They refuse, or hold for the transaction alone.
_HARMLESS = {"refuse", "set_config", "random", "clock_timestamp"}
# They write, but nothing that is held for long; each has a reason to be as quick as a read.
_BRIEF = {
    "audit_write",
    "console_links_add",
    "console_links_take",
    "console_sessions_close",
    "console_sessions_open",
    "console_sessions_use",
    "credentials_add_refresh_token",
    "credentials_find_secret",
    "credentials_use_token",
    "failures_attempt",
    "failures_succeed",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Gives the database as the product has it."""
    with closing(Database(database_url, size=8)) as database:
        yield database


def test_a_statement_that_writes_or_locks_is_not_taken_for_a_read(database: Database) -> None:
    """The database knows the functions that it calls: none that isn't volatile can write or lock."""
    volatile = {name for (name,) in query(database, "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v'")}
    for name, statement in STATEMENTS.items():
        if not statement.may_block and name not in _BRIEF:
            called = set(re.findall(r"\b([a-z_]+) *\(", statement.sql))
            assert called & volatile <= _HARMLESS, name
            assert not re.search(
                r"\b(INSERT|UPDATE|DELETE|MERGE|LOCK|FOR (NO )?(KEY )?(SHARE|UPDATE))\b", statement.sql
            )


def test_what_is_brief_touches_no_content() -> None:
    assert {name for name, statement in STATEMENTS.items() if statement.is_brief} == _BRIEF
    for name in _BRIEF:
        assert not re.search(r"\b(repositories|manifests|tags|repository_blobs|blobs|uploads)\b", STATEMENTS[name].sql)


def test_what_pulls_and_signs_in_may_have_every_connection() -> None:
    pulls = (
        "manifests_get_by_tag",
        "manifests_get_by_digest",
        "manifests_head_by_tag",
        "blobs_get",
        "blobs_look",
        "tags_list",
    )
    sign_ins = ("credentials_find_secret", "credentials_find_password", "failures_attempt", "grants_roles")
    for name in (*pulls, *sign_ins, "schema_applied", "referrers_list", "repositories_list"):
        assert not STATEMENTS[name].may_block, name
    # They renew a lease, and wait for whoever deletes what they confirm.
    assert STATEMENTS["manifests_confirm"].may_block
    assert STATEMENTS["blobs_confirm"].may_block


@pytest.mark.parametrize("pushes", [1, 6, 8, 40])
def test_pushes_that_wait_for_a_lock_hold_up_no_pull(database: Database, database_url: str, pushes: int) -> None:
    image = push_image(database, APP, "v1")
    push_image(database, OTHER, "v1")
    refused: list[float] = []

    def push() -> None:
        began = time.monotonic()
        with pytest.raises(MetadataUnavailable):
            put(database, APP, image.manifest, "v1")
        refused.append(time.monotonic() - began)

    with OpenTransaction(database_url) as other, ThreadPoolExecutor(pushes) as threads:
        other.run("SELECT 1 FROM repositories WHERE name = :name FOR UPDATE", name=APP)
        running = [threads.submit(push) for _ in range(pushes)]
        with closing(Database(database_url, size=1)) as outside:
            wait_until_blocked(outside, min(pushes, 6))
        while not all(each.done() for each in running):
            began = time.monotonic()
            assert manifests.get(database, OTHER, Tag("v1"))
            assert blobs.get(database, OTHER, image.digest) is None
            assert time.monotonic() - began < 2
            time.sleep(0.02)
        for each in running:
            each.result()
    # A connection is waited for, then the lock.
    assert max(refused) < 2 + 3 + 2


def test_a_write_waits_three_seconds_for_a_lock_and_a_move_longer(database: Database, database_url: str) -> None:
    waits: list[str] = []

    def note(session: Session) -> None:
        waits.append(session._connection.run([("SELECT current_setting('lock_timeout')", {})])[0].rows[0][0])

    database.transaction(note)
    database.transaction(note, is_long=True)
    database.transaction(note)
    with closing(Database(database_url, size=1, lock_seconds=10)) as collector:
        collector.transaction(note)
    assert waits == ["3s", "10s", "3s", "10s"]
    push_image(database, APP, "v1")
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as threads:
        other.run("SELECT 1 FROM repositories WHERE name = :name FOR UPDATE", name=APP)
        new = RepositoryName("team/new")
        moving: Future[moves.Moved] = threads.submit(moves.move, database, APP, new, with_below=False, dry_run=False)
        time.sleep(4)
        other.rollback()
        assert moving.result(PATIENCE).repositories == 1


def test_time_without_a_connection_is_told(database_url: str) -> None:
    with closing(Database(database_url, size=1, wait_seconds=0.3)) as database:
        repositories.exists(database, APP)
        inside, release = threading.Event(), threading.Event()

        def hold(_: Session) -> None:
            inside.set()
            release.wait(PATIENCE)

        with ThreadPoolExecutor() as threads, telemetry.recording() as record:
            held = threads.submit(database.transaction, hold)
            assert inside.wait(PATIENCE)
            with pytest.raises(MetadataUnavailable, match="no connection became free"):
                repositories.exists(database, APP)
            release.set()
            held.result(PATIENCE)
            assert 0.3 <= record.pool_seconds < PATIENCE
            before = record.pool_seconds
            repositories.exists(database, APP)
            assert record.pool_seconds - before < 0.3


def test_where_the_server_has_no_room_one_of_ours_is_waited_for(database: Database, database_url: str) -> None:
    name = value(database, "SELECT CAST(current_database() AS text)")
    role = f"guest_of_{name}"
    query(database, f"DROP ROLE IF EXISTS {role}")
    query(database, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    inside, release = threading.Event(), threading.Event()

    def hold(_: Session) -> None:
        inside.set()
        release.wait(PATIENCE)

    def ask(guest: Database) -> int:
        return guest.transaction(lambda session: int(session._connection.run([("SELECT 7", {})])[0].rows[0][0]))

    with (
        closing(Database(database_url.replace("postgres@", f"{role}@"), size=8)) as guest,
        ThreadPoolExecutor() as threads,
    ):
        held = threads.submit(guest.transaction, hold)
        assert inside.wait(PATIENCE)
        asking = [threads.submit(ask, guest) for _ in range(3)]
        time.sleep(0.5)
        assert not any(each.done() for each in asking), [each.exception() for each in asking if each.done()]
        release.set()
        held.result(PATIENCE)
        assert [each.result(PATIENCE) for each in asking] == [7, 7, 7]
        inside.clear()
        release.clear()
        held = threads.submit(guest.transaction, hold)
        assert inside.wait(PATIENCE)
        began = time.monotonic()
        with pytest.raises(MetadataUnavailable, match="53300"):
            ask(guest)
        assert 1 < time.monotonic() - began < 5
        release.set()
        held.result(PATIENCE)
    query(database, f"DROP ROLE {role}")
