"""What each of two registries holds of every tag, and what may be pulled from the new one of them.

Nothing in it knows how an import works. It knows what the older registry's tags named, one after the other, and what
was pushed and deleted at the new one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from functions.registry.oci.digest import Digest
from tests.property.model import IMAGES, Document, index, referrer

REPOSITORIES: Final = ("team/a", "team/b")
TAGS: Final = ("latest", "v1")
_INDEX: Final = index(IMAGES[:2], None)
DOCUMENTS: Final = (*IMAGES, _INDEX, index((_INDEX, IMAGES[2]), None), referrer(IMAGES[0], 1))
BY_NAME: Final = {document.name: document for document in DOCUMENTS}
BY_DIGEST: Final = {document.digest: document for document in DOCUMENTS}

Key = tuple[str, str]
# What a tag names; None for nothing.
Named = Document | None


@dataclass
class OldTag:
    """What it has named in the older registry, and the place of the earliest that the new one may still show."""

    history: list[Named] = field(default_factory=lambda: [None])
    earliest: int = 0

    @property
    def now(self) -> Named:
        return self.history[-1]

    def change(self, named: Named) -> None:
        if named != self.now:
            self.history.append(named)

    def place(self, named: Named) -> int | None:
        """Where it named that, from the earliest that may still show."""
        return next((at for at in range(self.earliest, len(self.history)) if self.history[at] == named), None)


@dataclass
class Model:
    """`new` has the tags that were pushed or deleted at the new registry: it decides about them, whatever becomes of
    the older one.
    """

    is_followed: bool = False
    old: defaultdict[Key, OldTag] = field(default_factory=lambda: defaultdict(OldTag))
    new: dict[Key, Named] = field(default_factory=dict)
    # Deleted at the new registry with all that it held.
    dropped: set[str] = field(default_factory=set)
    # Manifests that were deleted by their digests, there and here.
    deleted_there: set[tuple[str, Document]] = field(default_factory=set)
    deleted_here: set[tuple[str, Document]] = field(default_factory=set)
    # How far the older registry's tags were when somebody last asked for a pass over them.
    asked: dict[Key, int] = field(default_factory=dict)

    def ask(self) -> None:
        self.asked = {key: len(tag.history) - 1 for key, tag in self.old.items()}

    def has_passed(self) -> None:
        """The pass is over: nothing older than it shows from now on."""
        for key, place in self.asked.items():
            self.old[key].earliest = max(self.old[key].earliest, place)

    def is_decided_here(self, key: Key) -> bool:
        return key in self.new or key[0] in self.dropped

    def fault(self, key: Key, named: Named) -> str | None:
        """What is wrong if that is what a client is told; what it may be told from then on is no older."""
        if self.is_decided_here(key):
            wanted = self.new.get(key)
            return None if named == wanted else f"{key} names {named}, but it was left as {wanted} here"
        tag = self.old[key]
        if self.is_followed:
            is_gone = named is None and (key[0], tag.now) in self.deleted_here
            return None if named == tag.now or is_gone else f"{key} names {named}, and {tag.now} there"
        place = tag.place(named)
        if place is not None:
            tag.earliest = place
            return None
        if named is None and any((key[0], each) in self.deleted_here for each in tag.history[tag.earliest :]):
            return None
        return f"{key} names {named}, and {tag.history} there, of which the first {tag.earliest} are over"

    def required(self, key: Key, named: Document) -> set[Digest]:
        """What must be there of all that the document leads to, besides itself: manifests."""
        repository = key[0]
        gone = self.deleted_here if self.is_decided_here(key) else self.deleted_here | self.deleted_there
        lacking = {each for each in named.tree() if (repository, each) in gone and each != named}
        return {each.digest for each in named.tree() if not any(each in parent.tree() for parent in lacking)}
