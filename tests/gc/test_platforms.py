"""Platforms of single images: read from their configs after the push, once, whatever lies there."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions.gc import platforms as collector
from functions.gc.run import run
from functions.registry.metadata.content import pushes, removal
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Database
from functions.registry.metadata.gc import platforms
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import DOCKER_MANIFEST, OCI_MANIFEST
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.platform import LARGEST_CONFIG, read_config
from tests.gc.conftest import collect, execute, rows, run_at_once
from tests.gc.watch import Store, logged, select
from tests.metadata.build import OpenTransaction, query
from tests.support import Image, Registry, descriptor, encode, index_of

REPOSITORY = "team/app"
TAGS = f"/api/v1/repositories/{REPOSITORY}/-/tags"
DUE = "SELECT count(*) FROM platforms WHERE look_after <= now()"


def image(**config: Any) -> Image:
    return Image(encode({"random": os.urandom(8).hex(), **config}), (os.urandom(10),))


def amd64() -> Image:
    return image(os="linux", architecture="amd64")


def listed(registry: Registry) -> dict[str, list[str] | None]:
    """Returns them by tag; the list and the details tell the same."""
    found = {tag["name"]: tag["platforms"] for tag in registry.get(f"{TAGS}?n=1000").get_json()["tags"]}
    for name, told in found.items():
        shown = registry.get(f"{TAGS}/{name}").get_json()
        assert shown["platforms"] == told
        path = f"/api/v1/repositories/{REPOSITORY}/-/manifests/{shown['digest']}"
        assert registry.get(path).get_json()["platforms"] == told
    return found


def look_again(registry: Registry) -> None:
    """Lets the wait be over."""
    execute(registry, "UPDATE platforms SET look_after = now() WHERE look_after IS NOT NULL")


def objects_of(registry: Registry, image: Image) -> str:
    digest = Digest.of(image.config).to_bytes().hex()
    ((name,),) = select(registry, rf"SELECT object_name FROM blobs WHERE digest = '\x{digest}'")  # noqa: S608
    return str(name)


@pytest.fixture
def store(storage_address: str, bucket_name: str) -> Iterator[Store]:
    store = Store(storage_address, bucket_name)
    yield store
    store.recover()


# ---- what is found


def test_an_image_tells_its_platform_after_the_next_gc_run(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.push_image(REPOSITORY, "one", amd64())
    registry.push_image(REPOSITORY, "two", image(os="linux", architecture="arm64", variant="v8"))
    docker = amd64()
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": descriptor(docker.config, "application/vnd.docker.container.image.v1+json"),
            "layers": [],
        }
    )
    registry.push_blob(REPOSITORY, docker.config)
    assert registry.put_manifest(REPOSITORY, "docker", manifest).status_code == 201
    assert listed(registry) == {"one": None, "two": None, "docker": None}
    handled = run(registry.services)
    assert handled["platforms"] == 3
    assert listed(registry) == {"one": ["linux/amd64"], "two": ["linux/arm64/v8"], "docker": ["linux/amd64"]}
    (batch,), (line,) = logs(capsys)
    assert {name: batch[name] for name in ("looked_at", "known", "unknown", "failed")} == {
        "looked_at": 3,
        "known": 3,
        "unknown": 0,
        "failed": 0,
    }
    assert line["platforms"] == 3
    assert run(registry.services)["platforms"] == 0


def logs(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return (
        [line for line in lines if line["message"] == "platforms"],
        [line for line in lines if line["message"] == "gc run"],
    )


def test_only_images_are_looked_at(registry: Registry) -> None:
    child = registry.push_image(REPOSITORY, image=amd64())
    index = index_of(child.manifest)
    index = index.replace(b'"size"', b'"platform": {"os": "linux", "architecture": "s390x"}, "size"')
    assert registry.put_manifest(REPOSITORY, "index", index).status_code == 201
    registry.push_blob(REPOSITORY, b"{}")
    for name, config_type in (
        ("chart", "application/vnd.cncf.helm.config.v1+json"),
        ("artifact", "application/vnd.oci.empty.v1+json"),
    ):
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(b"{}", config_type)}
        assert registry.put_manifest(REPOSITORY, name, encode(document)).status_code == 201
    assert rows(registry, "platforms") == 1
    run(registry.services)
    assert listed(registry) == {"index": ["linux/s390x"], "chart": None, "artifact": None}
    assert registry.get(f"{TAGS}/index").get_json()["children"][0]["platform"] == "linux/s390x"


def test_pushing_again_asks_for_no_second_look(registry: Registry) -> None:
    pushed = registry.push_image(REPOSITORY, "one", amd64())
    run(registry.services)
    registry.push_image(REPOSITORY, "two", pushed)
    assert run(registry.services)["platforms"] == 0
    assert listed(registry) == {"one": ["linux/amd64"], "two": ["linux/amd64"]}


def test_a_push_asks_the_store_for_nothing_and_the_database_no_more_than_before(
    registry: Registry, store: Store
) -> None:
    pushed = amd64()
    for blob in pushed.blobs:
        registry.push_blob(REPOSITORY, blob)
    store.fail("GET ")
    statements = registry.statements("PUT", f"/v2/{REPOSITORY}/manifests/v1", data=pushed.manifest)
    assert len(statements) == 5
    assert rows(registry, "platforms") == 1


# ---- what can't be known


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"not JSON",
        b'{"os": "linux"',
        b"[" * 100_000,
        encode({"os": "linux", "architecture": "a\0"}),
        encode({"os": "x" * 100_000, "architecture": "amd64"}),
        encode({"os": 1, "architecture": ["amd64"]}),
        b'{"os": "\xff", "architecture": "amd64"}',
        encode({"os": "linux", "architecture": "amd64", "padding": "x" * (2 << 20)}),
    ],
    ids=["empty", "text", "cut", "deep", "nul", "gigantic", "types", "bytes", "2MiB"],
)
def test_a_config_that_tells_nothing_is_looked_at_once(registry: Registry, config: bytes) -> None:
    registry.push_image(REPOSITORY, "bad", Image(config, ()))
    registry.push_image(REPOSITORY, "good", amd64())
    assert run(registry.services)["platforms"] == 2
    assert listed(registry) == {"bad": [], "good": ["linux/amd64"]}
    look_again(registry)
    assert run(registry.services)["platforms"] == 0


def test_a_large_config_is_not_even_asked_for(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode({"os": "linux", "architecture": "amd64", "padding": ""})
    at_most = whole.replace(b'""', b'"' + b"x" * (LARGEST_CONFIG - len(whole)) + b'"')
    assert len(at_most) == LARGEST_CONFIG
    registry.push_image(REPOSITORY, "just", Image(at_most, ()))
    registry.push_image(REPOSITORY, "over", Image(at_most + b" ", ()))
    asked: list[int] = []
    read_once = type(registry.services.bucket).read_once

    def counted(bucket: Any, name: str, size: int) -> bytes:
        asked.append(size)
        return read_once(bucket, name, size)

    monkeypatch.setattr(type(registry.services.bucket), "read_once", counted)
    run(registry.services)
    assert asked == [LARGEST_CONFIG]
    assert listed(registry) == {"just": ["linux/amd64"], "over": []}


def test_an_object_that_is_gone_is_unknown(registry: Registry, store: Store) -> None:
    lost = registry.push_image(REPOSITORY, "lost", amd64())
    store.delete(objects_of(registry, lost))
    assert run(registry.services)["platforms"] == 1
    assert listed(registry) == {"lost": []}
    assert rows(registry, "platforms WHERE look_after IS NOT NULL") == 0


# ---- a config that its repository doesn't hold


def push_sparse(registry: Registry, sparse: Image) -> None:
    payload = sparse.manifest
    push = Push(
        RepositoryName(REPOSITORY), sparse.digest, parse_manifest(payload, None), payload, [], accepts_missing=True
    )
    pushes.put(registry.services.database, push)
    execute(
        registry,
        f"INSERT INTO tags (repository_id, name, manifest_id) SELECT repository_id, 'sparse', id FROM manifests "  # noqa: S608
        rf"WHERE digest = '\x{sparse.digest.to_bytes().hex()}'",
    )


def test_another_repository_s_config_is_not_read_and_one_s_own_may_come_later(registry: Registry) -> None:
    sparse = amd64()
    registry.push_blob("secret/one", sparse.config)
    registry.push_image(REPOSITORY, "first", amd64())
    push_sparse(registry, sparse)
    for _ in range(3):
        run(registry.services)
        assert listed(registry) == {"first": ["linux/amd64"], "sparse": None}
        look_again(registry)
    registry.push_blob(REPOSITORY, sparse.config)
    run(registry.services)
    assert listed(registry)["sparse"] == ["linux/amd64"]


def test_a_config_that_never_comes_is_unknown_in_the_end(registry: Registry) -> None:
    push_sparse(registry, amd64())
    waits = []
    for _ in range(collector.MOST_ATTEMPTS - 1):
        assert run(registry.services)["platforms"] == 1
        assert listed(registry) == {"sparse": None}
        ((seconds,),) = select(registry, "SELECT CAST(extract(epoch FROM look_after - now()) AS float) FROM platforms")
        waits.append(seconds)
        look_again(registry)
    assert [round(wait / 60) for wait in waits] == [2**n for n in range(collector.MOST_ATTEMPTS - 1)]
    run(registry.services)
    assert listed(registry) == {"sparse": []}
    assert rows(registry, "platforms WHERE look_after IS NOT NULL") == 0


# ---- a store that is away


@pytest.fixture
def few_together(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many are asked for at once: where there are more, few images are enough."""
    monkeypatch.setattr(collector, "_TOGETHER", 8)
    return 8


