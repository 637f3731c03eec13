"""What access control leaves behind: expired tokens, failures that are forgiven, the far end of the audit trail."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.access import audit, credentials, failed_sign_ins
from functions.registry.metadata.console import sessions
from functions.registry.wiring import Services

AUDIT_DAYS: Final = 400


def collect(services: Services, limit: int) -> int:
    """Takes away about `limit` rows of each kind at most. Returns how many there were."""
    database = services.database
    expired = credentials.expire(database, limit) + failed_sign_ins.expire(database, limit)
    expired += sessions.expire(database, limit)
    settings = services.settings
    bounds = audit.Bounds(settings.audit_refusals, settings.audit_rows, AUDIT_DAYS)
    return expired + audit.trim(database, bounds, limit)
