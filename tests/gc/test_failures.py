"""When objects can't be deleted: the rest goes on, what failed is put off and told, and nothing is dropped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from functions.gc.run import run
from local.guard import choose_port
from tests.gc.conftest import collect, execute
from tests.gc.watch import Store, logged, select
from tests.support import Registry

MINUTE = 60.0
DAY = 1440 * MINUTE


@dataclass(frozen=True)
class PendingDeletion:
    """What `deletions` says of an object; `seconds` until its next attempt."""

    object_name: str
    attempts: int
    error: str | None
    seconds: float


def deletions(registry: Registry) -> list[PendingDeletion]:
    found = select(
        registry,
        """SELECT object_name, attempts, error, CAST(extract(epoch FROM not_before - now()) AS float)
             FROM deletions ORDER BY object_name""",
    )
    return [PendingDeletion(*row) for row in found]


@pytest.fixture
def pending(hasty: Registry) -> list[str]:
    """Three objects that nothing names any more, to be deleted at once."""
    execute(hasty, "UPDATE gc_settings SET grace = '1 hour' WHERE event = 'delete'")
    for number in range(3):
        hasty.push_blob("a/b", b"%d" % number)
    collect(hasty)
    make_due(hasty)
    return [deletion.object_name for deletion in deletions(hasty)]


def make_due(registry: Registry) -> None:
    execute(registry, "UPDATE deletions SET not_before = now()")


@pytest.fixture
def store(storage_address: str, bucket_name: str) -> Iterator[Store]:
    store = Store(storage_address, bucket_name)
    yield store
    store.recover()


@pytest.mark.parametrize("status", [401, 403, 412, 429, 500, 503])
def test_an_object_that_can_t_be_deleted_is_put_off_and_the_others_go(
    hasty: Registry, pending: list[str], store: Store, status: int
) -> None:
    store.fail_object(pending[1], status)
    assert run(hasty.services)["deletions"] == 3
    assert store.objects() == {pending[1]}
    [left] = deletions(hasty)
    assert (left.object_name, left.attempts) == (pending[1], 1)
    assert left.error is not None
    assert left.error.startswith(f"{status}: ")
    assert 0.8 * MINUTE < left.seconds <= MINUTE
    store.recover()
    make_due(hasty)
    run(hasty.services)
    assert (deletions(hasty), store.objects()) == ([], set())


def test_an_object_that_is_gone_already_is_done(hasty: Registry, pending: list[str], store: Store) -> None:
    store.delete(pending[0])
    run(hasty.services)
    assert deletions(hasty) == []


def test_each_failure_waits_longer_and_is_reported_in_the_end_but_never_given_up(
    hasty: Registry, pending: list[str], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.fail_object(pending[0], 403)
    for attempt in range(1, 14):
        make_due(hasty)
        run(hasty.services)
        [left] = deletions(hasty)
        longest = min(2 ** (attempt - 1) * MINUTE, DAY)
        assert left.attempts == attempt
        assert longest - 0.2 * MINUTE < left.seconds <= longest
    reports = logged(capsys, "an object can't be deleted")
    assert [report["attempts"] for report in reports] == list(range(6, 14))
    assert {(report["severity"], report["object"]) for report in reports} == {("ERROR", pending[0])}
    assert all(report["reason"].startswith("403: ") for report in reports)


@pytest.mark.parametrize(("action", "status"), [("status", 503), ("status", 404), ("break", 0), ("lose_answer", 0)])
def test_a_store_that_is_in_trouble_as_a_whole(
    hasty: Registry, pending: list[str], store: Store, action: str, status: int
) -> None:
    """It may have done what it was asked, too, and nobody heard of it."""
    store.fail("POST /batch/", action, status=status)
    started = time.monotonic()
    assert run(hasty.services)["deletions"] == 3
    assert time.monotonic() - started < 10
    left = deletions(hasty)
    assert [deletion.object_name for deletion in left] == pending
    assert all(deletion.attempts == 1 and deletion.error for deletion in left)
    store.recover()
    make_due(hasty)
    run(hasty.services)
    assert (deletions(hasty), store.objects()) == ([], set())


def test_a_store_that_can_t_be_reached(hasty: Registry, pending: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    hasty.services.bucket.__dict__.pop("_bucket")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{choose_port(0)}")
        assert run(hasty.services)["deletions"] == 3
    left = deletions(hasty)
    assert [deletion.object_name for deletion in left] == pending
    assert all("ConnectionError" in (deletion.error or "") for deletion in left)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_STORAGE_TIMEOUT_SECONDS": "1"}


def test_a_store_that_stalls_costs_one_timeout_for_all(hasty: Registry, pending: list[str], store: Store) -> None:
    store.fail("POST /batch/", "stall", seconds=10, count=1)
    started = time.monotonic()
    run(hasty.services)
    assert time.monotonic() - started < 8
    assert len(pending) == len(deletions(hasty))
    assert all("Timeout" in (deletion.error or "") for deletion in deletions(hasty))


def test_an_answer_that_makes_no_sense_is_a_failure(
    hasty: Registry, pending: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = hasty.services.bucket._bucket.client
    answer = requests.Response()
    answer.status_code, answer._content = 200, b"<html>of some proxy</html>"
    monkeypatch.setattr(client._base_connection, "_make_request", lambda *_, **__: answer)
    run(hasty.services)
    assert [deletion.attempts for deletion in deletions(hasty)] == [1] * len(pending)
