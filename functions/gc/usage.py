"""Figures that are not kept at once: what was left to be added up, what no tag reaches, ranks, and days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from functions.registry import telemetry
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.metadata.usage import counters, daily, trends, untagged
from functions.registry.wiring import Services

# A few at a time, so that a run that is out of time ends soon.
_SCANS: Final = 20


def collect(services: Services, limit: int) -> int:
    """Settles at most `limit` changes. Returns how many there were."""
    return counters.settle(services.database, limit)


def scan_untagged(services: Services, limit: int) -> int:
    """Scans a few repositories that are due for what no tag reaches, at most `limit`. Returns how many that were."""
    database = services.database
    due = untagged.due(database, min(limit, _SCANS))
    scanned = [_scan(services, repository_id) for repository_id in due]
    if namespaces := {namespace for namespace in scanned if namespace is not None}:
        daily.note_bytes(database, sorted(namespaces))
    # Those that others have claimed are due until they are done.
    return len([namespace for namespace in scanned if namespace is not None])


def _scan(services: Services, repository_id: int) -> int | None:
    try:
        return untagged.scan(services.database, repository_id)
    except MetadataUnavailable as error:
        # Too large to be read in half a minute. Without a database this raises as well.
        untagged.give_up(services.database, repository_id)
        telemetry.log("ERROR", "an untagged scan was given up", repository_id=repository_id, reason=str(error))
        return None


def add_up_trends(services: Services, limit: int) -> int:
    """Adds up what at most `limit` repositories are ranked by. Returns how many there were."""
    return trends.add_up(services.database, limit)


def trim(services: Services, limit: int) -> int:
    """Takes away days that are not kept any longer, at most `limit` of each kind."""
    before = datetime.now(UTC).date() - timedelta(days=daily.KEPT_DAYS)
    return daily.trim(services.database, before, limit)
