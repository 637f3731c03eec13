"""The names of a Distribution layout (2.x and 3.x, and GitLab's before its database): what each stands for.

Names are read from the right, for `docker/registry/v2/repositories` and `tags/current` are allowed names of
repositories. They are relative to a source's prefix, which ends in `docker/registry/v2/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid

BLOBS: Final = "blobs/"
REPOSITORIES: Final = "repositories/"

# The repository that keeps the older registry's collection from deleting; none of anybody's.
GUARD: Final = "0-slipway-guard"

_MARKERS: Final = frozenset({"_layers", "_manifests", "_uploads"})
# Uploads that were begun, and signatures of schema 1.
_KNOWN: Final = re.compile(
    r"_uploads/[^/]+/(?:data|startedat|hashstates/[^/]+/[^/]+)"
    r"|_manifests/revisions/[^/]+/[^/]+/signatures/[^/]+/[^/]+/link"
)
_FIRST_LETTERS: Final = 2
# In bytes: two of them fit into an entry of an index.
_LONGEST_SHOWN: Final = 1200


@dataclass(frozen=True, slots=True)
class BlobData:
    """The bytes of a blob, or of a manifest: they are blobs there too."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class LayerLink:
    repository: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class RevisionLink:
    repository: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class CurrentLink:
    """What the tag names now."""

    repository: str
    tag: str


@dataclass(frozen=True, slots=True)
class HistoryLink:
    """What the tag has named at some time; each tag operation writes it before the current one."""

    repository: str
    tag: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A part of an upload that was begun, or of a signature of schema 1: known, and not moved."""

    repository: str


@dataclass(frozen=True, slots=True)
class Stray:
    """Nothing that a registry writes; `repository` is whose folder it lies in, or empty."""

    repository: str


Owned = LayerLink | RevisionLink | CurrentLink | HistoryLink | Unfinished | Stray
Part = BlobData | Owned


def parse(name: str) -> Part:
    """Returns what the object of this name, relative to the layout, is. Never raises."""
    parts = name.split("/")
    match parts:
        case ["blobs", algorithm, first, hexadecimal, "data"]:
            digest = _digest(algorithm, hexadecimal)
            return BlobData(digest) if digest and digest.hex[:_FIRST_LETTERS] == first else Stray("")
        case ["repositories", *below]:
            return _parse_below(below)
    return Stray("")


def _parse_below(parts: list[str]) -> Owned:
    part: Owned | None = None
    match parts:
        case [*owner, "_manifests", "tags", tag, "current", "link"]:
            part = CurrentLink("/".join(owner), tag)
        case [*owner, "_manifests", "tags", tag, "index", algorithm, hexadecimal, "link"]:
            part = _linked(lambda name, digest: HistoryLink(name, tag, digest), owner, algorithm, hexadecimal)
        case [*owner, "_manifests", "revisions", algorithm, hexadecimal, "link"]:
            part = _linked(RevisionLink, owner, algorithm, hexadecimal)
        case [*owner, "_layers", algorithm, hexadecimal, "link"]:
            part = _linked(LayerLink, owner, algorithm, hexadecimal)
    # No part of a name is a marker: what looks so lies in the folders of another repository, or of none.
    is_owned = part is not None and part.repository and _MARKERS.isdisjoint(part.repository.split("/"))
    return part if part is not None and is_owned else _other(parts)


def _linked(made: Callable[[str, Digest], Owned], owner: list[str], algorithm: str, hexadecimal: str) -> Owned | None:
    digest = _digest(algorithm, hexadecimal)
    return made("/".join(owner), digest) if digest is not None else None


def _other(parts: list[str]) -> Owned:
    """It lies in the folder of the repository whose marker comes first: none can be part of a name."""
    first = next((place for place, part in enumerate(parts) if part in _MARKERS), 0)
    owner, below = "/".join(parts[:first]), "/".join(parts[first:])
    return Unfinished(owner) if owner and _KNOWN.fullmatch(below) else Stray(owner)


def _digest(algorithm: str, hexadecimal: str) -> Digest | None:
    try:
        return Digest.parse(f"{algorithm}:{hexadecimal}")
    except DigestInvalid:
        return None


def blob_name(digest: Digest) -> str:
    return f"{BLOBS}{digest.algorithm}/{digest.hex[:_FIRST_LETTERS]}/{digest.hex}/data"


def repository_prefix(repository: str) -> str:
    """Returns what the names of all that is the repository's own begin with, and no other's."""
    return f"{REPOSITORIES}{repository}/_"


def layer_link_name(repository: str, digest: Digest) -> str:
    return f"{REPOSITORIES}{repository}/_layers/{digest.algorithm}/{digest.hex}/link"


def revision_link_name(repository: str, digest: Digest) -> str:
    return f"{REPOSITORIES}{repository}/_manifests/revisions/{digest.algorithm}/{digest.hex}/link"


def current_link_name(repository: str, tag: str) -> str:
    return f"{REPOSITORIES}{repository}/_manifests/tags/{tag}/current/link"


def history_link_name(repository: str, tag: str, digest: Digest) -> str:
    return f"{REPOSITORIES}{repository}/_manifests/tags/{tag}/index/{digest.algorithm}/{digest.hex}/link"


def shown(name: str) -> str:
    """Returns the name as a database and a terminal can hold it: what is no UTF-8, or can't be printed, is escaped.

    One that is longer than any good name is cut.
    """
    text = name
    if not name.isprintable():
        readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in readable)
    encoded = text.encode()
    return text if len(encoded) <= _LONGEST_SHOWN else f"{encoded[:_LONGEST_SHOWN].decode(errors='ignore')}…"
