"""The routes of background migrations: changes of large tables, while the registry serves."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import Route
from functions.registry.metadata.background.vocabulary import Act


@dataclass(frozen=True, slots=True)
class ListBackgroundMigrations(Route):
    """The caller asks for all that the schema has registered."""


@dataclass(frozen=True, slots=True)
class GetBackgroundMigration(Route):
    """The caller asks for one of them, with the rows that could not be done."""

    name: str


@dataclass(frozen=True, slots=True)
class ActOnBackgroundMigration(Route):
    """The caller pauses it, goes on with it, and the like."""

    name: str
    act: Act
