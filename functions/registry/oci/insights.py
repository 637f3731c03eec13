"""What can be asked about what there is: repositories, tags, manifests, namespaces, and how they rank.

Not of the distribution specification; the paths lie under `/api/v1/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.in_repository import InRepository
from functions.registry.oci.name import Tag

KINDS: Final = ("image", "index", "chart", "signature", "sbom", "attestation", "wasm", "other")
REPOSITORY_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls", "tags", "untagged")
TAG_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls")
NAMESPACE_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls", "tags", "repositories")
RANKINGS: Final = ("largest", "most-pulled", "most-active", "longest-unused", "most-wasteful", "fastest-growing")
DEFAULT_SIZE: Final = 100
LARGEST_SIZE: Final = 1000
DEFAULT_RANKS: Final = 10
MOST_RANKS: Final = 100


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a list that is asked for: at most `size` entries of its order, where the cursor says."""

    order: str = "name"
    descending: bool = False
    size: int = DEFAULT_SIZE
    cursor: str | None = None

    @property
    def sort(self) -> str:
        """As it is written in a query."""
        return f"-{self.order}" if self.descending else self.order


@dataclass(frozen=True, slots=True)
class RepositoryFilter:
    """What is None is not asked for. Bytes; `after` is at that moment or later, `before` is earlier than it."""

    namespace: str | None = None
    name: str | None = None
    kind: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    pushed_after: datetime | None = None
    pushed_before: datetime | None = None
    pulled_after: datetime | None = None
    pulled_before: datetime | None = None
    untagged: bool | None = None


@dataclass(frozen=True, slots=True)
class TagFilter:
    name: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class NamespaceFilter:
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SearchRepositories:
    part: Part
    wanted: RepositoryFilter


@dataclass(frozen=True, slots=True)
class GetRepository(InRepository):
    pass


@dataclass(frozen=True, slots=True)
class SearchTags(InRepository):
    part: Part
    wanted: TagFilter


@dataclass(frozen=True, slots=True)
class GetTag(InRepository):
    tag: Tag


@dataclass(frozen=True, slots=True)
class DescribeManifest(InRepository):
    digest: Digest


@dataclass(frozen=True, slots=True)
class SearchNamespaces:
    part: Part
    wanted: NamespaceFilter


@dataclass(frozen=True, slots=True)
class GetNamespace:
    namespace: str


@dataclass(frozen=True, slots=True)
class GetUsage:
    """How much there is in all."""


@dataclass(frozen=True, slots=True)
class GetRanking:
    """The first few repositories, of a namespace or of the registry, by one measure."""

    ranking: str
    size: int
    namespace: str | None


Insight = (
    SearchRepositories
    | GetRepository
    | SearchTags
    | GetTag
    | DescribeManifest
    | SearchNamespaces
    | GetNamespace
    | GetUsage
    | GetRanking
)
