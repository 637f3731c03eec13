"""All endpoints under `/api/`."""

from __future__ import annotations

from typing import Final

from functions.api.endpoint import Endpoint
from functions.api.v1 import endpoints as others
from functions.api.v1.access import endpoints as access
from functions.api.v1.background import endpoints as background
from functions.api.v1.backups import endpoints as backups
from functions.api.v1.checks import endpoints as checks
from functions.api.v1.events import endpoints as events
from functions.api.v1.history import endpoints as history
from functions.api.v1.imports import endpoints as imports
from functions.api.v1.insights import endpoints as insights
from functions.api.v1.management import endpoints as management
from functions.api.v1.retention import endpoints as retention

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *others.ENDPOINTS,
    *access.ENDPOINTS,
    *backups.ENDPOINTS,
    *checks.ENDPOINTS,
    *events.ENDPOINTS,
    *imports.ENDPOINTS,
    *background.ENDPOINTS,
    *insights.ENDPOINTS,
    *history.ENDPOINTS,
    *management.ENDPOINTS,
    *retention.ENDPOINTS,
)
