"""Uploads that nobody finished: their rows go, and a trigger queues for deletion what they wrote."""

from __future__ import annotations

from functions.registry.metadata.content import uploads
from functions.registry.wiring import Services


def collect(services: Services, limit: int) -> int:
    """Returns how many of at most `limit` expired uploads were ended."""
    return uploads.expire(services.database, limit)
