"""Paths under `/api/` that belong to no larger subject."""

from __future__ import annotations

from typing import Final

from functions.api.route import NAME

DESCRIPTION: Final = r"/api/openapi\.json"
COLLECTION: Final = r"/api/v1/collection"
COLLECTION_RUNS: Final = r"/api/v1/gc/runs"
COLLECTION_OF_REPOSITORY: Final = rf"/api/v1/repositories/{NAME}/-/collection"
