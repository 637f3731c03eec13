"""What `work` does about backups: one thing at a time, of whatever was asked for or is due by the clock."""

from __future__ import annotations

from typing import Final, Protocol

from functions.migrate.backups.layout import BackupInvalid
from functions.migrate.backups.making import Making, TooMuchLost
from functions.migrate.backups.pruning import Pruning
from functions.migrate.backups.stores import DestinationInvalid, open_destination
from functions.migrate.backups.verifying import Verifying
from functions.registry import telemetry
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.runs import HoldEnded, LeaseLost, RunUnderWay
from functions.registry.metadata.backups.vocabulary import Claim
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.wiring import Services

_MOST_ATTEMPTS: Final = 8
_AGAIN_SECONDS: Final = 15.0
_LONGEST_AGAIN_SECONDS: Final = 120.0


class _Work(Protocol):
    def go_on(self) -> bool: ...


def ask_for_what_is_due(services: Services) -> None:
    """Asks by the clock, where a deployment has set one; and tells the log when the last backup is too old."""
    settings, database = services.settings, services.database
    if not (settings.backups and settings.backup_every_seconds):
        return
    latest = runs.latest(database, settings.backup_every_seconds)
    if latest.is_late:
        telemetry.log("ERROR", "the last backup is too old", sealed_at=str(latest.sealed_at))
    try:
        if latest.is_due:
            runs.ask(database, "backup", settings.backups)
    except RunUnderWay:
        return


def back_up(services: Services, deadline: float) -> int:
    """Goes on with what is to be done until that is done or the time is over. Returns how many things it worked on."""
    run = runs.claim(services.database)
    if run is None:
        return 0
    try:
        if _work(services, run, deadline).go_on():
            _prune_after(services, run)
        else:
            runs.put_off(services.database, run, 0)
    except LeaseLost:
        telemetry.log("WARNING", "somebody else goes on with a backup", run=run.id)
    except HoldEnded:
        _fail(services, run, "it stood still for so long that objects may have been deleted which its rows name")
    except (AccessRefused, BackupInvalid, DestinationInvalid, TooMuchLost) as error:
        _fail(services, run, str(error))
    except (BlobStoreUnavailable, MetadataUnavailable) as error:
        _put_off(services, run, error)
    except Exception as error:  # noqa: BLE001  # whatever it is, no hold is to stay for it
        telemetry.log_exception("a backup failed unexpectedly", error, run=run.id)
        _fail(services, run, f"{type(error).__name__}: {error}")
    return 1


def _work(services: Services, run: Claim, deadline: float) -> _Work:
    store = open_destination(services.settings, run.destination)
    match run.kind:
        case "backup":
            return Making(services, run, store, deadline)
        case "verification":
            return Verifying(services.database, run, store, deadline)
        case "prune":
            return Pruning(services.database, run, store, deadline)


def _put_off(services: Services, run: Claim, error: Exception) -> None:
    """Later each time, and not so late that the hold ends."""
    if run.attempts >= _MOST_ATTEMPTS:
        _fail(services, run, str(error))
        return
    seconds = min(_AGAIN_SECONDS * 2.0 ** (run.attempts - 1), _LONGEST_AGAIN_SECONDS)
    telemetry.log("WARNING", "a backup waits", run=run.id, reason=str(error), seconds=seconds)
    runs.put_off(services.database, run, seconds, str(error))


def _fail(services: Services, run: Claim, reason: str) -> None:
    telemetry.log("ERROR", "a backup failed", run=run.id, kind=run.kind, reason=reason)
    try:
        runs.end(services.database, run, "failed", reason)
    except LeaseLost:
        return


def _prune_after(services: Services, run: Claim) -> None:
    """Each backup that was made by the clock is followed by the next thing that keeps the destination small."""
    keep = services.settings.backup_keep
    if run.kind == "backup" and services.settings.backup_every_seconds and keep:
        try:
            runs.ask(services.database, "prune", run.destination, keep=dict(keep))
        except RunUnderWay:
            return
