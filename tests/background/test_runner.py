"""A background migration goes through its table batch by batch: each row once, whatever fails or waits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from functions.migrate import work
from functions.migrate.background import pace, runner
from functions.migrate.background.jobs import JOBS
from functions.migrate.background.runner import Runner
from functions.registry.metadata.background import batches
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.background.building import failing, finish, migration, old_tags, pending
from tests.metadata.build import push_image, query, value
from tests.support import Registry

# A column of the test's own, which a trigger counts in.
COUNT = """
    CREATE TABLE touched (repository_id bigint, name text COLLATE "C");
    CREATE FUNCTION note_touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO touched VALUES (NEW.repository_id, NEW.name);
        RETURN NEW;
    END $$;
    CREATE TRIGGER note_touched AFTER UPDATE OF subject ON tags FOR EACH ROW EXECUTE FUNCTION note_touched();
"""
UNCOUNT = "DROP TABLE touched; DROP FUNCTION note_touched CASCADE"


@pytest.fixture
def touched(database_url: str) -> Iterator[None]:
    with closing(Connection(database_url)) as connection:
        connection.simple(COUNT)
        yield
        connection.simple(UNCOUNT)


def assert_each_once(database: Database, signatures: int) -> None:
    assert value(database, "SELECT count(*) FROM touched") == signatures
    assert value(database, "SELECT count(DISTINCT (repository_id, name)) FROM touched") == signatures


@pytest.mark.usefixtures("touched")
def test_a_table_is_gone_through_once(database: Database, database_url: str) -> None:
    total = old_tags(database_url)
    assert migration(database, "state, rows_done, last = start") == ("active", 0, True)
    finish(Runner(database, hurries=True))
    assert pending(database) == 0
    assert_each_once(database, 5000)
    assert migration(database, "state, rows_done, total, last = stop") == ("finished", total, total, True)
    assert migration(database, "started_at <= worked_at, worked_at <= finished_at, rate > 0") == (True, True, True)


def test_batches_find_their_size(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pace.next_size(1000, 0.01) == 1251
    assert pace.next_size(1, 0.01) == 2
    assert pace.next_size(1000, 0.1) == 1000
    assert pace.next_size(1001, 0.3) == 500
    assert pace.next_size(1, 5) == 1
    assert pace.next_size(50_000, 0.01) == pace.MOST_ROWS
    old_tags(database_url)
    monkeypatch.setattr(pace, "AIM_SECONDS", 0.0)
    worker = Runner(database)
    assert [worker.work(time.monotonic() + 30) and migration(database, "batch")[0] for _ in range(4)] == [
        500,
        250,
        125,
        62,
    ]


def test_it_rests_after_a_batch_but_for_somebody_who_waits(database: Database, database_url: str) -> None:
    old_tags(database_url)
    assert Runner(database).work(time.monotonic() + 30)
    assert migration(database, "due_at > worked_at") == (True,)
    query(database, "UPDATE background_migrations SET due_at = now() + interval '1 hour'")
    assert Runner(database).work(time.monotonic() + 30, waits=False) == 0
    assert Runner(database).work(time.monotonic() + 0.1) == 0
    query(database, "UPDATE background_migrations SET due_at = now()")
    assert Runner(database, hurries=True).work(time.monotonic() + 30)
    assert migration(database, "due_at - worked_at < interval '1 ms'") == (True,)
    query(database, "UPDATE background_migrations SET rests = false")
    assert Runner(database).work(time.monotonic() + 30)
    assert migration(database, "due_at - worked_at < interval '1 ms'") == (True,)


@pytest.mark.usefixtures("touched")
def test_several_at_once_do_each_row_once(database: Database, database_url: str) -> None:
    old_tags(database_url)
    query(database, "UPDATE background_migrations SET batch = 100")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: finish(Runner(database, hurries=True)), range(3)))
    assert pending(database) == 0
    assert_each_once(database, 5000)


def test_what_is_pushed_meanwhile_is_right_already(database: Database, database_url: str) -> None:
    old_tags(database_url)
    repository, subject = RepositoryName("old/r1"), Digest.of(b"an image")
    names = [f"sha256-{subject.hex}{suffix}" for suffix in ("", ".sig", ".att", ".sbom")]
    push_image(
        database, repository, *names, "v1", f"{names[0]}.other", f"sha256-{subject.hex[1:]}", f"x{names[0]}"[:99]
    )
    found = dict(query(database, "SELECT name, subject FROM tags WHERE subject IS NOT NULL"))
    assert found == dict.fromkeys(names, subject.to_bytes())
    finish(Runner(database, hurries=True))
    assert pending(database) == 0


def test_a_paused_one_is_left_alone(database: Database, database_url: str) -> None:
    old_tags(database_url)
    query(database, "UPDATE background_migrations SET state = 'paused'")
    assert Runner(database).work(time.monotonic() + 30) == 0
    assert migration(database, "rows_done") == (0,)


def test_a_row_that_cannot_be_done_is_passed_by_and_told(database: Database, database_url: str) -> None:
    total = old_tags(database_url)
    jobs = failing(lambda names: "v77" in names, lambda: ValueError("no such tag ever"))
    finish(Runner(database, hurries=True, jobs=jobs))
    assert migration(database, "state, rows_done") == ("failed", total)
    failures = query(database, "SELECT key ->> 1, error FROM background_failures ORDER BY key")
    assert failures == [["v77", "ValueError: no such tag ever"]] * 10
    assert pending(database) == 0  # it has none of the subjects
    query(database, "UPDATE background_migrations SET state = 'active', retried_at = now()")
    finish(Runner(database, hurries=True, jobs=jobs))
    assert migration(database, "state, batch > 1") == ("failed", True)
    assert (
        value(database, "SELECT count(*) FROM background_failures WHERE failed_at > now() - interval '1 minute'") == 10
    )
    query(database, "UPDATE background_migrations SET state = 'active', retried_at = now()")
    finish(Runner(database, hurries=True))
    assert migration(database, "state, rows_done") == ("finished", total)
    assert value(database, "SELECT count(*) FROM background_failures") == 0


def test_what_the_database_refuses_is_told_in_its_words(database: Database, database_url: str) -> None:
    total = old_tags(database_url, plain=1000, signatures=20)
    with closing(Connection(database_url)) as owner:
        owner.simple(
            """
            CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'not %', left(NEW.name, 10);
            END $$;
            CREATE TRIGGER refuse_one BEFORE UPDATE OF subject ON tags FOR EACH ROW
              WHEN (NEW.name LIKE 'sha256-b407%' AND NEW.repository_id % 10 = 3) EXECUTE FUNCTION refuse_one();
            """
        )
        finish(Runner(database, hurries=True))
        owner.simple("DROP FUNCTION refuse_one CASCADE")
    assert migration(database, "state, rows_done") == ("failed", total)
    assert query(database, "SELECT error FROM background_failures") == [["not sha256-b40"]]
    assert pending(database) == 1


def test_one_that_fails_for_all_stops(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old_tags(database_url)
    monkeypatch.setattr(batches, "MOST_FAILURES", 5)
    jobs = failing(lambda _: True, lambda: ValueError("wrong"))
    finish(Runner(database, hurries=True, jobs=jobs))
    assert migration(database, "state, rows_done") == ("failed", 5)
    assert value(database, "SELECT count(*) FROM background_failures") == 5


def test_what_a_job_lacks_in_the_schema_keeps_nothing_else(database: Database, database_url: str) -> None:
    total = old_tags(database_url)
    with closing(Connection(database_url)) as connection:
        connection.simple("ALTER FUNCTION tag_subject RENAME TO tag_subject_away")
        worker = Runner(database)
        assert worker.work(time.monotonic() + 30) == 1
        assert migration(database, "batch") == (500,)
        connection.simple("ALTER FUNCTION tag_subject_away RENAME TO tag_subject")
    finish(Runner(database, hurries=True))
    assert migration(database, "state, rows_done") == ("finished", total)


def test_a_database_that_goes_away_is_no_failure(database: Database, database_url: str) -> None:
    old_tags(database_url)
    jobs = failing(lambda _: True, lambda: MetadataUnavailable("gone"))
    with pytest.raises(MetadataUnavailable):
        Runner(database, jobs=jobs).work(time.monotonic() + 30)
    assert migration(database, "batch, rows_done, state") == (1000, 0, "active")


def test_a_lock_that_is_not_had_is_no_failure(database: Database, database_url: str) -> None:
    """Half of it, later, without end."""
    total = old_tags(database_url)
    worker = Runner(database)
    with closing(Connection(database_url)) as other:
        other.simple("BEGIN; SELECT FROM tags WHERE name LIKE 'sha256%' FOR UPDATE")
        for size in (500, 250, 125):
            began = time.monotonic()
            assert worker.work(began + 0.5, waits=False) == 0
            assert migration(database, "batch, waits_for, due_at > now()") == (size, "locks", True)
            query(database, "UPDATE background_migrations SET due_at = now()")
        query(database, "UPDATE background_migrations SET batch = 1")
        assert worker.work(time.monotonic() + 0.5, waits=False) == 0
        assert migration(database, "batch, rows_done") == (1, 0)
        other.simple("ROLLBACK")
    assert value(database, "SELECT count(*) FROM background_failures") == 0
    query(database, "UPDATE background_migrations SET due_at = now()")
    finish(Runner(database, hurries=True))
    assert migration(database, "state, rows_done, waits_for") == ("finished", total, None)


def test_nobody_waits_for_a_batch_longer_than_twice_its_aim(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each of several locks is had in time, all of them together may not be."""
    old_tags(database_url)
    monkeypatch.setattr(batches, "LONGEST_MILLISECONDS", 50)
    with closing(Connection(database_url)) as other:
        other.simple("BEGIN; SELECT FROM tags WHERE name LIKE 'sha256%' FOR UPDATE")
        assert Runner(database).work(time.monotonic() + 0.5, waits=False) == 0
        assert migration(database, "batch, waits_for") == (500, "locks")
        other.simple("ROLLBACK")


