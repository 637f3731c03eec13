"""What one repository of an old registry holds, gathered from the listing of its own folders.

A listing comes in the order of names: layers, revisions, then tag by tag what it names now, and its history. So a tag's
digest is found on the way, by the sums of the links, and what has to be kept is one entry for each tag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from functions.registry.blobs.objects import StoredObject
from functions.registry.imports import links
from functions.registry.imports.names import CurrentLink, HistoryLink, LayerLink, Owned, RevisionLink, Stray, shown
from functions.registry.metadata.imports.vocabulary import ListedTag, Problem, ProblemKind, Reason
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.name import Tag

# Of what a tag named before, the last ones.
_MOST_FORMER = 100


@dataclass(slots=True)
class OldRepository:
    """`doubtful` are revisions whose link does not name them; `aliases` are other digests of the same layers."""

    name: str
    tags: dict[str, ListedTag] = field(default_factory=dict)
    revisions: dict[Digest, datetime] = field(default_factory=dict)
    doubtful: set[Digest] = field(default_factory=set)
    layers: dict[Digest, datetime] = field(default_factory=dict)
    aliases: dict[Digest, Digest] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    objects: int = 0
    unfinished: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


@dataclass(slots=True)
class _Naming:
    """A tag while its objects come. `found` is what its current link names, as far as that is known."""

    name: str
    current: StoredObject | None
    found: Digest | None = None
    last: Digest | None = None
    entries: int = 0
    oldest: datetime | None = None
    named: list[tuple[datetime, Digest]] = field(default_factory=list)

    def former(self, digest: Digest, updated: datetime) -> tuple[tuple[Digest, datetime], ...]:
        """What it named before it named that digest. Of one that it named several times only the last is known."""
        before = sorted((at, other) for at, other in self.named if other != digest and at < updated)
        return tuple((other, at) for at, other in before[-_MOST_FORMER:])


@dataclass(slots=True)
class Gathering:
    """`add` each object of the repository in order, then `finish`. `read` gives a link's content; hardly ever called.

    The names of its objects begin with `root`. Raises ObjectMissing and BlobStoreUnavailable, as `read` does.
    """

    repository: OldRepository
    root: str
    read: Callable[[str], bytes]
    is_repairing: bool = True
    _tag: _Naming | None = None
    _sums: dict[bytes, Digest] | None = None

    def add(self, stored: StoredObject, part: Owned) -> None:
        here = self.repository
        here.objects += 1
        here.oldest = min(here.oldest or stored.updated, stored.updated)
        here.newest = max(here.newest or stored.updated, stored.updated)
        match part:
            case LayerLink(digest=digest):
                self._add_layer(stored, digest)
            case RevisionLink(digest=digest):
                here.revisions[digest] = stored.updated
                if not links.names(stored, digest) and not self._holds(stored, digest):
                    here.doubtful.add(digest)
            case CurrentLink(tag=tag):
                self._end_tag()
                self._tag = _Naming(tag, stored)
            case HistoryLink(tag=tag, digest=digest):
                self._add_history(stored, tag, digest)
            case Stray():
                self._note("object", stored.name.removeprefix(self.root), "stray")
            case _:
                here.unfinished += 1

    def finish(self) -> OldRepository:
        self._end_tag()
        return self.repository

    def _add_layer(self, stored: StoredObject, digest: Digest) -> None:
        here = self.repository
        if not links.names(stored, digest):
            named = links.read(self.read(stored.name)) if stored.size else None
            if named is None:
                self._note("layer", str(digest), "link_repaired" if self.is_repairing else "link_broken")
                if not self.is_repairing:
                    return
            elif named != digest and digest.algorithm != named.algorithm:
                # A layer that was pushed by another algorithm lies under its canonical digest.
                here.aliases[digest] = named
            elif named != digest:
                self._note("layer", str(digest), "link_repaired", f"it named {named}")
        here.layers[digest] = stored.updated

    def _add_history(self, stored: StoredObject, tag: str, digest: Digest) -> None:
        if self._tag is None or self._tag.name != tag:
            self._end_tag()
            self._tag = _Naming(tag, None)
        naming = self._tag
        naming.entries += 1
        naming.last = digest
        naming.oldest = min(naming.oldest or stored.updated, stored.updated)
        naming.named.append((stored.updated, digest))
        if len(naming.named) > 2 * _MOST_FORMER:
            naming.named = sorted(naming.named)[-_MOST_FORMER:]
        if naming.current is not None and links.names(naming.current, digest):
            naming.found = digest

    def _end_tag(self) -> None:
        naming, self._tag = self._tag, None
        if naming is None:
            return
        try:
            Tag.parse(naming.name)
        except ManifestInvalid as error:
            self._note("tag", naming.name, "tag_name", str(error.reason))
            return
        if naming.current is None:
            self._note("tag", naming.name, "link_missing", "it has a history, and names nothing")
            return
        digest = naming.found or self._named_otherwise(naming.current) or self._repaired(naming)
        if digest is None:
            self._note("tag", naming.name, "link_broken", f"{naming.current.size} bytes that are no digest")
            return
        updated = naming.current.updated
        created = min(naming.oldest or updated, updated)
        former = naming.former(digest, updated)
        listed = ListedTag(naming.name, digest, naming.current.generation, created, updated, former)
        self.repository.tags[naming.name] = listed

    def _named_otherwise(self, current: StoredObject) -> Digest | None:
        """Compares by the sums of all revisions; else by what is in the link."""
        if self._sums is None:
            self._sums = {links.sum_of(digest): digest for digest in self.repository.revisions}
        if current.md5 is not None and (digest := self._sums.get(current.md5)) is not None:
            return digest
        return links.read(self.read(current.name)) if current.size else None

    def _repaired(self, naming: _Naming) -> Digest | None:
        if not self.is_repairing or naming.entries != 1:
            return None
        self._note("tag", naming.name, "tag_repaired", f"its only history names {naming.last}")
        return naming.last

    def _holds(self, stored: StoredObject, digest: Digest) -> bool:
        """Reads it, for a store that knows no sum of it."""
        return stored.md5 is None and stored.size > 0 and links.read(self.read(stored.name)) == digest

    def _note(self, kind: ProblemKind, key: str, reason: Reason, detail: str = "") -> None:
        self.repository.problems.append(Problem(shown(self.repository.name), kind, shown(key), reason, detail))
