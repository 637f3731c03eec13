"""The routes of the insights: repositories, tags, manifests, namespaces, rankings, and their use day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from functions.api.route import InNamespace, InRepository, Route
from functions.registry.metadata.lists.filters import NamespaceFilter, RepositoryFilter, TagFilter
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag

RANKINGS: Final = ("largest", "most-pulled", "most-active", "longest-unused", "most-wasteful", "fastest-growing")
DEFAULT_SIZE: Final = 100
LARGEST_SIZE: Final = 1000
DEFAULT_RANKING_SIZE: Final = 10
LARGEST_RANKING_SIZE: Final = 100
MOST_DAYS: Final = 400
DEFAULT_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a list that is asked for: at most `size` entries of its order, where the cursor says."""

    order: str = "name"
    descending: bool = False
    size: int = DEFAULT_SIZE
    cursor: str | None = None

    @property
    def sort(self) -> str:
        """Writes the order as it stands in a query."""
        return f"-{self.order}" if self.descending else self.order


@dataclass(frozen=True, slots=True)
class SearchRepositories(Route):
    part: Part
    wanted: RepositoryFilter


@dataclass(frozen=True, slots=True)
class Search(Route):
    """Repositories with `text` in their name; with a repository, its tags that begin with `text`."""

    text: str
    repository: str | None


@dataclass(frozen=True, slots=True)
class GetRepository(InRepository):
    pass


@dataclass(frozen=True, slots=True)
class SearchTags(InRepository):
    part: Part
    wanted: TagFilter


@dataclass(frozen=True, slots=True)
class GetTag(InRepository):
    """`at` is a time: what the tag named then is asked for."""

    tag: Tag
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DescribeManifest(InRepository):
    digest: Digest


@dataclass(frozen=True, slots=True)
class GetConfig(InRepository):
    digest: Digest


@dataclass(frozen=True, slots=True)
class SearchNamespaces(Route):
    part: Part
    wanted: NamespaceFilter


@dataclass(frozen=True, slots=True)
class GetNamespace(InNamespace):
    pass


@dataclass(frozen=True, slots=True)
class GetUsage(Route):
    """How much there is in all."""


@dataclass(frozen=True, slots=True)
class GetRanking(Route):
    """The first few repositories, of a namespace or of the registry, by one measure."""

    ranking: str
    size: int
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """From one day to another, both included, at most MOST_DAYS. Days are those of UTC."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class GetRepositoryDaily(InRepository):
    span: Span


@dataclass(frozen=True, slots=True)
class GetTagDaily(InRepository):
    tag: Tag
    span: Span


@dataclass(frozen=True, slots=True)
class GetManifestDaily(InRepository):
    digest: Digest
    span: Span


@dataclass(frozen=True, slots=True)
class GetNamespaceDaily(InNamespace):
    span: Span


@dataclass(frozen=True, slots=True)
class GetUsageDaily(Route):
    """Of the whole registry."""

    span: Span


@dataclass(frozen=True, slots=True)
class RecountUsage(Route):
    """Counts everything anew."""