def test_a_late_standby_and_many_who_wait_stop_it(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_tags(database_url)
    monkeypatch.setattr(runner, "_PATIENCE_SECONDS", 0.2)
    worker = Runner(database)
    with closing(Connection(database_url)) as owner:
        owner.simple("ALTER FUNCTION late_standbys RENAME TO late_standbys_away")
        owner.simple(
            "CREATE FUNCTION late_standbys(double precision, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'"
        )
        try:
            assert worker.work(time.monotonic() + 30) == 0
            assert migration(database, "waits_for, rows_done") == ("standbys", 0)
        finally:
            owner.simple("DROP FUNCTION late_standbys")
            owner.simple("ALTER FUNCTION late_standbys_away RENAME TO late_standbys")
    monkeypatch.setattr(pace, "_MANY_WAITING", -1)
    assert worker.work(time.monotonic() + 30) == 0
    assert migration(database, "waits_for, rows_done") == ("locks", 0)
    monkeypatch.undo()
    assert worker.work(time.monotonic() + 30) == 1
    assert migration(database, "waits_for, rows_done") == (None, 1000)


def test_one_that_this_release_does_not_know_waits_for_another(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old_tags(database_url)
    query(database, "UPDATE background_migrations SET created_at = now() - interval '2 hours'")
    assert Runner(database, jobs={}).work(time.monotonic() + 30) == 0
    assert migration(database, "waits_for") == ("release",)
    assert '"a background migration is stuck","name":"tag_subjects","why":"release","hours":2.0' in (
        capsys.readouterr().out
    )


def test_the_function_work_goes_on_with_it_and_tells_how_far_it_is(
    registry: Registry, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    total = old_tags(database_url)
    query(registry.services.database, "UPDATE background_migrations SET rests = false")
    assert work.run(registry.services) > 1
    assert migration(registry.services.database, "state, rows_done") == ("finished", total)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["message"] == "background migration"]
    assert (told["name"], told["state"], told["percent"]) == ("tag_subjects", "finished", 100)
    assert work.run(registry.services) == 0


def test_a_small_table_is_done_when_its_migration_is_registered(database: Database) -> None:
    """So fresh installations never wait."""
    query(
        database, "SELECT register_background_migration('none', 'tags', '{repository_id,name}', '[0, \"\"]', 'SELECT')"
    )
    assert migration(database, "state, total, last = start, finished_at IS NOT NULL", "none") == (
        "finished",
        0,
        True,
        True,
    )
    assert Runner(database).work(time.monotonic() + 30) == 0


def test_every_job_is_registered_by_the_schema(registered: list[str]) -> None:
    assert set(JOBS) <= set(registered)
