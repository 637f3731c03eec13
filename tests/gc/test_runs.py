"""GC runs that go wrong in the database, run out of time, or run at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest

from functions.gc import run as runs
from functions.gc.run import run
from functions.registry.events.trigger import Trigger, is_trigger
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.oci.digest import Digest
from local.guard import choose_port
from tests.contract.pubsub_support import Project
from tests.gc.conftest import collect, execute, garbage, rows, run_at_once
from tests.gc.watch import Store, logged, select
from tests.support import Registry

pytest_plugins = ["tests.contract.pubsub_fixtures"]


def test_without_a_database_the_run_fails_so_that_its_message_comes_again(hasty: Registry) -> None:
    nowhere = Database(f"postgresql://postgres@127.0.0.1:{choose_port(0)}/none", 1)
    with pytest.raises(MetadataUnavailable):
        run(replace(hasty.services, database=nowhere))


POISONS = {
    "manifest": "CREATE TABLE poison AS SELECT id FROM manifests ORDER BY id OFFSET 1 LIMIT 1;"
    "ALTER TABLE poison ADD CONSTRAINT poisoned FOREIGN KEY (id) REFERENCES manifests",
    "link": "CREATE TABLE poison AS SELECT repository_id, digest FROM repository_blobs ORDER BY digest LIMIT 1;"
    "ALTER TABLE poison ADD CONSTRAINT poisoned FOREIGN KEY (repository_id, digest) REFERENCES repository_blobs",
    "blob": "CREATE TABLE poison AS SELECT digest FROM blobs ORDER BY digest OFFSET 1 LIMIT 1;"
    "ALTER TABLE poison ADD CONSTRAINT poisoned FOREIGN KEY (digest) REFERENCES blobs",
}


@pytest.fixture
def poisonable(hasty: Registry) -> Iterator[Registry]:
    """The database is shared: what a test adds to its schema goes again."""
    yield hasty
    execute(hasty, "DROP TABLE IF EXISTS poison")


@pytest.mark.parametrize("level", POISONS)
def test_a_review_that_fails_is_put_off_and_the_queue_goes_on(
    poisonable: Registry, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are due at the same instant: which one failed must not be guessed."""
    for _ in range(5):
        poisonable.push_image("a/b")
    execute(poisonable, POISONS[level])
    due = "UPDATE {}_reviews SET review_after = now() - interval '1 hour'"
    for queue in ("manifest", "link"):
        execute(poisonable, due.format(queue))
    run(poisonable.services)
    waiting = "SELECT attempts, error, review_after - now() > interval '50 s' FROM {}_reviews WHERE attempts > 0"
    assert select(poisonable, waiting.format(level)) == [[1, "Conflict: poisoned", True]]
    assert rows(poisonable, f"{level}_reviews WHERE review_after < now()") == 0
    assert rows(poisonable, "manifests") == (1 if level == "manifest" else 0)
    assert rows(poisonable, "blobs") == (3 if level == "manifest" else 1)
    [report] = logged(capsys, "a review failed and was rescheduled")
    assert (report["severity"], report["level"], report["error"]) == ("ERROR", level, "Conflict")
    execute(poisonable, f"DROP TABLE poison; {due.format(level)}")
    collect(poisonable)
    assert rows(poisonable, "blobs") == 0


def test_a_batch_that_takes_too_long_is_gone_through_one_by_one(poisonable: Registry) -> None:
    """A statement that runs out of time is told from a database that is away: its reviews can be carried out alone."""
    for _ in range(3):
        poisonable.push_image("a/b")
    execute(poisonable, SLOW_BATCHES)
    try:
        run(poisonable.services)
    finally:
        execute(poisonable, "DROP TRIGGER slow ON manifests; DROP FUNCTION slow")
    assert rows(poisonable, "manifests") == 0


SLOW_BATCHES = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM old_rows) > 1 THEN
            RAISE EXCEPTION 'too long' USING ERRCODE = 'query_canceled';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER slow AFTER DELETE ON manifests REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


# ---- time


def test_out_of_time_it_stops_between_batches_and_sends_the_next_gc_trigger(
    hasty: Registry, pubsub: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    services = replace(hasty.services, gc_trigger=Trigger(topic, 0))
    for number in range(5):
        hasty.push_blob("a/b", b"%d" % number)
    ticks = count()
    monkeypatch.setattr(runs, "BATCH", 1)
    monkeypatch.setattr(runs, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    # One tick starts the run, one each finds nothing for the five collectors before links, then one is for each link.
    assert +Counter(garbage(run(services, 8.5))) == {"links": 3}
    assert [is_trigger(message.data) for message in pubsub.pull_until(subscription, 1)] == [True]
    [line] = logged(capsys, "gc run")
    assert line["out_of_time"] is True
    run(services, 1000)
    assert pubsub.pull(subscription, timeout=0.3) == []
    assert rows(hasty, "blobs") == 0


def test_without_any_time_nothing_is_done_but_to_send_the_gc_trigger(hasty: Registry, pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    hasty.push_blob("a/b", b"1")
    assert not any(run(replace(hasty.services, gc_trigger=Trigger(topic, 0)), 0).values())
    assert len(pubsub.pull_until(subscription, 1)) == 1
    assert rows(hasty, "blobs") == 1


def test_out_of_time_without_pubsub_is_no_failure(
    hasty: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scheduled run comes anyway. Nor does it wait: the client alone would try for ten minutes."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{choose_port(0)}")
    started = time.monotonic()
    run(replace(hasty.services, gc_trigger=Trigger("projects/p/topics/t", 0)), 0)
    assert time.monotonic() - started < 10
    assert len(logged(capsys, "a trigger could not be sent")) == 1


# ---- several at once


def test_several_runs_at_once_handle_each_thing_once(hasty: Registry, storage_address: str, bucket_name: str) -> None:
    for number in range(40):
        hasty.push_blob("a/b", b"%d" % number)
    handled = run_at_once(hasty, 4)
    handled.update(run(hasty.services))
    assert +Counter(garbage(handled)) == {"links": 40, "blobs": 40, "deletions": 40}
    assert select(hasty, "SELECT level, rows FROM collected ORDER BY level") == [
        ["blob", 40],
        ["link", 40],
        ["object", 40],
    ]
    assert Store(storage_address, bucket_name).objects() == set()


def test_a_run_says_what_it_did(hasty: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    digest = hasty.push_blob("a/b", b"1")
    run(hasty.services)
    assert hasty.get(f"/v2/a/b/blobs/{digest}").status_code == 404
    [line] = logged(capsys, "gc run")
    assert {name: line[name] for name in ("manifests", "links", "blobs", "uploads", "deletions", "out_of_time")} == {
        "manifests": 0,
        "links": 1,
        "blobs": 1,
        "uploads": 0,
        "deletions": 1,
        "out_of_time": False,
    }
    assert line["ms"] > 0
    assert line["statements"] > 10
    assert Digest.of(b"1") == digest
