"""A store that fails in the middle: of a backup, a verification, a prune, a restore. What is cut short counts for
nothing, what is there stays good, and the next attempt goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from unittest import mock

import pytest
import requests

from functions.migrate import work
from functions.migrate.backups import copying, keeping, layout
from functions.migrate.backups.tables import COPIED
from functions.registry.blobs import gcs
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.config import Settings
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.vocabulary import Run
from tests.backups.conftest import Backups
from tests.backups.test_keeping import age
from tests.backups.test_restoring import contents, restore
from tests.metadata.build import query
from tests.support import Image, Registry

_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "403": {"action": "status", "status": 403},
    "503": {"action": "status", "status": 503},
    "connection lost": {"action": "break"},
    "answer cut": {"action": "cut_answer"},
    "answer lost": {"action": "lose_answer"},
    "slow": {"action": "stall", "seconds": 1.5},
}
# More requests than any of these makes.
_ALWAYS: Final = 100_000
# What a listing of the plan itself, or of a healthy run, is not.
_ANY: Final = "/storage/v1/"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_STORAGE_TIMEOUT_SECONDS": "1"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again for long."""
    monkeypatch.setattr(gcs, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(copying, "_TRIES", 1)


@contextmanager
def failing(storage_address: str, fault: str, skip: int, match: str = _ANY, count: int = _ALWAYS) -> Iterator[None]:
    """Has the store fail after `skip` requests, until the end of the block."""
    planned = {"match": match, "skip": skip, "count": count, **_FAULTS[fault]}
    requests.post(f"{storage_address}/_faults", json=planned, timeout=10).raise_for_status()
    try:
        yield
    finally:
        requests.delete(f"{storage_address}/_faults", timeout=10)


def requests_of(storage_address: str, act: Callable[[], object]) -> int:
    """Returns how many requests it makes of a store that is well."""
    planned = {"match": _ANY, "skip": _ALWAYS, "action": "break"}
    requests.post(f"{storage_address}/_faults", json=planned, timeout=10).raise_for_status()
    act()
    ((left,)) = json.loads(requests.get(f"{storage_address}/_faults", timeout=10).content)
    requests.delete(f"{storage_address}/_faults", timeout=10)
    return int(_ALWAYS - left["skip"])


def moments(count: int) -> list[int]:
    """Returns the beginning, the middle and nearly the end of so many requests."""
    return sorted({0, count // 3, count // 2, count * 3 // 4, count - 1})


def go_on(backups: Backups, run_id: int) -> Run:
    """Does what the next worker does, after a while."""
    query(backups.database, "UPDATE backup_runs SET lease_until = now() WHERE ended_at IS NULL")
    work.run(backups.registry.services)
    return backups.run(run_id)


def is_whole(backups: Backups, name: str) -> bool:
    """Says whether a sealed backup has all that it says."""
    seal = layout.read_seal(backups.store, name)
    for table, part in seal.tables.items():
        list(layout.unpack(backups.store, layout.rows_name(name, table), part))
    return all(
        b"".join(backups.store.read(layout.OBJECTS + each.name)) and not seal.missing
        for each in layout.entries(backups.store, name, seal.objects)
    )


def fill(registry: Registry) -> list[Image]:
    return [registry.push_image("a/b", f"v{number}", Image(layers=(bytes([number]) * 900,))) for number in range(4)]


def each_fault() -> list[Any]:
    """One of them, in the middle, in the ordinary tests; all of them, at several moments, in the slow ones."""
    return [
        pytest.param("503", False, id="503"),
        *(pytest.param(fault, True, id=f"{fault} at several moments", marks=pytest.mark.slow) for fault in _FAULTS),
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("fault", "is_thorough"), each_fault())
def test_a_backup_is_sealed_and_whole_or_none(
    backups: Backups, registry: Registry, storage_address: str, fault: str, is_thorough: bool
) -> None:
    fill(registry)
    first: list[Run] = []
    count = requests_of(storage_address, lambda: first.append(backups.make()))
    for skip in moments(count) if is_thorough else [count // 2]:
        registry.push_image("a/b", f"new-{skip}", Image(layers=(f"{fault} {skip}".encode() * 40,)))
        asked = runs.ask(backups.database, "backup", backups.destination)
        with failing(storage_address, fault, skip):
            work.run(registry.services)
        cut_short = backups.run(asked)
        if cut_short.state == "sealed":
            assert is_whole(backups, cut_short.name), (fault, skip)
            continue
        assert cut_short.error, (fault, skip)
        assert not cut_short.name or not layout.is_sealed(backups.store, cut_short.name), (fault, skip)
        assert cut_short.missing == 0, "what the store doesn't show is not lost"
        assert query(backups.database, "SELECT count(*) FROM blobs WHERE damaged_at IS NOT NULL") == [[0]]
        ended = go_on(backups, asked) if cut_short.state != "failed" else backups.make()
        assert (ended.state, ended.missing) == ("sealed", 0), (fault, skip)
        assert is_whole(backups, ended.name), (fault, skip)
        assert is_whole(backups, first[0].name)
        assert query(backups.database, "SELECT count(*) FROM holds WHERE until > now()") == [[0]]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("destination", ["bucket"], indirect=True)
@pytest.mark.parametrize(("fault", "is_thorough"), each_fault())
def test_a_verification_takes_nothing_for_damaged_that_it_could_not_read(
    backups: Backups, registry: Registry, storage_address: str, fault: str, is_thorough: bool
) -> None:
    fill(registry)
    made = backups.make()
    count = requests_of(storage_address, lambda: backups.do("verification", made.name, sample=100))
    for skip in moments(count) if is_thorough else [count // 2]:
        asked = runs.ask(backups.database, "verification", backups.destination, made.name, sample=100)
        with failing(storage_address, fault, skip):
            work.run(registry.services)
        found = backups.run(asked)
        assert found.counts.get("bad", 0) == 0, (fault, skip)
        if found.state == "waiting":
            found = go_on(backups, asked)
            assert (found.state, found.counts["hashed"]) == ("done", made.counts["objects"]), (fault, skip)
        assert found.state == "done" or (found.state, fault) == ("failed", "403"), (fault, skip, found.error)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("destination", ["bucket"], indirect=True)
@pytest.mark.parametrize(("fault", "is_thorough"), each_fault())
def test_a_prune_takes_nothing_that_a_kept_backup_needs(
    backups: Backups, registry: Registry, storage_address: str, fault: str, is_thorough: bool
) -> None:
    fill(registry)
    kept = backups.make()
    with mock.patch.object(keeping, "YOUNG", timedelta(0)):
        old = age(backups, backups.make().name, 100)
        count = requests_of(storage_address, lambda: backups.do("prune", keep={"d": 1}, dry_run=True))
        for skip in moments(count) if is_thorough else [count // 2]:
            asked = runs.ask(backups.database, "prune", backups.destination, keep={"d": 1})
            with failing(storage_address, fault, skip):
                work.run(registry.services)
            found = backups.run(asked)
            assert is_whole(backups, kept.name), (fault, skip)
            if found.state == "waiting":
                found = go_on(backups, asked)
            assert found.state == "done" or (found.state, fault) == ("failed", "403"), (fault, skip, found.error)
            assert is_whole(backups, kept.name), (fault, skip)
        backups.do("prune", keep={"d": 1})
    assert old not in layout.names(backups.store)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("fault", "is_thorough"), each_fault())
def test_a_restore_brings_back_all_rows_or_none(
    backups: Backups, registry: Registry, elsewhere: Settings, storage_address: str, fault: str, is_thorough: bool
) -> None:
    fill(registry)
    backups.make()
    before = contents(elsewhere.database, set(COPIED))
    # A dozen objects are written, and from a bucket some sixty parts are read.
    for skip in (0, 5, 10, 20, 40) if is_thorough else (5,):
        with failing(storage_address, fault, skip):
            try:
                restore(backups, elsewhere)
            except BlobStoreUnavailable:
                assert contents(elsewhere.database, set(COPIED)) == before, (fault, skip)
                continue
        break
    else:
        restore(backups, elsewhere)
    same = {"manifests", "tags", "blobs", "repository_blobs", "manifest_blobs"}
    assert contents(elsewhere.database, same) == contents(registry.services.settings.database, same)
