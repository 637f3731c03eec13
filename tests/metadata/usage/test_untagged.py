"""Untagged scans find what no tag reaches, and the bytes that would go with it; and never keep a push waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Final

import pytest

from functions.gc import usage as collector
from functions.registry.metadata.content import blobs, manifests, pushes, tags
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Conflict, Database, Session
from functions.registry.metadata.usage import untagged
from functions.registry.metadata.usage.reached import reached
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import Tag
from functions.registry.wiring import Services
from tests.metadata.build import (
    APP,
    OTHER,
    Answer,
    OpenTransaction,
    artifact_of,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    signature_of,
    value,
    wait_until_blocked,
)
from tests.metadata.usage.test_usage import Client
from tests.support import Image, encode, index_of

# One manifest after the other, as is_reached answers for each; links by who names them.
BY_HAND: Final = """
    SELECT repositories.name,
           (SELECT count(*) FROM manifests
             WHERE repository_id = repositories.id AND NOT is_reached(manifests.id, only_by_tags => true)),
           (SELECT CAST(coalesce(sum(length(payload)), 0) AS bigint) FROM manifests
             WHERE repository_id = repositories.id AND NOT is_reached(manifests.id, only_by_tags => true))
           + (SELECT CAST(coalesce(sum(link.size), 0) AS bigint)
                FROM repository_blobs AS link
               CROSS JOIN LATERAL (
                     SELECT bool_or(is_reached(manifest_id, only_by_tags => true)) AS by_some
                       FROM manifest_blobs AS named
                      WHERE named.repository_id = link.repository_id AND named.digest = link.digest) AS named
               WHERE link.repository_id = repositories.id AND NOT named.by_some)
      FROM repositories ORDER BY 1
"""
KEPT: Final = """
    SELECT name, untagged, untagged_bytes FROM repository_usage JOIN repositories ON id = repository_id ORDER BY 1
