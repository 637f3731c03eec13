"""Objects pending deletion come up when they are due, to one collector at a time, and later each time they fail."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.registry.metadata.content import upload_parts
from functions.registry.metadata.db import Database
from functions.registry.metadata.gc import deletions
from functions.registry.metadata.gc.deletions import Deletion
from tests.metadata.build import (
    APP,
    OpenTransaction,
    new_object,
    pass_time,
    push_blob,
    query,
    set_grace,
    start_upload,
    value,
)

MINUTE = 1 / 60


def queue(database: Database, count: int) -> list[str]:
    """Objects that are due now."""
    set_grace(database, delete=0)
    upload = start_upload(database)
    names = [new_object() for _ in range(count)]
    for name in names:
        assert upload_parts.name_object(database, upload, name)
        upload_parts.discard_object(database, name)
    return names


def test_an_object_comes_up_only_when_it_is_due_and_the_longest_due_first(database: Database) -> None:
    (early,) = queue(database, 1)
    pass_time(database, 1)
    later = queue(database, 3)
    query(database, "UPDATE deletions SET not_before = now() + interval '5 s' WHERE object_name = :n", n=later[2])
    assert deletions.claim(database, 1) == [Deletion(early, None, 1)]
    assert sorted(claimed.object_name for claimed in deletions.claim(database, 10)) == sorted(later[:2])
    assert deletions.claim(database, 10) == []


def test_what_a_blob_uses_is_passed_by_however_it_came_to_be_here(database: Database) -> None:
    push_blob(database, APP, b"in use")
    query(database, "INSERT INTO deletions (object_name, not_before) SELECT object_name, now() FROM blobs")
    (pending,) = queue(database, 1)
    assert [claimed.object_name for claimed in deletions.claim(database, 10)] == [pending]
    assert value(database, "SELECT count(*) FROM deletions WHERE attempts = 0") == 1


def test_what_is_done_is_gone_and_the_rest_comes_up_again(database: Database) -> None:
    names = queue(database, 3)
    assert len(deletions.claim(database, 10)) == 3
    deletions.done(database, [Deletion(name, None, 1) for name in [*names[:2], "unknown"]])
    deletions.done(database, [])
    deletions.failed(database, names[2], "it's: \\ away")
    deletions.failed(database, "unknown", "nothing happens")
    assert query(database, "SELECT object_name, error FROM deletions") == [[names[2], "it's: \\ away"]]
    pass_time(database, 1)
    assert deletions.claim(database, 10) == [Deletion(names[2], None, 2)]


def test_each_attempt_is_put_off_twice_as_long_as_the_last_up_to_a_day(database: Database) -> None:
    queue(database, 1)
    minutes = []
    for attempt in range(1, 31):
        (claimed,) = deletions.claim(database, 1)
        assert claimed.attempts == attempt
        wait = value(database, "SELECT CAST(extract(epoch FROM not_before - now()) AS float8) FROM deletions") / 60
        minutes.append(wait)
        pass_time(database, wait / 60 + MINUTE)
    assert minutes == pytest.approx([min(2**n, 24 * 60) for n in range(30)], abs=0.2)


def test_two_collectors_never_claim_the_same_object(database: Database, database_url: str) -> None:
    names = queue(database, 6)
    with OpenTransaction(database_url) as other:
        theirs = [claimed.object_name for claimed in deletions.claim(other, 2)]
        mine = [claimed.object_name for claimed in deletions.claim(database, 10)]
        other.commit()
    assert len(theirs) == 2
    assert sorted(theirs + mine) == sorted(names)
    pass_time(database, 1)
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: deletions.claim(database, 2), range(4)))
    assert sorted(claimed.object_name for batch in batches for claimed in batch) == sorted(names)


def test_a_collector_that_dies_costs_only_time(database: Database, database_url: str) -> None:
    (name,) = queue(database, 1)
    with OpenTransaction(database_url) as other:
        assert len(deletions.claim(other, 1)) == 1
    # The server may take a moment to see that the session is gone.
    deadline = time.monotonic() + 60
    while not (claimed := deletions.claim(database, 1)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert claimed == [Deletion(name, None, 1)]
    assert deletions.claim(database, 1) == []
    pass_time(database, MINUTE * 1.1)
    assert deletions.claim(database, 1) == [Deletion(name, None, 2)]
