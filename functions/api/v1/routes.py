"""Routes under `/api/` that belong to no larger subject: the API's description, and the garbage collection."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import InRepository, Route


@dataclass(frozen=True, slots=True)
class GetDescription(Route):
    """What this API is, for programs (docs/api.md is for people)."""


@dataclass(frozen=True, slots=True)
class GetGc(Route):
    """How the garbage collection stands."""


@dataclass(frozen=True, slots=True)
class RunGc(Route):
    """Wake it now."""


@dataclass(frozen=True, slots=True)
class PreviewGc(InRepository):
    """What the garbage collection would take from a repository."""
