"""Figures that are not kept at once: what was left to be added up, what no tag reaches, ranks, and days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from functions.registry import telemetry
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.metadata.usage import counters as usage
from functions.registry.metadata.usage import daily as days
from functions.registry.metadata.usage import trends as ranks
from functions.registry.metadata.usage import untagged as surveys
from functions.registry.wiring import Services

# A few at a time, so that a run that is out of time ends soon.
_SURVEYS: Final = 20


def collect(services: Services, limit: int) -> int:
    """Settles at most `limit` changes. Returns how many there were."""
    return usage.settle(services.database, limit)


def survey(services: Services, limit: int) -> int:
    """Surveys a few repositories that are due, at most `limit`. Returns how many that were."""
    database = services.database
    due = surveys.due(database, min(limit, _SURVEYS))
    surveyed = [_survey(services, repository_id) for repository_id in due]
    if namespaces := {namespace for namespace in surveyed if namespace is not None}:
        days.note_bytes(database, sorted(namespaces))
    # Those that others have claimed are due until they are done.
    return len([namespace for namespace in surveyed if namespace is not None])


def _survey(services: Services, repository_id: int) -> int | None:
    try:
        return surveys.survey(services.database, repository_id)
    except MetadataUnavailable as error:
        # Too large to be read in half a minute. Without a database this raises as well.
        surveys.give_up(services.database, repository_id)
        telemetry.log("ERROR", "a survey was given up", repository_id=repository_id, reason=str(error))
        return None


def rank(services: Services, limit: int) -> int:
    """Adds up what at most `limit` repositories are ranked by. Returns how many there were."""
    return ranks.add_up(services.database, limit)


def trim(services: Services, limit: int) -> int:
    """Takes away days that are not kept any longer, at most `limit` of each kind."""
    before = datetime.now(UTC).date() - timedelta(days=days.KEPT_DAYS)
    return days.trim(services.database, before, limit)
