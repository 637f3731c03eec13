"""Works at background migrations, a batch at a time: the first that is active, until it has come to its end.

Several runners at once are fine: a batch is done by whoever has the migration's row locked, and the others wait.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from functions.migrate.background import pace
from functions.migrate.background.jobs import JOBS, Job
from functions.registry import telemetry
from functions.registry.metadata.background import batches, overview
from functions.registry.metadata.background.batches import Claim, Look
from functions.registry.metadata.db import Crowded, Database, MetadataUnavailable, NotMigrated, Session

# How long the database may be left alone before the run is over: the schedule begins another.
_PATIENCE_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.5
# After so long without a batch somebody should look.
_STILL_SECONDS: Final = 3600.0
_LONGEST_ERROR: Final = 500
# It takes somebody who looks after it: an alert counts these lines.
_STUCK: Final = "a background migration is stuck"


@dataclass(slots=True)
class _Attempt:
    """It remembers what a batch has set out to do, as far as it came before its transaction failed."""

    claim: Claim | None = None
    after: str = ""
    upto: str = ""
    rows: int = 0


class Runner:
    """`hurries` is for somebody who waits for it in the foreground: no rests. Locks and standbys are heeded anyway."""

    def __init__(self, database: Database, *, hurries: bool = False, jobs: Mapping[str, Job] = JOBS) -> None:
        self._database = database
        self._hurries = hurries
        self._jobs = jobs
        self._batches: Counter[str] = Counter()
        self._warned: set[str] = set()

    def work(self, deadline: float, *, waits: bool = True) -> int:
        """Does a batch, and returns 1; 0 if there is none to do, or none now.

        Where it `waits`, it does so until the next batch is due, but not for long: others may be in the way for hours.
        Raises MetadataUnavailable.
        """
        patient_until = min(deadline, time.monotonic() + _PATIENCE_SECONDS)
        while (look := batches.look(self._database)) is not None:
            reason = pace.reason_to_wait(look) if look.name in self._jobs else "release"
            if reason is not None:
                batches.wait(self._database, look.id, reason)
            elif not look.rest_seconds and self._step(look):
                self._batches[look.name] += 1
                return 1
            self._warn_if_still(look, reason or "locks")
            if not waits or reason == "release" or time.monotonic() >= patient_until:
                return 0
            time.sleep(min(look.rest_seconds or _LOOK_AGAIN_SECONDS, max(0.0, patient_until - time.monotonic())))
        return 0

    def tell(self) -> None:
        """Logs what was done, and how far each migration is by now."""
        for name, count in self._batches.items():
            found = overview.get(self._database, name)
            if found is not None:
                telemetry.log(
                    "INFO",
                    "background migration",
                    name=name,
                    batches=count,
                    state=found.state,
                    percent=found.percent,
                    rows_per_second=found.rows_per_second,
                    remaining_seconds=found.remaining_seconds,
                    waits_for=found.waits_for,
                )

    def _warn_if_still(self, look: Look, reason: str) -> None:
        if look.idle_seconds > _STILL_SECONDS and look.name not in self._warned:
            self._warned.add(look.name)
            hours = round(look.idle_seconds / 3600, 1)
            telemetry.log("WARNING", _STUCK, name=look.name, why=reason, hours=hours)

    def _step(self, look: Look) -> bool:
        """Returns False if somebody else works at it, or others were in the way."""
        attempt = _Attempt()
        try:
            return self._database.transaction(lambda session: self._batch(session, look.id, attempt))
        except Crowded:
            if attempt.claim is not None:
                self._put_off(attempt, attempt.claim, pace.PUT_OFF_SECONDS, "locks")
            return False
        except Exception as error:  # whatever the job can't do, other rows and other work are not to wait for it
            is_away = isinstance(error, MetadataUnavailable) and not isinstance(error, NotMigrated)
            if attempt.claim is None or not attempt.rows or is_away:
                raise
            self._fail(attempt, attempt.claim, error)
        return True

    def _batch(self, session: Session, id_: int, attempt: _Attempt) -> bool:
        attempt.claim = claim = batches.claim(session, id_)
        if claim is None:
            return False
        job, started = self._jobs[claim.name], time.monotonic()
        if claim.failed_key is not None and claim.failed_after is not None:
            attempt.after, attempt.upto, attempt.rows = claim.failed_after, claim.failed_key, 1
            job.fill(session, attempt.after, attempt.upto)
            batches.forget_failure(session, claim.id, claim.failed_key)
            return True
        part = session.all(job.part(after=claim.last, upto=claim.stop, size=claim.size))[0]
        if part.upto is None:
            _tell(claim.name, batches.end(session, claim.id))
            return True
        attempt.after, attempt.upto, attempt.rows = claim.last, part.upto, part.rows
        job.fill(session, attempt.after, attempt.upto)
        seconds = time.monotonic() - started
        size = pace.next_size(claim.size, seconds)
        rest = 0.0 if self._hurries or not claim.rests else pace.rest_after(seconds)
        batches.advance(session, claim, part, size, seconds, rest)
        return True

    def _fail(self, attempt: _Attempt, claim: Claim, error: Exception) -> None:
        """Halves the batch; of a single row it remembers why it could not be done."""
        if attempt.rows > 1:
            self._put_off(attempt, claim, 0.0, None)
            return
        reason = _reason(error)[:_LONGEST_ERROR]
        if claim.failed_key is not None:
            batches.fail_again(self._database, claim.id, claim.failed_key, reason)
            state: str | None = "active"
        else:
            state = batches.give_up(self._database, claim.id, attempt.after, attempt.upto, reason)
        telemetry.log_exception("a row can't be migrated", error, name=claim.name, key=attempt.upto)
        if state == "failed":
            _tell(claim.name, state)

    def _put_off(self, attempt: _Attempt, claim: Claim, seconds: float, reason: str | None) -> None:
        size = claim.size if claim.failed_key is not None else pace.half(attempt.rows or claim.size)
        batches.put_off(self._database, claim.id, claim.last, size, seconds, reason)


def _reason(error: Exception) -> str:
    """Returns what the database said, if it was that."""
    said = error.args[0] if error.args else None
    return str(said["M"]) if isinstance(said, dict) and "M" in said else f"{type(error).__name__}: {error}"


def _tell(name: str, state: str) -> None:
    if state == "failed":
        telemetry.log("ERROR", _STUCK, name=name, why="failed")
    else:
        telemetry.log("INFO", "a background migration is finished", name=name)
