"""One GC run: level after level, batch after batch, until nothing is due or the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from functions.gc import access, deletions, history, platforms, retention, uploads, usage
from functions.gc.reviews import BLOBS, LINKS, MANIFESTS, TAGS
from functions.registry import telemetry
from functions.registry.metadata.gc import backlog
from functions.registry.wiring import Services

BATCH: Final = 500
# Well below the ten minutes after which a message is delivered again.
BUDGET_SECONDS: Final = 240.0

# In the order in which garbage falls through them.
_COLLECTORS: Final[dict[str, Callable[[Services, int], int]]] = {
    # What it untags is queued for the next level.
    "retention": retention.collect,
    "withdrawn": history.end_withdrawn,
    "deleted_repositories": history.end_repositories,
    "auxiliary_tags": TAGS.collect,
    "manifests": MANIFESTS.collect,
    "links": LINKS.collect,
    "blobs": BLOBS.collect,
    "uploads": uploads.collect,
    "deletions": deletions.collect,
    "access": access.collect,
    "usage": usage.collect,
    "untagged": usage.scan_untagged,
    # By what untagged scans counted, among others.
    "trends": usage.add_up_trends,
    "days": usage.trim,
    "history": history.trim,
    # Last, for nothing waits for it.
    "platforms": platforms.collect,
}


def run(services: Services, budget_seconds: float = BUDGET_SECONDS) -> dict[str, int]:
    """Returns what each collector handled. Several runs at once are fine: each claims its own batches.

    Out of time, it sends the next trigger message itself. Raises MetadataUnavailable: then the message comes again.
    """
    deadline = time.monotonic() + budget_seconds
    handled = dict.fromkeys(_COLLECTORS, 0)
    with telemetry.recording() as record:
        for name, collect in _COLLECTORS.items():
            while time.monotonic() < deadline and (count := collect(services, BATCH)):
                handled[name] += count
        is_out_of_time = time.monotonic() >= deadline
        if is_out_of_time:
            services.gc_trigger.publish()
        left = backlog.left(services.database)
        telemetry.log(
            "INFO",
            "gc run",
            ms=record.milliseconds,
            statements=len(record.statements),
            out_of_time=is_out_of_time,
            overdue=left.overdue,
            oldest_seconds=round(left.oldest_seconds),
            **handled,
        )
    return handled
