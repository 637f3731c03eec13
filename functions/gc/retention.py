"""Retention: one step at a time of whatever is to be done. Where there is no policy that is one statement."""

from __future__ import annotations

import time
from typing import Final

from functions.registry import telemetry
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.metadata.retention import clock, fills, reviews, runs, scheduled
from functions.registry.metadata.retention.reviews import Key
from functions.registry.retention import applying, gathering, judging, planning
from functions.registry.wiring import Services

# Past this a review won't mend by itself; it is never given up.
_ATTEMPTS_UNREPORTED: Final = 5
# How long a plan is worked at before something else has its turn.
_PLAN_SECONDS: Final = 20.0
_APPLY_SECONDS: Final = 10.0


def collect(services: Services, limit: int) -> int:
    """Does a step of what comes first: fills, then verdicts on what is due, then runs. Returns 0 if nothing is left.

    Runs come last, so that what is due together is braked together.
    """
    todo = clock.look(services.database)
    if todo.fills and (filled := fills.step(services.database)):
        return filled
    if todo.reviews and (judged := _gather(services, gathering.MOST_REVIEWS)):
        return judged
    if todo.open_runs and _close(services):
        return 1
    if todo.runs and (done := _work_at_runs(services)):
        return done
    return runs.expire(services.database, limit) if todo.expired else 0


def _leeway(services: Services) -> int:
    return judging.leeway(services.settings.pulls_and_pushes_interval_seconds)


def _gather(services: Services, limit: int) -> int:
    """A batch that fails is gone through one by one, and the review that fails alone is put off."""
    claimed: list[Key] = []
    try:
        gathered = gathering.gather(services.database, _leeway(services), limit, claimed)
    except MetadataUnavailable:
        raise
    except Exception as error:
        if not claimed:
            raise  # no review is to blame
        if len(claimed) > 1:
            return sum(_gather(services, 1) for _ in range(len(claimed)))
        _put_off(services, claimed[0], error)
        return 1
    if gathered.judged:
        telemetry.log("INFO", "retention judged", judged=gathered.judged, found=dict(gathered.found))
    return gathered.judged


def _put_off(services: Services, key: Key, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    telemetry.log_exception("a retention review failed and was put off", error, repository_id=key[0], tag=key[1])
    attempts = services.database.one_or_none(reviews.failing(key, reason)) or 0
    if attempts > _ATTEMPTS_UNREPORTED:
        telemetry.log("ERROR", "a retention review fails again and again", repository_id=key[0], tag=key[1])


def _close(services: Services) -> bool:
    closed = scheduled.close(services.database)
    if closed is None:
        return False
    fields = {"run": closed.id, "policy": closed.policy, "tags": closed.waiting, "reason": closed.reason}
    if closed.state == "held":
        telemetry.log("WARNING", "a retention run is held", **fields)
    else:
        telemetry.log("INFO", "retention run closed", state=closed.state, **fields)
    return True


def _apply(services: Services) -> int:
    """Applies parts of one run, each a transaction; returns how many."""
    deadline, parts, removed, left_alone = time.monotonic() + _APPLY_SECONDS, 0, 0, 0
    while applied := applying.apply_some(services.database, _leeway(services)):
        parts, removed, left_alone = parts + 1, removed + applied.removed, left_alone + applied.left_alone
        if applied.is_done or time.monotonic() > deadline:
            fields = {"run": applied.run, "policy": applied.policy, "done": applied.is_done}
            telemetry.log("INFO", "retention applied", removed=removed, left_alone=left_alone, **fields)
            break
    return parts


def _work_at_runs(services: Services) -> int:
    if applied := _apply(services):
        return applied
    return planning.make(services.database, _leeway(services), time.monotonic() + _PLAN_SECONDS)
