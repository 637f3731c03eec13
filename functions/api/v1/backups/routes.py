"""The routes of backups: which there are, and what is being done about them."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import Route
from functions.registry.metadata.backups.vocabulary import RunKind


@dataclass(frozen=True, slots=True)
class ListBackups(Route):
    """What is and was done, the latest first; of one kind, or of all."""

    size: int
    last: int | None
    kind: RunKind | None


@dataclass(frozen=True, slots=True)
class AddBackup(Route):
    """Asks for a backup; or for one to be verified, or for those to go that need not be kept."""


@dataclass(frozen=True, slots=True)
class GetBackup(Route):
    id: int


@dataclass(frozen=True, slots=True)
class AddDrill(Route):
    """Records that the backup was brought back elsewhere, and what came of it."""

    id: int
