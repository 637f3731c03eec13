"""`operator restore-backup`: a registry comes back, into a deployment that holds nothing yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from sqlalchemy.exc import DBAPIError

from functions.migrate.administrator import AdministratorRefused, make_administrator
from functions.migrate.backups.layout import BackupInvalid, Seal
from functions.migrate.backups.restoring import Restored, RestoreRefused, Restoring, bring_back_objects, choose
from functions.migrate.backups.rows import NotEmpty, require_empty, settle
from functions.migrate.backups.stores import DestinationInvalid, Store, open_destination
from functions.migrate.schema import SchemaNewer
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable
from functions.registry.config import Settings
from functions.registry.metadata.backups import drills
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.metadata.usage.recount import recount
from slipway_cli.asking import changes, goes_on
from slipway_cli.failures import Away, Failed
from slipway_cli.operator import desk
from slipway_cli.output import say, write_line
from slipway_cli.tree import alone
from slipway_cli.units import Moment


@alone(
    "restore-backup",
    "slipway operator restore-backup gs://elsewhere/slipway --dry-run",
    "slipway operator restore-backup /mnt/backups --backup 20260131T020000Z-3f9a1c --yes",
    is_local=True,
)
@click.argument("source")
@click.option("--backup", "name", help="Which one; the latest that is sealed, if nothing is said.")
@click.option("--objects-only", is_flag=True, help="Only objects that this registry's bucket lacks. Rows stay.")
@click.option("--force", is_flag=True, help="Also if the backup lacks objects: their blobs are marked as damaged.")
@changes
def restore_backup(source: str, name: str | None, objects_only: bool, force: bool, yes: bool, dry_run: bool) -> None:
    """Bring a registry back from SOURCE, which is gs://BUCKET[/PREFIX] or a folder.

    Into a database that was just made and a bucket of its own (SLIPWAY_BUCKET), as whoever owns the tables. Whatever is
    due is put off by the time that has passed, and by a day at least; whoever was signed in signs in again.
    """
    with _refusals():
        settings = desk.settings()
        desk.reach_store()
        store = open_destination(settings, source.rstrip("/") or source)
        if objects_only:
            if goes_on(f"copy objects that {settings.bucket} lacks from {source}", yes=yes, dry_run=dry_run):
                _bring_back(settings, store)
            return
        seal = choose(store, name)
        what = (
            f"restore {seal.name}, of {seal.snapshot_at:%Y-%m-%d %H:%M} UTC, with {seal.tables['tags'].rows} tags and"
            f" {seal.objects.rows} objects"
        )
        require_empty(settings.database)
        if not goes_on(what, yes=yes, dry_run=dry_run):
            return
        began = time.monotonic()
        restored = Restoring(settings, store, seal, say).run(is_forced=force)
        _end(settings, seal, restored, began)


@alone(
    "after-recovery",
    "slipway operator after-recovery 2026-01-31T10:00Z --dry-run",
    "slipway operator after-recovery 2026-01-31T10:00Z --yes",
    is_local=True,
)
@click.argument("moment", type=Moment())
@changes
def after_recovery(moment: str, yes: bool, dry_run: bool) -> None:
    """Prepare a database that went back to MOMENT before it is used: what is due since then is put off, imports are
    paused.

    Without it the first collection would take what nobody had time to want. Whoever was signed in signs in again.
    """
    at = datetime.fromisoformat(moment)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not goes_on(f"put off all that is due since {at:%Y-%m-%d %H:%M} UTC", yes=yes, dry_run=dry_run):
        return
    with _refusals():
        settle(desk.settings().database, at)
    say("done; once it is up: `slipway fsck`")


def _bring_back(settings: Settings, store: Store) -> None:
    """What was marked meanwhile, a check unmarks."""
    restored = bring_back_objects(settings, store, say)
    write_line(f"{restored.counts.get('copied', 0)} objects copied")
    say("next: `slipway fsck --repair` unmarks what is whole again, and marks what is not")
    if restored.lost:
        raise Failed(
            f"{len(restored.lost)} objects are in no backup, or another lies in their place: push their images"
        )


def _end(settings: Settings, seal: Seal, restored: Restored, began: float) -> None:
    """Makes the new deployment's administrator, counts the figures, which are as they were, wrong ones too, and says
    how a drill is recorded. `began` is when the restore did, by the monotonic clock.
    """
    make_administrator(settings)
    database = Database(settings.database, size=1)
    try:
        differences = recount(database).differences
        backup = drills.backup_of(database, seal.name)
    finally:
        database.close()
    seconds = round(time.monotonic() - began)
    counts = restored.counts
    write_line(f"restored {seal.name}: {seal.tables['tags'].rows} tags, {counts.get('copied', 0)} objects copied")
    for difference in differences:
        say(f"{difference.scope} {difference.name}: {difference.figure} was {difference.kept}, is {difference.counted}")
    if restored.missing:
        say(f"{len(restored.missing)} objects were missing before the backup, and are missing now")
    say(
        "if this is a drill: pull each tag and compare; then tell the registry that the backup is of how many are LOST:"
    )
    say(f"  slipway backup drilled {backup} --tags {seal.tables['tags'].rows} --lost LOST --seconds {seconds}")
    if restored.lost:
        raise Failed(f"the backup lacked {len(restored.lost)} objects: their blobs are marked, and pushes heal them")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (NotEmpty, RestoreRefused, BackupInvalid, DestinationInvalid, SchemaNewer, AdministratorRefused) as error:
        raise Failed(str(error)) from error
    except AccessRefused as error:
        raise Failed(f"a right is missing: {error}") from error
    except (BlobStoreUnavailable, MetadataUnavailable) as error:
        raise Away(str(error), "nothing is half restored: the same command once more goes on") from error
    except DBAPIError as error:
        raise Away(f"the database can't be used: {error.orig}", "is it up, and SLIPWAY_DATABASE right?") from error