@pytest.mark.parametrize(("action", "status"), [("status", 503), ("status", 403), ("status", 429), ("break", 0)])
def test_without_the_store_the_run_ends_and_the_next_one_goes_on(
    registry: Registry, few_together: int, store: Store, capsys: pytest.CaptureFixture[str], action: str, status: int
) -> None:
    for number in range(few_together + 5):
        registry.push_image(
            REPOSITORY, f"v{number}", Image(encode({"os": "linux", "architecture": "arm", "n": number}), ())
        )
    store.fail("GET .*/o/", action, status=status)
    started = time.monotonic()
    assert run(registry.services)["platforms"] == 0
    assert time.monotonic() - started < 10
    (batch,), (line,) = logs(capsys)
    assert (batch["looked_at"], batch["failed"], line["out_of_time"]) == (few_together, few_together, False)
    assert set(listed(registry).values()) == {None}
    assert select(registry, DUE) == [[5]]
    store.recover()
    assert run(registry.services)["platforms"] == 5
    look_again(registry)
    assert run(registry.services)["platforms"] == few_together
    assert set(map(str, listed(registry).values())) == {"['linux/arm']"}


def test_one_object_that_the_store_keeps_back_holds_nobody_up_and_is_told_of(
    registry: Registry, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    kept_back = registry.push_image(REPOSITORY, "bad", amd64())
    registry.push_image(REPOSITORY, "good", amd64())
    name = objects_of(registry, kept_back)
    store.fail(f"GET .*/{name.replace('/', '%2F')}", status=403)
    assert run(registry.services)["platforms"] == 1
    assert listed(registry) == {"bad": None, "good": ["linux/amd64"]}
    for _ in range(6):
        look_again(registry)
        run(registry.services)
    reports = logged(capsys, "a config can't be read")
    assert [(report["object"], report["attempts"]) for report in reports] == [(name, 6), (name, 7)]
    assert "403" in reports[0]["reason"]
    store.recover()
    look_again(registry)
    run(registry.services)
    assert listed(registry)["bad"] == ["linux/amd64"]


def test_a_store_that_stalls_is_waited_for_once(registry: Registry, store: Store) -> None:
    registry.push_image(REPOSITORY, "v1", amd64())
    store.fail("GET .*/o/", "stall", seconds=10, count=1)
    started = time.monotonic()
    assert run(registry.services)["platforms"] == 0
    assert time.monotonic() - started < 8


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_STORAGE_TIMEOUT_SECONDS": "1"}


# ---- several at once


def test_several_collectors_look_at_each_image_once(
    registry: Registry, few_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 3 * few_together
    for number in range(count):
        registry.push_image(
            REPOSITORY, f"v{number}", Image(encode({"os": "linux", "architecture": "arm", "n": number}), ())
        )
    asked: Counter[str] = Counter()
    lock = threading.Lock()
    read_once = type(registry.services.bucket).read_once

    def counted(bucket: Any, name: str, size: int) -> bytes:
        with lock:
            asked[name] += 1
        return read_once(bucket, name, size)

    monkeypatch.setattr(type(registry.services.bucket), "read_once", counted)
    assert run_at_once(registry, 3)["platforms"] == count
    assert (len(asked), set(asked.values())) == (count, {1})
    assert set(map(str, listed(registry).values())) == {"['linux/arm']"}


def test_no_transaction_is_open_while_the_store_is_asked(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    registry.push_image(REPOSITORY, "v1", amd64())
    read_once = type(registry.services.bucket).read_once
    opened: list[int] = []

    def looked(bucket: Any, name: str, size: int) -> bytes:
        # Only of clients: autovacuum has a transaction of its own in every database, whenever it likes.
        sql = """SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
                    AND backend_type = 'client backend'"""
        opened.append(query(database, sql)[0][0])
        return read_once(bucket, name, size)

    monkeypatch.setattr(type(registry.services.bucket), "read_once", looked)
    run(registry.services)
    assert opened == [0]


def test_a_manifest_that_is_being_deleted_is_not_waited_for(registry: Registry, database_url: str) -> None:
    first = registry.push_image(REPOSITORY, "first", amd64())
    registry.push_image(REPOSITORY, "second", amd64())
    claimed = platforms.claim(registry.services.database, 10)
    found = {look.manifest_id: read_config(first.config) for look in claimed}
    with OpenTransaction(database_url) as other:
        other.run("DELETE FROM tags WHERE name = 'first'")
        other.run("DELETE FROM manifests WHERE digest = :digest", digest=first.digest.to_bytes())
        platforms.tell(registry.services.database, found)
        assert listed(registry) == {"first": None, "second": ["linux/amd64"]}
        other.commit()
    assert rows(registry, "platforms") == 1


# ---- garbage


def test_what_waits_to_be_looked_at_is_collected_all_the_same(hasty: Registry, store: Store) -> None:
    hasty.push_image(REPOSITORY, image=amd64())
    store.fail("GET .*/o/")
    collect(hasty)
    assert [rows(hasty, table) for table in ("manifests", "blobs", "deletions", "platforms")] == [0, 0, 0, 0]
    assert store.objects() == set()


def test_a_look_queues_no_review(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1", amd64())
    run(registry.services)
    reviews = "SELECT manifest_id, review_after, event FROM manifest_reviews"
    execute(registry, "UPDATE platforms SET look_after = now(), os = NULL")
    before = select(registry, reviews)
    assert run(registry.services)["platforms"] == 1
    assert select(registry, reviews) == before
    assert listed(registry) == {"v1": ["linux/amd64"]}


def test_a_repository_goes_with_what_it_was_to_be_asked(registry: Registry) -> None:
    registry.push_image(REPOSITORY, "v1", amd64())
    assert removal.remove(registry.services.database, RepositoryName(REPOSITORY)) is not None
    assert rows(registry, "platforms") == 0
    assert run(registry.services)["platforms"] == 0
