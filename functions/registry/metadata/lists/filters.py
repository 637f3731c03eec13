"""What a list can be filtered and sorted by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

ContentKind = Literal["image", "index", "chart", "signature", "sbom", "attestation", "wasm", "other"]
KINDS: Final[tuple[ContentKind, ...]] = get_args(ContentKind)
REPOSITORY_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls", "tags", "untagged")
TAG_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls")
NAMESPACE_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls", "tags", "repositories")


@dataclass(frozen=True, slots=True)
class RepositoryFilter:
    """What is None is not asked for. Bytes; `after` is at that moment or later, `before` is earlier than it."""

    namespace: str | None = None
    name: str | None = None
    kind: ContentKind | None = None
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
    kind: ContentKind | None = None


@dataclass(frozen=True, slots=True)
class NamespaceFilter:
    name: str | None = None
