"""A registry comes back: everything that could be pulled can be, and nothing goes that nobody had time to want."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from functions.gc.run import run as collect
from functions.migrate.backups import layout
from functions.migrate.backups.layout import BackupInvalid
from functions.migrate.backups.restoring import Restored, RestoreRefused, Restoring, choose
from functions.migrate.backups.rows import NotEmpty
from functions.migrate.backups.tables import COPIED
from functions.migrate.schema import schema_of, take_down, upgrade
from functions.registry.config import Settings
from functions.registry.metadata.db import Database
from functions.registry.metadata.usage.recount import recount
from tests.backups.conftest import Backups, delete_object
from tests.metadata.build import query, value
from tests.support import Image, Registry, index_of


def restore(backups: Backups, elsewhere: Settings, *, is_forced: bool = False) -> Restored:
    store = backups.store
    return Restoring(elsewhere, store, choose(store), lambda _: None).run(is_forced=is_forced)


def contents(url: str, tables: set[str]) -> dict[str, list[Any]]:
    """All rows of the tables."""
    with closing(Database(url, size=1)) as database:
        there = {
            name for (name,) in query(database, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        }
        return {table: sorted(map(repr, query(database, f"SELECT * FROM {table}"))) for table in sorted(tables & there)}  # noqa: S608


def test_every_tag_can_be_pulled_again_and_figures_are_right(
    backups: Backups, registry: Registry, elsewhere: Settings, there: Callable[[], Registry]
) -> None:
    image = registry.push_image("a/b", "v1")
    registry.push_image("a/b", "v1")
    child = registry.push_image("c/d", image=Image(layers=(b"shared", b"")))
    index = index_of(child.manifest)
    registry.put_manifest("c/d", "all", index)
    loose = registry.push_blob("a/b", b"no manifest names it")
    backups.make()
    restored = restore(backups, elsewhere)
    assert (restored.missing, restored.lost) == ([], [])
    same = {"manifests", "tags", "blobs", "repository_blobs", "manifest_blobs", "manifest_children", "repository_usage"}
    assert contents(elsewhere.database, same) == contents(registry.services.settings.database, same)

    other = there()
    assert other.get("/v2/c/d/manifests/all").data == index
    assert other.get(f"/v2/a/b/manifests/{image.digest}").data == image.manifest
    for blob, digest in zip(child.blobs, child.blob_digests, strict=True):
        assert other.pull_blob("c/d", digest) == blob
    assert other.pull_blob("a/b", loose) == b"no manifest names it"
    assert recount(other.services.database).differences == []

    other.push_image("a/b", "v2")
    other.push_image("new/one", "v1")
    assert recount(other.services.database).differences == []


def test_what_is_due_waits_for_a_day_at_least(
    backups: Backups, registry: Registry, elsewhere: Settings, there: Callable[[], Registry]
) -> None:
    """A first collection takes nothing, although all that was due then has been due for long."""
    registry.push_image("a/b")
    for table in ("manifest_reviews", "link_reviews"):
        query(backups.database, f"UPDATE {table} SET review_after = now() - interval '1 minute'")  # noqa: S608
    backups.make()
    restore(backups, elsewhere)
    other = there()
    assert collect(other.services)["manifests"] == 0
    assert value(other.services.database, "SELECT count(*) FROM manifests") == 1
    least, most = query(
        other.services.database, "SELECT min(review_after) - now(), max(review_after) - now() FROM manifest_reviews"
    )[0]
    assert timedelta(hours=23) < least <= most < timedelta(hours=26)


def test_who_may_do_what_comes_back_and_who_was_signed_in_does_not(backups: Backups, elsewhere: Settings) -> None:
    query(backups.database, "INSERT INTO principals (kind, name) VALUES ('user', 'alice')")
    query(
        backups.database,
        """
        INSERT INTO refresh_tokens (hash, principal_id, via, is_read_only, claims, expires_at)
        SELECT 'x', id, 'password', false, '{}', now() FROM principals
        """,
    )
    with closing(Database(elsewhere.database, size=1)) as database:
        query(database, "INSERT INTO principals (kind, name, is_admin) VALUES ('user', 'admin', true)")
        backups.make()
        restore(backups, elsewhere)
        assert query(database, "SELECT name FROM principals") == [["alice"]]
        assert query(database, "SELECT FROM refresh_tokens") == []


def test_of_the_backups_the_one_that_was_restored_is_known_as_sealed(backups: Backups, elsewhere: Settings) -> None:
    first, second = backups.make(), backups.make()
    restore(backups, elsewhere)
    with closing(Database(elsewhere.database, size=1)) as database:
        assert query(database, "SELECT name, state FROM backup_runs ORDER BY id") == [
            [first.name, "sealed"],
            [second.name, "sealed"],
        ]


@pytest.mark.parametrize("what", ["repository", "upload", "blob"])
def test_nothing_is_restored_over_what_somebody_has_pushed(
    backups: Backups, registry: Registry, elsewhere: Settings, there: Callable[[], Registry], what: str
) -> None:
    registry.push_image("a/b", "v1")
    backups.make()
    other = there()
    match what:
        case "repository":
            other.push_image("x/y", "v1")
        case "upload":
            other.start_upload("x/y")
        case _:
            query(
                other.services.database, "INSERT INTO blobs (digest, size, object_name) VALUES ('\\x01', 1, 'blobs/x')"
            )
    before = contents(elsewhere.database, set(COPIED))
    with pytest.raises(NotEmpty, match="a backup is restored into one that was just made"):
        restore(backups, elsewhere)
    assert contents(elsewhere.database, set(COPIED)) == before


def test_a_backup_that_was_cut_short_is_no_backup(backups: Backups, registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    made = backups.make()
    backups.store.delete([layout.seal_name(made.name)])
    with pytest.raises(BackupInvalid, match="no sealed backup"):
        choose(backups.store)
    with pytest.raises(BackupInvalid, match="cut short"):
        choose(backups.store, made.name)


def test_a_part_that_is_not_what_it_was_leaves_everything_as_it_is(
    backups: Backups, elsewhere: Settings, registry: Registry
) -> None:
    registry.push_image("a/b", "v1")
    made = backups.make()
    name = layout.rows_name(made.name, "tags")
    whole = b"".join(backups.store.read(name))
    before = contents(elsewhere.database, set(COPIED))
    for damaged in (whole[:-3], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"no gzip"):
        backups.store.delete([name])
        layout.write(backups.store, name, damaged)
        with pytest.raises(BackupInvalid, match="tags"):
            restore(backups, elsewhere)
    assert contents(elsewhere.database, set(COPIED)) == before
    backups.store.delete([name])
    layout.write(backups.store, name, whole)
    restore(backups, elsewhere)


def test_an_object_that_the_backup_lost_is_told_and_forced_past(
    backups: Backups, registry: Registry, elsewhere: Settings, there: Callable[[], Registry]
) -> None:
    image = registry.push_image("a/b", "v1")
    backups.make()
    lost = value(backups.database, "SELECT object_name FROM blobs WHERE size = 1000")
    backups.store.delete([layout.OBJECTS + lost])
    with pytest.raises(RestoreRefused, match="lacks 1 objects"):
        restore(backups, elsewhere)
    assert restore(backups, elsewhere, is_forced=True).lost == [lost]
    other = there()
    assert other.get(f"/v2/a/b/blobs/{image.blob_digests[1]}").status_code == 404
    other.push_image("a/b", "v1", image)
    assert other.pull_blob("a/b", image.blob_digests[1]) == image.layers[0]


def test_what_the_registry_had_lost_before_is_lost_there_too(
    backups: Backups, registry: Registry, elsewhere: Settings, storage_address: str, there: Callable[[], Registry]
) -> None:
    image = registry.push_image("a/b", "v1")
    gone = value(backups.database, "SELECT object_name FROM blobs WHERE size = 1000")
    delete_object(storage_address, registry.services.settings.bucket, gone)
    backups.make()
    assert restore(backups, elsewhere).missing == [gone]
    other = there()
    assert other.get(f"/v2/a/b/blobs/{image.blob_digests[1]}").status_code == 404
    assert other.pull_blob("a/b", image.blob_digests[2]) == image.layers[1]


@pytest.mark.parametrize("destination", ["folder"], indirect=True)
@pytest.mark.parametrize("of_database", ["none", "pre", "all"])
@pytest.mark.parametrize("of_backup", ["pre", "all"])
def test_it_comes_back_in_the_schema_that_it_had_and_then_goes_on_to_this_one(
    backups: Backups, registry: Registry, elsewhere: Settings, of_backup: str, of_database: str
) -> None:
    """Whatever revisions the new database has: what later ones do to rows, they do to those of the backup."""
    registry.push_image("a/b", "v1")
    made = backups.make()
    latest = schema_of(elsewhere.database)
    if of_backup == "pre":
        _reseal(backups, made.name, [name for name in latest if name.startswith("pre_")])
    if of_database != "all":
        take_down(elsewhere.database)
    if of_database == "pre":
        upgrade(elsewhere.database, ("pre",))
    restore(backups, elsewhere)
    assert schema_of(elsewhere.database) == latest
    with closing(Database(elsewhere.database, size=1)) as database:
        assert value(database, "SELECT count(*) FROM tags") == 1


def test_a_backup_of_a_later_release_is_refused(backups: Backups, elsewhere: Settings) -> None:
    made = backups.make()
    _reseal(backups, made.name, ["pre_9999"])
    with pytest.raises(Exception, match="pre_9999 is of a later release"):
        restore(backups, elsewhere)


def _reseal(backups: Backups, name: str, revisions: list[str]) -> None:
    """Seals it as a release would have done whose last revisions these are."""
    seal = layout.read_seal(backups.store, name)
    backups.store.delete([layout.seal_name(name)])
    seal.revisions[:] = revisions
    layout.write(backups.store, layout.seal_name(name), seal.encode())
