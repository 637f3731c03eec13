"""The words of a check, and what it finds: the columns of checks, check_pieces and findings, which the schema explains
(functions/migrate/versions/pre/0009_checks.sql).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from functions.registry.oci.digest import Digest

CheckState = Literal["running", "done", "incomplete", "stopped"]
Step = Literal["objects", "digests", "manifests", "blobs", "repositories", "figures", "repair"]
Kind = Literal[
    "missing",
    "size",
    "checksum",
    "digest",
    "marked",
    "unknown",
    "manifest",
    "references",
    "leaked_manifest",
    "leaked_link",
    "leaked_blob",
    "figure",
]
Action = Literal["marked", "unmarked", "queued", "written", "reviewed"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# Of these a blob can't be pulled as it was pushed; its object is the subject.
DAMAGED_BLOBS: Final[tuple[Kind, ...]] = ("missing", "size", "checksum", "digest")
# Of these something can't be pulled, or may be collected although it is needed.
DAMAGE: Final[tuple[Kind, ...]] = (*DAMAGED_BLOBS, "marked", "manifest", "references")
# What a check that came to its end has looked at, whatever was chosen.
ALWAYS_LOOKED_AT: Final[tuple[Kind, ...]] = tuple(kind for kind in KINDS if kind != "digest")


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a check found; `subject` tells it from others of its kind. `size` in bytes."""

    kind: Kind
    subject: str
    detail: str = ""
    digest: Digest | None = None
    repository: str | None = None
    size: int | None = None
