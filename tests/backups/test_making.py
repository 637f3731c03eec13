"""A backup: held, written, copied, sealed; whole or none."""

from __future__ import annotations

from datetime import datetime

import pytest

from functions.migrate import work
from functions.migrate.backups import layout
from functions.migrate.backups.tables import COPIED
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.runs import RunUnderWay
from tests.backups.conftest import Backups, delete_object, read_json
from tests.metadata.build import query, value
from tests.support import Image, Registry


def test_a_backup_has_the_rows_and_the_objects_and_a_seal_at_last(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    registry.push_image("c/d")
    made = backups.make()
    seal = layout.read_seal(backups.store, made.name)
    assert (seal.name, seal.snapshot_at, seal.missing) == (made.name, made.snapshot_at, [])
    assert seal.tables["manifests"].rows == 2
    assert set(seal.tables) <= set(COPIED)
    assert seal.objects.rows == made.counts["objects"] == made.counts["copied"] == 6
    rows = b"".join(layout.unpack(backups.store, layout.rows_name(made.name, "tags"), seal.tables["tags"]))
    assert rows.count(b"\n") == 1
    assert b"\tv1\t" in rows
    for entry in layout.entries(backups.store, made.name, seal.objects):
        content = b"".join(backups.store.read(layout.OBJECTS + entry.name))
        assert (len(content), entry.digest.of(content)) == (entry.size, entry.digest)
    assert query(backups.database, "SELECT FROM holds") == []


def test_a_second_backup_of_an_unchanged_registry_copies_nothing(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    first = backups.make()
    second = backups.make()
    assert second.name != first.name
    assert (second.counts.get("copied", 0), second.counts["seen"]) == (0, first.counts["copied"])
    registry.push_image("a/b", "v2", Image(layers=(b"new",)))
    assert backups.make().counts["copied"] == 2


def test_of_an_empty_registry(backups: Backups) -> None:
    made = backups.make()
    assert made.counts["objects"] == 0
    assert list(layout.entries(backups.store, made.name)) == []


def test_one_thing_at_a_time(backups: Backups) -> None:
    runs.ask(backups.database, "backup", backups.destination)
    with pytest.raises(RunUnderWay):
        runs.ask(backups.database, "prune", backups.destination, keep={"d": 1})
    work.run(backups.registry.services)
    backups.do("prune", keep={"d": 1})


def test_what_was_damaged_before_is_missing_and_fails_no_backup(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    query(backups.database, "UPDATE blobs SET damaged_at = now() WHERE size = 1000")
    made = backups.make()
    assert (made.missing, made.counts["copied"]) == (1, 2)
    [name] = layout.read_seal(backups.store, made.name).missing
    assert value(backups.database, "SELECT size FROM blobs WHERE object_name = :name", name=name) == 1000


def test_what_is_found_to_be_gone_is_missing_and_marked(
    backups: Backups, registry: Registry, storage_address: str
) -> None:
    image = registry.push_image("a/b", "v1")
    gone = value(backups.database, "SELECT object_name FROM blobs WHERE size = 1000")
    delete_object(storage_address, registry.services.settings.bucket, gone)
    made = backups.make()
    assert layout.read_seal(backups.store, made.name).missing == [gone]
    assert registry.get(f"/v2/a/b/blobs/{image.blob_digests[1]}").status_code == 404


def test_a_bucket_that_lacks_almost_everything_is_no_loss_and_makes_no_backup(
    backups: Backups, registry: Registry, storage_address: str
) -> None:
    for number in range(25):
        registry.push_blob("a/b", f"blob {number}".encode())
    for (name,) in query(backups.database, "SELECT object_name FROM blobs"):
        delete_object(storage_address, registry.services.settings.bucket, name)
    failed = backups.do()
    assert failed.state == "failed"
    assert "is it the right bucket" in str(failed.error)
    assert not layout.is_sealed(backups.store, failed.name)
    assert query(backups.database, "SELECT FROM holds") == []


def test_the_seal_names_what_a_restore_needs(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    made = backups.make()
    seal = read_json(backups.store, layout.seal_name(made.name))
    assert seal["revisions"] == sorted(seal["revisions"])
    assert seal["sequences"]["manifests_id_seq"] == value(backups.database, "SELECT max(id) FROM manifests")
    assert seal["tables"]["manifests"]["columns"][:2] == ["id", "repository_id"]
    assert "bytes" not in seal["tables"]["registry_usage"]["columns"], "it is made of other columns"
    assert datetime.fromisoformat(seal["snapshot_at"]) <= datetime.fromisoformat(seal["sealed_at"])
