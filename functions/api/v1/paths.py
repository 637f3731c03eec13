"""Paths under `/api/` that belong to no larger subject."""

from __future__ import annotations

from typing import Final

from functions.api.route import NAME

DESCRIPTION: Final = r"/api/openapi\.json"
GC: Final = r"/api/v1/gc"
GC_RUNS: Final = r"/api/v1/gc/runs"
GC_OF_REPOSITORY: Final = rf"/api/v1/repositories/{NAME}/-/gc"
