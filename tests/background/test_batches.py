"""The batches of a background migration, on so few rows that each takes a moment: what is done, put off and passed by.

What many rows, several workers and real locks make of it, the tests beside this one say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from functions.migrate import schema
from functions.migrate.background import pace
from functions.migrate.background.jobs import JOBS, Job
from functions.migrate.background.runner import Runner
from functions.migrate.sql import NotFinished, require_finished
from functions.registry.metadata.background.batches import Look
from functions.registry.metadata.db import Crowded, Database, MetadataUnavailable, Session
from tests.background.building import finish, migration, names_between, register
from tests.conftest import SharedDatabase
from tests.metadata.build import APP, push_image, query

_TAGS: Final = ("v1", "v2", "v3", "v4", "v5")


@pytest.fixture
def database_url(_shared_database: SharedDatabase) -> Iterator[str]:
    """That of all other tests: a row need not be from before a column was there to be gone through."""
    yield _shared_database.url
    _shared_database.empty()


@pytest.fixture(autouse=True)
def _rows(database: Database) -> None:
    push_image(database, APP, *_TAGS)
    whole = {"last": "'[0, \"\"]'", "stop": "'[9000000000, \"z\"]'", "rows_done": "0", "total": "5"}
    register(database, **whole)


def noting(done: list[str], fails: Callable[[list[str]], Exception | None] = lambda _: None) -> dict[str, Job]:
    """A migration that writes down what it has done, where nothing keeps it from that."""

    def fill(session: Session, after: str, upto: str) -> None:
        names = names_between(session, after, upto)
        if (error := fails(names)) is not None:
            raise error
        done.extend(names)

    return {"other": Job(JOBS["tag_subjects"].part, fill)}


def failing_at(bad: str) -> Callable[[list[str]], Exception | None]:
    return lambda names: ValueError(f"no {bad}") if bad in names else None


def step(database: Database, jobs: dict[str, Job], *, hurries: bool = True) -> int:
    return Runner(database, hurries=hurries, jobs=jobs).work(time.monotonic() + 30, waits=False)


def test_each_row_is_done_once_batch_after_batch(database: Database) -> None:
    done: list[str] = []
    query(database, "UPDATE background_migrations SET batch = 2 WHERE name = 'other'")
    assert step(database, noting(done)) == 1
    assert (done, migration(database, "state, rows_done, last ->> 1", "other")) == (["v1", "v2"], ("active", 2, "v2"))
    finish(Runner(database, hurries=True, jobs=noting(done)))
    assert (done, migration(database, "state, rows_done", "other")) == ([*_TAGS], ("finished", 5))


def test_a_row_that_fails_is_passed_by_alone_and_done_once_somebody_asks_for_it(database: Database) -> None:
    done: list[str] = []
    finish(Runner(database, hurries=True, jobs=noting(done, failing_at("v3"))))
    assert (done, migration(database, "state, rows_done", "other")) == (["v1", "v2", "v4", "v5"], ("failed", 5))
    failures = "SELECT key ->> 1, after ->> 1, error FROM background_failures"
    assert query(database, failures) == [["v3", "v2", "ValueError: no v3"]]
    query(database, "UPDATE background_migrations SET state = 'active', retried_at = now() WHERE name = 'other'")
    again: list[str] = []
    finish(Runner(database, hurries=True, jobs=noting(again)))
    assert (again, query(database, failures)) == (["v3"], [])
    assert migration(database, "state, rows_done", "other") == ("finished", 5)


def test_a_lock_that_is_not_had_halves_the_batch_and_puts_it_off(database: Database) -> None:
    done: list[str] = []
    assert step(database, noting(done, lambda _: Crowded("a lock"))) == 0
    put_off = migration(database, "batch, waits_for, due_at > now(), rows_done", "other")
    assert (done, put_off) == ([], (2, "locks", True, 0))
    assert step(database, noting(done)) == 0, "it is not due yet"
    assert query(database, "SELECT FROM background_failures") == []


def test_a_database_that_is_away_fails_no_row(database: Database) -> None:
    with pytest.raises(MetadataUnavailable):
        step(database, noting([], lambda _: MetadataUnavailable("away")))
    assert migration(database, "batch, rows_done, state, waits_for", "other") == (1000, 0, "active", None)


def test_it_rests_after_a_batch_unless_somebody_waits_for_it(database: Database) -> None:
    for hurries, rests in ((True, False), (False, True)):
        query(database, "UPDATE background_migrations SET batch = 1, due_at = '-infinity' WHERE name = 'other'")
        assert step(database, noting([], lambda _: time.sleep(0.01)), hurries=hurries) == 1
        assert migration(database, "due_at - worked_at > interval '10 ms'", "other") == (rests,)


def test_one_that_is_paused_is_left_alone(database: Database) -> None:
    done: list[str] = []
    query(database, "UPDATE background_migrations SET state = 'paused' WHERE name = 'other'")
    assert (step(database, noting(done)), done) == (0, [])


@pytest.mark.parametrize(
    ("waiting", "late_standbys", "reason"), [(0, 0, None), (4, 0, None), (5, 0, "locks"), (0, 1, "standbys")]
)
def test_a_late_standby_and_many_who_wait_are_reasons_to_wait(
    waiting: int, late_standbys: int, reason: str | None
) -> None:
    assert pace.reason_to_wait(Look(1, "other", 0.0, 0.0, waiting, late_standbys)) == reason


@pytest.mark.parametrize(("reason", "jobs"), [("standbys", ["other"]), ("release", [])])
def test_what_it_waits_for_is_told_and_nothing_is_done(
    database: Database, monkeypatch: pytest.MonkeyPatch, reason: str, jobs: Sequence[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(pace, "reason_to_wait", lambda _: "standbys")
    assert step(database, {name: job for name, job in noting(done).items() if name in jobs}) == 0
    assert (done, migration(database, "waits_for, rows_done", "other")) == ([], (reason, 0))


@pytest.mark.parametrize("state", ["active", "paused", "failed", "finished"])
def test_what_stands_on_one_is_refused_unless_that_is_finished(
    database: Database, database_url: str, state: str
) -> None:
    query(database, "UPDATE background_migrations SET state = :state, rows_done = 2 WHERE name = 'other'", state=state)
    with schema._connected(database_url) as connection, Operations.context(MigrationContext.configure(connection)):
        if state == "finished":
            require_finished("other")
            return
        with pytest.raises(NotFinished, match=f"other is {state}: about 3 rows are left"):
            require_finished("other")