"""


def id_of(database: Database, repository: str = APP) -> int:
    found: int = value(database, "SELECT id FROM repositories WHERE name = :name", name=repository)
    return found


def scan(database: Database, repository: str = APP) -> tuple[int, int]:
    """Untagged manifests and bytes, after one untagged scan."""
    assert untagged.scan(database, id_of(database, repository)) is not None
    ((count, size),) = query(
        database,
        "SELECT untagged, untagged_bytes FROM repository_usage WHERE repository_id = :id",
        id=id_of(database, repository),
    )
    return count, size


def is_due(database: Database, repository: str = APP) -> bool:
    return id_of(database, repository) in untagged.due(database, 100)


def size_of(*images: Image) -> int:
    return sum(len(image.manifest) + sum(map(len, image.blobs)) for image in images)


def test_what_no_tag_names_is_untagged(database: Database) -> None:
    kept, lost = push_image(database, APP, "v1"), push_image(database, APP)
    assert scan(database) == (1, size_of(lost))
    tags.delete(database, APP, Tag("v1"))
    assert scan(database) == (2, size_of(kept, lost))


def test_what_a_tag_reaches_through_indexes_and_subjects_is_not(database: Database) -> None:
    children = [push_image(database, APP) for _ in range(2)]
    push_index(database, APP, "v1", of=children)
    signature = push_image(database, APP, image=signature_of(children[0].manifest))
    put(database, APP, artifact_of(signature.manifest))
    assert scan(database) == (0, 0)
    tags.delete(database, APP, Tag("v1"))
    assert scan(database)[0] == 5


def test_what_an_index_named_before_it_came_is_reached(database: Database) -> None:
    child = Image()
    payload = index_of(child.manifest)
    push = Push(APP, Digest.of(payload), parse_manifest(payload, None), payload, [Tag("v1")], accepts_missing=True)
    pushes.put(database, push)
    push_image(database, APP, image=child)
    assert scan(database) == (0, 0)


def test_blobs_count_where_nothing_else_names_them(database: Database) -> None:
    shared, own = b"shared" * 100, b"own" * 100
    push_image(database, APP, "v1", image=Image(config=b"{}", layers=(shared,)))
    lost = [push_image(database, APP, image=Image(config=b"{}", layers=(shared, own), more={"n": n})) for n in (1, 2)]
    push_blob(database, APP, b"named by nothing, and no manifest's to give back")
    push_image(database, OTHER, "v1", image=lost[0])
    assert scan(database) == (2, sum(len(image.manifest) for image in lost) + len(own))


def test_a_blob_that_a_tagged_manifest_waited_for_is_not_given_back(database: Database) -> None:
    late, payload = b"late" * 50, Image(config=b"{}", layers=(b"late" * 50,)).manifest
    push_blob(database, APP, b"{}")
    push = Push(APP, Digest.of(payload), parse_manifest(payload, None), payload, [Tag("v1")], accepts_missing=True)
    pushes.put(database, push)
    lost = push_image(database, APP, image=Image(config=b"{}", layers=(late,), more={"n": 1}))
    assert scan(database) == (1, len(lost.manifest))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_untagged_scan_finds_what_one_finds_by_hand(database: Database, seed: int) -> None:
    client = Client(database, seed)
    for _ in range(5):
        client.act(20)
        for repository_id in untagged.due(database, 100):
            untagged.scan(database, repository_id)
        query(database, "UPDATE repository_usage SET untagged_as_of = NULL")
        assert query(database, KEPT) == query(database, BY_HAND)


def test_nothing_is_scanned_twice_without_a_change(database: Database) -> None:
    image = push_image(database, APP, "v1")
    assert is_due(database)
    assert untagged.scan(database, id_of(database)) is not None
    assert not is_due(database)
    assert untagged.scan(database, id_of(database)) is None
    query(database, "UPDATE repository_usage SET untagged_as_of = NULL")
    changes: list[Callable[[], object]] = [
        lambda: tags.delete(database, APP, Tag("v1")),
        lambda: put(database, APP, image.manifest, "v2"),
        lambda: put(database, APP, image.manifest, "v3"),
        lambda: push_image(database, APP, "v2"),
        lambda: manifests.delete(database, APP, image.digest),
        lambda: push_blob(database, APP, b"more"),
        lambda: blobs.delete(database, APP, Digest.of(b"more")),
    ]
    for number, change in enumerate(changes):
        change()
        assert is_due(database), number
        assert untagged.scan(database, id_of(database)) is not None
        query(database, "UPDATE repository_usage SET untagged_as_of = NULL")


def test_a_large_repository_is_not_scanned_all_the_time(database: Database) -> None:
    push_image(database, APP, "v1")
    untagged.scan(database, id_of(database))
    query(database, "UPDATE repository_usage SET manifests = 200000, untagged_scan_due = true")
    assert not is_due(database)
    query(database, "UPDATE repository_usage SET untagged_as_of = now() - interval '1999 s'")
    assert not is_due(database)
    query(database, "UPDATE repository_usage SET untagged_as_of = now() - interval '2001 s'")
    assert is_due(database)


def test_a_change_while_it_reads_makes_the_next_one_due(
    database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_image(database, APP, "v1")
    lost = push_image(database, APP)

    def change_meanwhile(*read: list[int]) -> set[int]:
        with closing(Database(database_url, 1)) as other:
            push_image(other, APP, "v2")
        return reached(*read)

    monkeypatch.setattr(untagged, "reached", change_meanwhile)
    assert scan(database) == (1, size_of(lost)), "the figures are those of before, and pushes do not wait"
    query(database, "UPDATE repository_usage SET untagged_as_of = NULL")
    assert is_due(database)


def test_two_collectors_do_not_scan_the_same(database_url: str, database: Database) -> None:
    push_image(database, APP, "v1")
    with OpenTransaction(database_url) as other:
        assert untagged.scan(Holding(other), id_of(database)) is not None
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(untagged.scan, database, id_of(database)).result(10) is None
        other.rollback()
    assert untagged.scan(database, id_of(database)) is not None


class Holding(Database):
    """Runs a transaction in one that is open already, and stays so."""

    def __init__(self, held: OpenTransaction) -> None:
        self._holder = held

    def transaction(self, work: Callable[[Session], Answer], *, is_long: bool = False) -> Answer:
        assert not is_long
        return self._holder._run(work)


def test_an_untagged_scan_waits_for_a_push_that_has_not_ended_and_then_is_due_again(
    database_url: str, database: Database
) -> None:
    push_image(database, APP, "v1")
    with OpenTransaction(database_url) as other, ThreadPoolExecutor(1) as pool:
        put(other, APP, index_of(), "v2")
        scanning = pool.submit(untagged.scan, database, id_of(database))
        wait_until_blocked(database)
        other.commit()
        assert scanning.result(10) is not None
    query(database, "UPDATE repository_usage SET untagged_as_of = NULL")
    assert is_due(database)


def test_a_repository_that_is_gone_is_not_scanned(database: Database) -> None:
    assert untagged.scan(database, 12345) is None


def test_one_that_can_not_be_read_in_time_is_given_up_until_it_changes(
    services: Services, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    database = services.database
    push_image(database, APP, "v1")
    with OpenTransaction(database_url) as other:
        other.run("LOCK TABLE tags")
        query(database, "SET lock_timeout = '100ms'")
        assert collector.scan_untagged(services, 10) == 0
        other.rollback()
    assert "an untagged scan was given up" in capsys.readouterr().out
    assert not is_due(database)
    push_image(database, APP, "v2")
    assert is_due(database)


def test_a_push_is_not_kept_waiting(database: Database) -> None:
    """What an untagged scan holds while it computes is of no account to pushes: an advisory lock."""
    push_image(database, APP, "v1")
    chance = random.Random(1)  # noqa: S311  # a test's chance
    with ThreadPoolExecutor(2) as pool:
        scanning = [pool.submit(untagged.scan, database, id_of(database)) for _ in range(5)]
        for _ in range(5):
            with suppress(Conflict):
                push_image(database, APP, f"v{chance.randint(1, 3)}")
        for finished in scanning:
            finished.result(10)
    query(database, "UPDATE repository_usage SET untagged_scan_due = true, untagged_as_of = NULL")
    assert scan(database) == tuple(query(database, BY_HAND)[0][1:])


def test_a_manifest_of_an_unknown_type_is_scanned_like_any(database: Database) -> None:
    blob = push_blob(database, APP, b"part")
    payload = encode({"schemaVersion": 2, "mediaType": "application/vnd.example+json", "blobs": [
        {"mediaType": "application/x", "digest": str(blob), "size": 4}
    ]})  # fmt: skip
    put(database, APP, payload)
    assert scan(database) == (1, len(payload) + 4)
