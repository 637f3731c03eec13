"""What can't be put back any more goes: withdrawn manifests, repositories set aside, and old history."""

from __future__ import annotations

from functions.registry.metadata.history import ending
from functions.registry.wiring import Services


def end_withdrawn(services: Services, limit: int) -> int:
    """Returns how many manifests' time is over."""
    return ending.end_withdrawn(services.database, limit)


def end_repositories(services: Services, limit: int) -> int:
    """Returns how many rows went of a repository that was deleted."""
    return ending.end_repository(services.database, limit)


def trim(services: Services, limit: int) -> int:
    """Returns how many bindings of tags are forgotten."""
    return ending.trim_history(services.database, limit)
