"""The words of an import, and its rows: what a source is, what it has, and what could not be taken over.

They are the columns of import_sources, import_repositories, import_tags and import_problems, where the schema says what
each means (functions/migrate/versions/pre/).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

from functions.registry.oci.digest import Digest

SourceKind = Literal["layout", "registry"]
SourceState = Literal["added", "opening", "listing", "open", "paused", "sealing", "sealed"]
Mode = Literal["follow", "lead"]
Untagged = Literal["grace", "keep", "skip"]
Tree = Literal["blobs", "repositories", "verification", "rehash"]
RepositoryState = Literal["listed", "importing", "imported", "refused", "handed_back", "dropped"]
TagState = Literal["listed", "applied", "overruled"]
ProblemKind = Literal["repository", "tag", "manifest", "layer", "blob", "object"]
Reason = Literal[
    "name",
    "tag_name",
    "link_broken",
    "link_missing",
    "manifest_missing",
    "manifest_empty",
    "manifest_digest",
    "manifest_json",
    "manifest_refused",
    "manifest_too_large",
    "schema1",
    "child_missing",
    "blob_missing",
    "blob_size",
    "blob_digest",
    "link_repaired",
    "tag_repaired",
    "conflict",
    "stray",
    "unreadable",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

# Where a layout begins in its bucket or folder, behind the source's own prefix.
LAYOUT_ROOT: Final = "docker/registry/v2/"


@dataclass(frozen=True, slots=True)
class Source:
    """`prefix` is what its objects' names begin with where they lie in this registry's bucket, and None elsewhere."""

    id: int
    kind: SourceKind
    address: str
    prefix: str | None
    mark: UUID
    mode: Mode
    state: SourceState
    reason: str | None
    untagged: Untagged
    workers: int
    listed_at: datetime | None

    @property
    def is_open(self) -> bool:
        """It is held, and what is missed is asked for in it, also while nobody works at it."""
        return self.state not in ("added", "sealed")


@dataclass(frozen=True, slots=True)
class ListedTag:
    """A tag as its source has it; `generation` grows with each change there.

    `former` is what it named before and since when, in order, as far as that is known.
    """

    name: str
    digest: Digest
    generation: int
    created_at: datetime
    updated_at: datetime
    former: tuple[tuple[Digest, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """`repository` is a path of the source, empty for the whole of it; `key` a tag, a digest or an object's name."""

    repository: str
    kind: ProblemKind
    key: str
    reason: Reason
    detail: str = ""
