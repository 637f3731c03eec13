"""The routes of history and undo: what tags named before, what can be put back, and putting it back."""

from __future__ import annotations

from dataclasses import dataclass, field

from functions.api.route import InRepository, Route
from functions.api.v1.insights.routes import Part
from functions.registry.oci.name import Tag


@dataclass(frozen=True, slots=True)
class ListHistory(InRepository):
    """The bindings of one tag, or of all, that ended."""

    tag: Tag | None
    part: Part = field(default_factory=Part)


@dataclass(frozen=True, slots=True)
class RestoreTags(InRepository):
    """A tag, a manifest, or all tags as they were at a time: the body has which."""


@dataclass(frozen=True, slots=True)
class RestoreRepository(InRepository):
    """A repository that was deleted is served again."""


@dataclass(frozen=True, slots=True)
class PurgeRepository(InRepository):
    """A repository that was deleted goes for good."""


@dataclass(frozen=True, slots=True)
class ListDeletedRepositories(Route):
    """Repositories that can be put back, of the registry or of one namespace."""

    namespace: str | None
    part: Part = field(default_factory=Part)


@dataclass(frozen=True, slots=True)
class ListDeletedTags(Route):
    """Tags that can be put back, of the registry or of one namespace."""

    namespace: str | None
    part: Part = field(default_factory=Part)


@dataclass(frozen=True, slots=True)
class Purge(InRepository):
    """What was deleted in the repository goes for good: all, or what some tags named."""
