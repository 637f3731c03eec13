"""The routes of imports: existing registries that are moved in, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from functions.api.route import Route
from functions.registry.metadata.imports.vocabulary import Reason, RepositoryState
from functions.registry.oci.page import Page

Act = Literal["start", "pause", "resume", "lead", "follow", "retry", "verify", "export", "hand-back", "seal"]


@dataclass(frozen=True, slots=True)
class ListImports(Route):
    """All that there were, the eldest first."""


@dataclass(frozen=True, slots=True)
class AddImport(Route):
    """Names a registry; nothing happens to it before it is started."""


@dataclass(frozen=True, slots=True)
class OfImport(Route):
    """A route about one import."""

    id: int


@dataclass(frozen=True, slots=True)
class GetImport(OfImport):
    pass


@dataclass(frozen=True, slots=True)
class ChangeImport(OfImport):
    """What was chosen for it: the body has what changes."""


@dataclass(frozen=True, slots=True)
class RemoveImport(OfImport):
    """Forgets one that was not started, or is sealed."""


@dataclass(frozen=True, slots=True)
class ListImportedRepositories(OfImport):
    page: Page
    state: RepositoryState | None


@dataclass(frozen=True, slots=True)
class ListImportProblems(OfImport):
    size: int
    last: int
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class TellOfChanges(OfImport):
    """The other registry tells which of its repositories changed."""


@dataclass(frozen=True, slots=True)
class ActOnImport(OfImport):
    """Starts it, pauses it, and the like."""

    act: Act
