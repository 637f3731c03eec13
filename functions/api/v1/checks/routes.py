"""The routes of checks: how rows and objects were compared, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import Route
from functions.registry.metadata.checks.vocabulary import Kind


@dataclass(frozen=True, slots=True)
class ListChecks(Route):
    """The latest first, `size` of those before the one with the id `before`."""

    size: int
    before: int


@dataclass(frozen=True, slots=True)
class StartCheck(Route):
    """Compares all that there is; the body says what is done about what is found."""


@dataclass(frozen=True, slots=True)
class GetCheck(Route):
    id: int


@dataclass(frozen=True, slots=True)
class StopCheck(Route):
    """What it found stays."""

    id: int


@dataclass(frozen=True, slots=True)
class UndoCheck(Route):
    """Keeps what it has queued for deletion."""

    id: int


@dataclass(frozen=True, slots=True)
class ListFindings(Route):
    """What is wrong, as far as the checks so far know."""

    size: int
    last: int
    kind: Kind | None
